"""Items from the rows of a table.

Invariant: a bad row is reported with its number and never ends the table.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from alearn.config import ItemSpec
from alearn.core.keys import content_key
from alearn.core.schema import DataKind
from alearn.data import storage
from alearn.data.ahead import ahead
from alearn.data.content import image_item, max_bytes, parent_folder, text_item
from alearn.data.items import Item, Unreadable, unstorable
from alearn.data.tables import Row, read_table
from alearn.errors import DataError


def table_items(spec: ItemSpec, kind: DataKind, place: str, folder: Path) -> Iterator[Item | Unreadable]:
    """The items of a table, in the order of its rows; DataError when it lacks a column or has no rows."""
    if spec.truth == "folder" and kind == "text":
        raise DataError(f"`items.truth: folder` needs a folder of files. `items.path` is {place}. Use `truth_column`.")
    column = spec.text_column if kind == "text" else spec.image_column
    needed = [name for name in (column, spec.group_column, spec.truth_column) if name is not None]
    with storage.open_binary(place) as file:
        table = read_table(file, place, needed=needed, max_bytes=max_bytes(spec))
        if kind == "text":
            items: Iterator[Item | Unreadable] = _texts(spec, place, table.rows)
        else:
            items = ahead(lambda row: _pictured(spec, place, folder, *row), table.rows)
        empty = True
        for one in items:
            empty = False
            yield one
    if empty:
        raise DataError(f"`items.path` must hold rows. {place} holds none. Correct it.")


def _texts(spec: ItemSpec, place: str, rows: Iterable[tuple[int, Row | str]]) -> Iterator[Item | Unreadable]:
    """The items of a table of texts: the one loop here that must be fast."""
    column, extras = spec.text_column, bool(spec.group_column or spec.truth_column)
    for number, row in rows:
        if isinstance(row, str):
            yield Unreadable(f"{place}:{number}", row)
            continue
        text = row.get(column)
        if type(text) is not str:
            got = "has no text" if text is None else f"must be a string, not {type(text).__name__}"
            yield Unreadable(f"{place}:{number}", f"has a bad `{column}`: it {got}")
            continue
        try:
            group, truth = _extras(spec, row) if extras else (None, None)
        except DataError as error:
            yield Unreadable(f"{place}:{number}", str(error))
            continue
        if text.isascii() and "\0" not in text and text and not text.isspace():
            key = content_key(text.encode())
            yield Item(key, None, text, group or key, truth)
        else:
            yield text_item(text, f"{place}:{number}", group, truth)


def _pictured(spec: ItemSpec, place: str, folder: Path, number: int, row: Row | str) -> Item | Unreadable:
    """The item of one row of a table of images."""
    where = f"{place}:{number}"
    if isinstance(row, str):
        return Unreadable(where, row)
    try:
        uri = _image_uri(row.get(spec.image_column), spec, place, folder)
        group, truth = _extras(spec, row)
    except DataError as error:
        return Unreadable(where, str(error))
    if spec.truth == "folder":
        truth = parent_folder(uri, os.path.dirname(place))
    found = image_item(uri, where, group, truth, spec)
    return Unreadable(where, f"names {uri}, which {found.reason}") if isinstance(found, Unreadable) else found


def _image_uri(value: Any, spec: ItemSpec, place: str, folder: Path) -> str:
    """The image's path or URL; one inside the table, as in Hugging Face's data sets, is written to a file."""
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return _written(value, folder / "images")
    if not isinstance(value, str) or not value.strip():
        got = "empty" if value is None or value == "" else f"{type(value).__name__}: {value!r:.40}"
        raise DataError(f"has a bad `{spec.image_column}`: it must be a path, a URL or an image's bytes, and is {got}")
    return storage.beside(place, value.strip())


def _written(data: bytes, folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    path = (folder / content_key(data)).absolute()
    if not path.exists():
        aside = path.with_suffix(f".{os.getpid()}.part")
        aside.write_bytes(data)
        aside.replace(path)
    return str(path)


def _extras(spec: ItemSpec, row: Row) -> Sequence[str | None]:
    """The row's group and known answer."""
    return [None if name is None else _word(name, row.get(name)) for name in (spec.group_column, spec.truth_column)]


def _word(column: str, value: Any) -> str | None:
    """A cell as a word: 3.0 becomes 3, as integers in a column with gaps are read; an empty cell is None."""
    if value is None or value == "" or value != value:  # noqa: PLR0124 - NaN is an empty cell
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if not isinstance(value, str | int | float):
        raise DataError(f"has a bad `{column}`: it must be a word or a number, not {type(value).__name__}")
    word = str(value)
    if (reason := unstorable(word)) is not None:
        raise DataError(f"has a bad `{column}`: it {reason}")
    return word
