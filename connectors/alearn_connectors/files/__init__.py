"""A folder as an annotation platform: for scripts, for people with an editor, for machines without a browser.

In the folder (option `folder`, relative to the loop's home; default `files`):

tasks.jsonl         The open queue and nothing else, in the order in which it is to be answered, so that a person or a
                    script can simply begin at the top: {"rank", "key", "uri" or "text", "score", "suggestion",
                    "confidence"}. It is replaced with each push; what has been answered leaves it then.
annotations.jsonl   Written by others, who append {"key", "value", "annotator"}, or "skipped": true for the value; with
                    "id", "lead_time" (seconds) and "updated_at" (ISO 8601; it settles ties) if they like. The same id,
                    or the same annotator and key, further down replaces what was said before; {"id", "deleted": true},
                    or the key and annotator with it, takes it back. The file may also be edited, cut or replaced.
pushed.jsonl        Every task there ever was, in the order in which they came. A line removed here is a task deleted.
HOW-TO.txt          The same for whoever opens the folder.

Invariant: nothing in annotations.jsonl stops a loop; what cannot be used is a notice with its line number.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from alearn.errors import ConfigError, Refused, Unavailable
from alearn.platform import Finding, Platform, Pull, Queue, Setting, Task, TaskState
from alearn_connectors.files.answers import Answers
from alearn_connectors.files.journal import Journal, Position
from alearn_connectors.files.tasks import Pushed, append, replace, write_queue

OPTIONS = ("folder", "question")
NOTICES = 10
"""At most so many notices of a kind in one pull."""

_HOW_TO = """\
{question}

tasks.jsonl holds what is to be answered, first things first. To answer, append a line to annotations.jsonl:

{{"key": "the task's key", "value": {example}, "annotator": "your name"}}
{{"key": "the task's key", "skipped": true, "annotator": "your name"}}

Answers: {classes}

