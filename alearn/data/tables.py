"""Rows of .csv, .tsv, .jsonl and .parquet files, one at a time.

Invariant: a row is a mapping, or a string that says why it is none ("`file.jsonl:17` …"); constant memory whatever the
length of the file.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import IO, Any

from alearn.data.faults import failure
from alearn.data.storage import open_binary, reading, suffix
from alearn.errors import DataError

Row = Mapping[str, Any]
Numbered = tuple[int, Row | str]
"""The number of a line (or of a parquet row), from 1, and what is in it."""

READERS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
"""File name suffix -> format."""

_AHEAD = 100  # rows of a JSONL file that are looked at to learn its columns
_NO_EXTRA = "{} needs the package pyarrow. It is not installed. Run pip install 'alearn[parquet]'."


@dataclass(frozen=True)
class Table:
    """An open table: its columns, and its rows, which can be gone through once."""

    columns: Sequence[str]
    rows: Iterable[Numbered]


def read_table(file: IO[bytes], place: str, *, needed: Sequence[str], max_bytes: int) -> Table:
    """The table in an open file; `needed` are the columns that rows must have, `max_bytes` what one row may take.

    Raises:
        DataError: the file is no table, or a needed column is missing.
        Unreachable: its drive, server or network does not answer now; also while the rows are gone through.
    """
    with reading(place):
        table = _opened(file, place, needed, max_bytes)
    for column in needed:
        if column not in table.columns and table.columns:
            raise DataError(_no_column(place, column, table.columns))
    return Table(table.columns, _read_on(place, table.rows))


def _opened(file: IO[bytes], place: str, needed: Sequence[str], max_bytes: int) -> Table:
    kind = READERS[suffix(place)]
    if kind == "csv":
        return _csv(file, place, max_bytes)
    return _jsonl(file, max_bytes) if kind == "jsonl" else _parquet(file, place, needed)


def _read_on(place: str, rows: Iterable[Numbered]) -> Iterator[Numbered]:
    with reading(place):
        yield from rows


def rows_hint(place: str) -> int | None:
    """About how many rows a local file has: counted for parquet, else by the length of its first lines."""
    try:
        with open_binary(place) as file:
            if suffix(place) == ".parquet":
                return int(_parquet_file(file, place).metadata.num_rows)
            head = file.read(1 << 16)
            size = os.fstat(file.fileno()).st_size
    except (DataError, OSError):
        return None
    lines = head.count(b"\n")
    return lines + (not head.endswith(b"\n")) if size <= len(head) else max(1, size * lines // len(head))


def _no_column(place: str, column: str, columns: Sequence[str]) -> str:
    some = ", ".join(columns[:20]) + (", …" if len(columns) > 20 else "")
    return (
        f"{place} must have a column {column!r}, which `items` names. Its columns are {some}. "
        "Name another one in `items`, or add it."
    )


def _jsonl(file: IO[bytes], max_bytes: int) -> Table:
    rows = _jsonl_rows(file, max_bytes)
    head = list(islice(rows, _AHEAD))
    columns = dict.fromkeys(name for _, row in head if isinstance(row, dict) for name in row)
    return Table(list(columns), chain(head, rows))


def _jsonl_rows(file: IO[bytes], max_bytes: int) -> Iterator[Numbered]:
    decode = json.JSONDecoder().decode
    if file.read(3) != codecs.BOM_UTF8:
        file.seek(0)
    for number, line in enumerate(iter(partial(file.readline, max_bytes + 1), b""), 1):
        if len(line) > max_bytes:
            _skip_line(file, line)
            yield number, _too_long(max_bytes)
            continue
        try:
            row = decode(str(line, "utf-8"))
        except (ValueError, RecursionError) as error:
            if not line.isspace():
                yield number, _not_json(error)
        else:
            yield number, row if type(row) is dict else 'is not a JSON object, like {"text": …}'


def _skip_line(file: IO[bytes], read: bytes) -> None:
    while read and not read.endswith(b"\n"):
        read = file.readline(1 << 20)


def _too_long(max_bytes: int) -> str:
    return f"is longer than `items.max_mb` allows, {max_bytes / 1e6:g} MB"


def _not_json(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"is not UTF-8: byte 0x{error.object[error.start]:02x} at position {error.start + 1}"
    return f"is not JSON: {error}"


def _csv(file: IO[bytes], place: str, max_bytes: int) -> Table:
    # Bytes that are not UTF-8 become half surrogates, which are found out row by row, instead of ending the stream.
    lines = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    head = lines.readline(max_bytes)
    # The module's own limit, 128 KB, is one number for the whole process: it is raised, never lowered.
    csv.field_size_limit(max(csv.field_size_limit(), max_bytes))
    reader = csv.reader(chain([head], lines), delimiter=_delimiter(head, place))
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise DataError(f"{place} must begin with a line of column names. Got: {error}. Add one.") from error
    return Table(header, _csv_rows(reader, header))


def _delimiter(head: str, place: str) -> str:
    """A tab in .tsv; else the comma, unless the first line has none but has another that spreadsheets write."""
    if suffix(place) == ".tsv":
        return "\t"
    return next((mark for mark in (",", ";", "\t") if mark in head), ",")


def _csv_rows(reader: Any, header: Sequence[str]) -> Iterator[Numbered]:
    width = len(header)
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, f"is not CSV: {error}"
            continue
        if len(fields) == width:
            yield reader.line_num, dict(zip(header, fields, strict=True))
        elif fields:
            yield (
                reader.line_num,
                f"has {len(fields)} fields where the header has {width}; put texts with commas in quotes",
            )


def _parquet_file(file: IO[bytes], place: str) -> Any:
    try:
        import pyarrow as pa
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise DataError(_NO_EXTRA.format(place)) from None
    try:
        return ParquetFile(file)
    except (pa.ArrowException, OSError, ValueError) as error:
        what = f"{place} must be a Parquet file. It cannot be read as one: {error}. Write it anew."
        raise failure(place, error, what) from error


def _parquet(file: IO[bytes], place: str, needed: Sequence[str]) -> Table:
    table = _parquet_file(file, place)
    columns = list(table.schema_arrow.names)
    return Table(columns, _parquet_rows(table, place, [name for name in needed if name in columns]))


def _parquet_rows(table: Any, place: str, needed: Sequence[str]) -> Iterator[Numbered]:
    import pyarrow as pa

    number = 0
    try:
        for batch in table.iter_batches(batch_size=1024, columns=list(needed)):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (pa.ArrowException, OSError, ValueError) as error:
        raise failure(place, error, f"{place} is damaged after row {number}: {error}. Write it anew.") from error
