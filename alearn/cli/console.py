"""How a loop looks in a terminal: lines for what happened, a bar with the time left for what takes long.

Invariant: people's text goes to stderr while a command runs, so that stdout holds only what a script would read.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

SHOW_AFTER = 1.0
"""Seconds: what is done sooner gets no bar."""


class Terminal:
    """A Report drawn with rich; also a context, which removes the bars at its end."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = Console(stderr=True, quiet=quiet, highlight=False)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, float] = {}

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self._tasks:
            self._bars.stop()

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self.console.print(escape(text), soft_wrap=True)

    def progress(self, what: str, done: int, total: int | None) -> None:
        """Draw, move or remove the bar called `what`."""
        began = self._began.setdefault(what, time.monotonic())
        if total is not None and done >= total:
            self._end(what, done, time.monotonic() - began)
        elif what in self._tasks:
            self._bars.update(self._tasks[what], completed=done, total=total)
        elif time.monotonic() - began > SHOW_AFTER:
            self._bars.start()
            self._tasks[what] = self._bars.add_task(escape(what), completed=done, total=total)

    def _end(self, what: str, done: int, seconds: float) -> None:
        self._began.pop(what, None)
        if what not in self._tasks:
            return
        self._bars.remove_task(self._tasks.pop(what))
        if not self._tasks:
            self._bars.stop()
        self.say(f"{what}: {done:,} in {seconds:.0f} s")


def emit(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print a value as JSON on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on stdout; numbers to the right."""
    rows = [list(row) for row in rows]
    drawn = Table(title=escape(title), title_justify="left", box=None, pad_edge=False)
    for at, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[at], int | float) for row in rows)
        drawn.add_column(escape(name), justify="right" if numeric else "left")
    for row in rows:
        drawn.add_row(*(escape(str(cell)) for cell in row))
    _out().print(drawn)


def facts(rows: Iterable[tuple[str, object]]) -> None:
    """Print names and values on stdout, one pair a line; long values are not broken, so that they can be copied."""
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        _out().print(f"[bold]{escape(name.ljust(width))}[/bold]  {escape(str(value))}", soft_wrap=True)


def _out() -> Console:
    """Stdout; wide when nobody watches, so that a table in a log is whole."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)
