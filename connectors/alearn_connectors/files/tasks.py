"""The two files that are written here: pushed.jsonl, every task there ever was, and tasks.jsonl, the queue.

Invariant: a task is in pushed.jsonl once, whatever is pushed again and wherever a push is cut off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from alearn.platform import Queue, QueueEntry, Task
from alearn_connectors.files.journal import Line


class Pushed:
    """What pushed.jsonl says: {key: its task}, and at which offset each came."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.tasks: dict[str, Mapping[str, Any]] = {}
        self.since: dict[str, int] = {}

    def take(self, line: Line) -> None:
        """Take in one line; one that is damaged or no task, like that of a push that was cut off, is none."""
        for task in line.objects:
            key = task.get("key")
            if isinstance(key, str) and key not in self.tasks:
                self.tasks[key] = task
                self.since[key] = line.end


def append(path: Path, tasks: Iterable[Task]) -> None:
    """Write tasks behind those that are there; raises OSError."""
    lines = b"".join(_line(_content(task)) for task in tasks)
    with path.open("a+b") as file:
        file.seek(0, os.SEEK_END)
        if file.tell():
            file.seek(-1, os.SEEK_END)
            lines = lines if file.read(1) == b"\n" else b"\n" + lines
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())


def write_queue(path: Path, queue: Queue, pushed: Mapping[str, Mapping[str, Any]], also: Sequence[str]) -> None:
    """Write the queue aside and rename it. `also` are keys to put at its end where it does not name them."""
    named = {entry.key: entry for entry in queue.entries if entry.key in pushed}
    for key in also:
        named.setdefault(key, QueueEntry(key, 1.0))
    lines = (_line(_place(rank, entry, pushed[entry.key])) for rank, entry in enumerate(named.values()))
    replace(path, b"".join(lines))


def replace(path: Path, content: bytes) -> None:
    """Replace a file: readers see it whole, the old or the new one; raises OSError."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def _content(task: Task) -> dict[str, Any]:
    return {"key": task.key} | ({"text": task.text} if task.uri is None else {"uri": task.uri})


def _place(rank: int, entry: QueueEntry, task: Mapping[str, Any]) -> dict[str, Any]:
    suggested = {} if entry.label is None else {"suggestion": entry.label, "confidence": entry.confidence}
    return {"rank": rank, **task, "score": entry.score, **suggested}


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
