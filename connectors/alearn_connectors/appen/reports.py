"""The reports of `v3`: ZIP files or plain text with one CSV table, as rows and judgments. Pure.

Invariant: a table that is damaged or of another shape is Refused, never half of it taken.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

from alearn.errors import Refused
from alearn_connectors.appen.service import KEY, Judgment, Row

LARGEST = 1 << 30
"""Bytes of an unpacked report; what is larger is no report of ours."""

_LONGEST = 1 << 27  # characters in a cell; csv's own limit is less than a long text

GOLD_COLUMN = "_golden"


def table(content: bytes) -> list[dict[str, str]]:
    """The rows of a report; raises Refused."""
    try:
        words = _unpacked(content).decode("utf-8-sig")
        csv.field_size_limit(_LONGEST)
        return [dict(row) for row in csv.DictReader(io.StringIO(words, newline=""), strict=True)]
    except (zipfile.BadZipFile, zipfile.LargeZipFile, ValueError, csv.Error, OSError, EOFError, RuntimeError) as error:
        _damaged(str(error))


def _unpacked(content: bytes) -> bytes:
    if not content.startswith(b"PK"):
        return content
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        name = next((name for name in file.namelist() if name.endswith(".csv")), None)
        if name is None or file.getinfo(name).file_size > LARGEST:
            _damaged("no CSV in it, or too large a one")
        return file.read(name)


def _damaged(what: str) -> NoReturn:
    raise Refused(
        f"A report of Appen must be a CSV table, packed or not. Got: {what}. Download it in Appen to see what it holds."
    )


def keys(rows: Iterable[Mapping[str, str]]) -> frozenset[str]:
    """The keys in a report of the source data."""
    return frozenset(key for row in rows if (key := row.get(KEY)))


def judgments(rows: Iterable[Mapping[str, str]], field: str) -> dict[str, list[Judgment]]:
    """{key: its judgments} in a full report; rows without a key or without a judgment are passed over."""
    found: dict[str, list[Judgment]] = defaultdict(list)
    for row in rows:
        key, identity, worker = row.get(KEY), row.get("_id"), row.get("_worker_id")
        if key and identity and worker:
            found[key].append(_judgment(row, identity, worker, field))
    return dict(found)


def _judgment(row: Mapping[str, str], identity: str, worker: str, field: str) -> Judgment:
    return Judgment(
        identity,
        worker,
        row.get(field) or None,
        _share(row.get("_trust")),
        any((row.get(name) or "").lower() == "true" for name in ("_tainted", "_rejected")),
        row.get("_started_at") or "",
        row.get("_created_at") or "",
    )


def _share(words: str | None) -> float | None:
    try:
        return float(words or "")
    except ValueError:
        return None


def fingerprint(said: Sequence[Judgment]) -> str:
    """Changes when a judgment comes, goes, changes or becomes void; not when somebody's trust moves."""
    parts = sorted([one.id, one.answer or "", one.tainted, one.created_at] for one in said)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def dataset(rows: Sequence[Row]) -> bytes:
    """The table that is uploaded to a project; test questions stand out by one column that nobody is shown."""
    lines = [{**row.content, GOLD_COLUMN: "FALSE" if row.answer is None else "TRUE"} for row in rows]
    return _csv(lines)


def gold_table(rows: Sequence[Row], field: str) -> bytes:
    """The table that makes test questions of rows that are there."""
    extra = {GOLD_COLUMN: "TRUE", f"{field}_gold_reason": "This answer is known.", "quiz_work_mode": "WORK"}
    return _csv([{**row.content, **extra, f"{field}_gold": row.answer or ""} for row in rows])


def _csv(lines: Sequence[Mapping[str, str]]) -> bytes:
    out = io.StringIO(newline="")
    names = list(dict.fromkeys(name for line in lines for name in line))
    writer = csv.DictWriter(out, names, quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue().encode("utf-8", "backslashreplace")