A later line by the same annotator about the same key replaces the earlier one; with "deleted": true it takes it back.
"""


def open(setting: Setting) -> Platform:
    """The folder of this loop; raises ConfigError for wrong options."""
    for name in setting.options:
        if name not in OPTIONS:
            raise ConfigError(
                f"`platform.options` of files may hold {', '.join(OPTIONS)}. Got {name!r}. Remove or correct it."
            )
    folder = setting.options.get("folder", "files")
    if not isinstance(folder, str) or not folder:
        raise ConfigError(f"`platform.options.folder` must be a path. Got {folder!r}. Remove the line for `files`.")
    return FilesPlatform(setting, setting.home / Path(folder).expanduser())


class FilesPlatform:
    """A folder with tasks and annotations; see the module."""

    def __init__(self, setting: Setting, folder: Path) -> None:
        self._setting = setting
        self._folder = folder
        self._pushed, self._answers = Pushed(), Answers(setting.schema)
        self._tasks = Journal(folder / "pushed.jsonl", self._pushed.take, self._pushed.reset)
        self._said = Journal(folder / "annotations.jsonl", self._answers.take, self._answers.reset)

    def prepare(self) -> str:
        """Create the folder and an empty annotations.jsonl; what is there stays."""
        with self._told():
            self._folder.mkdir(parents=True, exist_ok=True)
            self._said.path.touch()
            replace(self._folder / "HOW-TO.txt", self._how_to().encode())
        return str(self._folder)

    def _how_to(self) -> str:
        classes = [json.dumps(name, ensure_ascii=False) for name in self._setting.schema.classes]
        question = self._setting.options.get("question") or f"Loop {self._setting.loop}"
        return _HOW_TO.format(question=question, example=classes[0], classes=", ".join(classes))

    def push(self, tasks: Sequence[Task], queue: Queue) -> Mapping[str, str]:
        """Append the tasks that are not there, then replace the queue; a folder refuses none."""
        with self._told():
            self._look()
            fresh = {task.key: task for task in tasks if task.key not in self._pushed.tasks}
            if fresh:
                append(self._tasks.path, fresh.values())
                self._tasks.refresh()
            write_queue(self._folder / "tasks.jsonl", queue, self._pushed.tasks, [task.key for task in tasks])
        return {}

    def pull(self, cursor: str | None, *, pushed: Sequence[str] | None = None) -> Pull:
        """The tasks with new lines; all of them when the cursor is of a file that is no longer there."""
        with self._told():
            self._look()
            since = self._since(cursor)
            here = _cursor(self._said.position, self._tasks.position)
        missing = frozenset(pushed or ()) - self._pushed.tasks.keys()
        if here == cursor:
            return Pull(cursor=here, missing=missing)
        keys = dict.fromkeys(self._pushed.tasks) if since is None else self._changed(*since)
        states = tuple(TaskState(key, self._answers.of(key)) for key in keys if key in self._pushed.tasks)
        return Pull(states, here, missing, tuple(self._notices(0 if since is None else since[0])))

    def _look(self) -> None:
        if not self._folder.is_dir():
            raise Unavailable(
                f"The folder of loop {self._setting.loop} must exist. {self._folder} is not there. "
                "Mount its drive, or put it back."
            )
        self._tasks.refresh()
        self._said.refresh()

    def _since(self, cursor: str | None) -> tuple[int, int] | None:
        """The lengths of (annotations.jsonl, pushed.jsonl) at the cursor; None when it says nothing of these files."""
        said, tasks = _positions(cursor)
        if said is None or tasks is None or not (self._said.holds(said) and self._tasks.holds(tasks)):
            return None
        return said.length, tasks.length

    def _changed(self, said: int, tasks: int) -> Iterable[str]:
        """Keys that were spoken of, and keys pushed after they were spoken of."""
        spoken = {key: None for key, end in self._answers.changed.items() if end > said}
        known = {key: None for key, end in self._pushed.since.items() if end > tasks and key in self._answers.changed}
        return spoken | known

    def _notices(self, said: int) -> Iterator[str]:
        """Sentences about the lines behind an offset."""
        faults = [words for end, words in self._answers.faults.items() if end > said]
        strangers = [
            f"annotations.jsonl, line {self._answers.lines[key]} is about {key!r}, which is no task here. "
            "It counts once there is one."
            for key, end in self._answers.changed.items()
            if end > said and key not in self._pushed.tasks
        ]
        for notices in (faults, strangers):
            yield from islice(notices, NOTICES)
            if len(notices) > NOTICES:
                yield f"annotations.jsonl has {len(notices) - NOTICES} more lines of this kind."

    def links(self) -> Mapping[str, str]:
        """The folder, and the file to begin with."""
        return {"project": str(self._folder), "queue": str(self._folder / "tasks.jsonl")}

    def check(self) -> Sequence[Finding]:
        """Whether the folder can be written, and how many lines cannot be used."""
        place = next(one for one in (self._folder, *self._folder.parents) if one.exists())
        writable = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
        found = [
            Finding(f"{self._folder} can be written", writable, "" if writable else f"Give write access to {place}.")
        ]
        if not self._folder.is_dir():
            return found
        with self._told():
            self._look()
        bad = len(self._answers.faults)
        advice = f"{bad} cannot be used. {next(iter(self._answers.faults.values()))}" if bad else ""
        return [*found, Finding("The lines of annotations.jsonl can be used", not bad, advice)]

    def close(self) -> None:
        """Nothing is held open."""

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say what the operating system says in the door's words."""
        try:
            yield
        except (PermissionError, NotADirectoryError, IsADirectoryError, FileExistsError) as error:
            raise Refused(
                f"{error.filename} must be a file that can be read and written. {error.strerror}. Correct it."
            ) from error
        except OSError as error:
            raise Unavailable(f"{self._folder} cannot be used now: {error}. It is tried again.") from error


def _cursor(said: Position, tasks: Position) -> str:
    return f"{said.length}:{said.digest}:{tasks.length}:{tasks.digest}"


def _positions(cursor: str | None) -> tuple[Position, Position] | tuple[None, None]:
    parts = (cursor or "").split(":")
    if len(parts) != 4 or not (parts[0].isdecimal() and parts[2].isdecimal()):
        return None, None
    return Position(int(parts[0]), parts[1]), Position(int(parts[2]), parts[3])
