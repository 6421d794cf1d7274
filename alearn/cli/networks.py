"""`alearn models`: the pretrained networks that can be named in a config."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import get_args

from alearn.cli.console import emit, facts, table
from alearn.core.schema import DataKind
from alearn.errors import ConfigError
from alearn.models.zoo import Listed, catalogue

COLUMNS = ["name", "for", "parameters, M", "MB", "px", "licence", "here"]


def show_models(data: str | None, *, as_json: bool, every: bool = False) -> None:
    """The networks that are on this machine now, with a count of the rest; or all of them (`every`).

    Raises:
        ConfigError: there is no such kind of data.
    """
    rows = sorted(catalogue(_kind(data)), key=_order)
    shown = [row for row in rows if every or row.offline]
    if as_json:
        emit([asdict(row) for row in shown])
        return
    table("Pretrained networks", COLUMNS, [_line(row) for row in shown])
    facts(_rest(rows, shown))


def _kind(data: str | None) -> DataKind | None:
    for kind in get_args(DataKind):
        if data == kind:
            return kind  # type: ignore[no-any-return]
    if data:
        raise ConfigError(f"--data must be {' or '.join(get_args(DataKind))}. Got {data!r}. Remove it for both.")
    return None


def _order(row: Listed) -> tuple[bool, str, str, int, str]:
    """What is here first; then by data and library, the small before the large."""
    return (not row.offline, row.data, row.name.rpartition(":")[0], row.parameters, row.name)


def _line(row: Listed) -> list[object]:
    return [
        row.name,
        row.data,
        f"{row.parameters / 1e6:6.1f}" if row.parameters else "",
        f"{row.weights_mb:6.1f}" if row.weights_mb else "",
        row.size or "",
        row.licence,
        "yes" if row.offline else "download",
    ]


def _rest(rows: Sequence[Listed], shown: Sequence[Listed]) -> list[tuple[str, str]]:
    """How many more there are, by library, and what else can be named."""
    counts = Counter(row.name.partition(":")[0] for row in rows)
    counts.subtract(row.name.partition(":")[0] for row in shown)
    more = [f"{count:,} of {library}" for library, count in counts.items() if count]
    return [
        *([("more", f"{', '.join(more)} can be downloaded; `alearn models --all` lists them")] if more else []),
        ("also", "NAME@FILE: your own weights of a network; sentence-transformers:NAME or :FOLDER; random:NAME"),
    ]
