"""Tasks that people added by hand become items of the loop.

Somebody types tasks into the project or imports a file of them: strangers, which carry no key. Each gets the key of its
content written into its data, and is a task like any other from then on.

The key is written before the loop has kept the item. So what was told counts as kept only when the loop asks again;
until then, after a kill too, every task whose key the loop was not given by anything else is looked at once more, and
told when its key is the hash of what it shows. Keys are computed, so telling twice is telling once.

Invariant: of a task's data nothing is changed but our own field, and a pull does a bounded amount of this.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alearn.core.schema import DataKind
from alearn.platform import Found
from alearn_connectors.label_studio.client import Client, Forbidden, Missing, Rejected
from alearn_connectors.label_studio.contents import Contents, Unadoptable
from alearn_connectors.label_studio.convert import KEY, task_key
from alearn_connectors.label_studio.importing import read_tasks
from alearn_connectors.label_studio.media import Media
from alearn_connectors.label_studio.notes import Notes
from alearn_connectors.label_studio.project import Project
from alearn_connectors.label_studio.pull import INCLUDE, Raw
from alearn_connectors.label_studio.tasks import TaskIndex

TASKS, SECONDS = 200, 20.0
"""A pull looks at no more tasks, and begins none after so long; the next one goes on."""

NAMED = 10
"""So many tasks are named in a sentence."""

_NAME = "strangers"


@dataclass
class Left:
    """A stranger that could not be adopted: what it showed, and whether that may be otherwise later."""

    shown: str
    passing: bool


@dataclass
class Memory:
    """What was found out about tasks. `kept`: keys that are nobody's to look at any more, whoever made their task."""

    kept: set[str]
    left: dict[int, Left]

    @classmethod
    def read(cls, notes: Notes) -> Memory:
        """As it was noted; empty when it was not."""
        noted: Mapping[str, Any] = notes.read(_NAME) or {}
        left = {int(task): Left(str(shown), bool(passing)) for task, shown, passing in noted.get("left", ())}
        return cls(set(noted.get("kept", ())), left)

    def write(self, notes: Notes) -> None:
        """Note it."""
        left = [(task, one.shown, one.passing) for task, one in self.left.items()]
        notes.write(_NAME, {"kept": sorted(self.kept), "left": left})


@dataclass
class Adopted:
    """What came of a look: items, their tasks with the annotations they brought, and sentences for people."""

    found: dict[str, Found] = field(default_factory=dict)
    tasks: list[Raw] = field(default_factory=list)
    reasons: dict[str, list[int]] = field(default_factory=dict)

    def notices(self, project: Project) -> Iterator[str]:
        """One sentence for each reason why tasks were left."""
        for reason, tasks in self.reasons.items():
            names = ", ".join(map(str, tasks[:NAMED])) + (f" and {len(tasks) - NAMED} more" if tasks[NAMED:] else "")
            where = f"project {project.title!r} ({project.id})"
            yield f"Tasks {names} of {where} were added by hand and are left out: {reason}."


class Adopter:
    """Adopts the strangers of one project. `now` tells seconds, for how long a look takes."""

    def __init__(
        self,
        client: Client,
        data: DataKind,
        *,
        contents: Contents,
        media: Media,
        notes: Notes,
        index: TaskIndex,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._data = data
        self._contents = contents
        self._media = media
        self._notes = notes
        self._index = index
        self._now = now
        self._memory = Memory.read(notes)
        self._told: set[str] = set()
        self._work: list[int] = []

    @property
    def busy(self) -> bool:
        """Whether the last look left something to the next."""
        return bool(self._work)

    def confirm(self) -> None:
        """The loop asks again, so it has kept what it was told."""
        if self._told:
            self._memory.kept |= self._told
            self._memory.write(self._notes)
            self._told = set()

    def look(self, project: Project, pushed: Sequence[str] | None, aside: Collection[str] = ()) -> Adopted:
        """Adopt what there is, or a part of it; with `pushed`, the keys the loop was known to have, also look again at
        what was told and perhaps not kept, and at what could not be read before. Keys that are `aside` are nobody's.
        """
        if project.tasks != len(self._index):
            self._index.refresh()
        self._work = self._due(pushed, aside)
        adopted = Adopted()
        if self._work:
            self._contents.begin()
            self._adopt(project, adopted)
        return adopted

    def tell(self, adopted: Adopted) -> tuple[Found, ...]:
        """The items, for the loop: from now on they are told, and kept as soon as it asks again."""
        self._told |= adopted.found.keys()
        return tuple(adopted.found.values())

    def _due(self, pushed: Sequence[str] | None, aside: Collection[str]) -> list[int]:
        """The ids of the tasks to look at, those of the last look first."""
        strangers, left = self._index.strangers(), self._memory.left
        due = dict.fromkeys(task for task in self._work if task in self._index.all())
        due |= dict.fromkeys(task for task in strangers if task not in left)
        if pushed is not None:
            due |= dict.fromkeys(task for task in strangers if task in left and left[task].passing)
            due |= dict.fromkeys(strangers[-TASKS:])  # SQLite gives the ids of the newest again, when they were deleted
            unknown = set(self._index.keys()).difference(pushed, self._memory.kept, self._told, aside)
            due |= dict.fromkeys(task for key in sorted(unknown) for task in self._index.ids(key))
        return list(due)

    def _adopt(self, project: Project, adopted: Adopted) -> None:
        """Look at some of the work, oldest first; what a failure leaves is looked at again."""
        deadline = self._now() + SECONDS
        batch, done, keyed = self._work[:TASKS], set[int](), list[tuple[int, str | None]]()
        try:
            for task in read_tasks(self._client, project.id, batch, INCLUDE):
                if done and self._now() > deadline:
                    batch = [number for number in batch if number in done]
                    break
                done.add(int(task["id"]))
                if key := self._take(task, adopted):
                    keyed.append((int(task["id"]), key))
        finally:
            self._index.add(keyed)
            self._memory.write(self._notes)
        looked_at = set(batch)
        self._work = [task for task in self._work if task not in looked_at]

    def _take(self, task: Raw, adopted: Adopted) -> str | None:
        """Adopt one task where that can be done; returns the key that it carries then."""
        number, data = int(task["id"]), dict(task["data"])
        key, value = task_key(task), data.get(self._data)
        if key is None and self._is_left(number, value):
            return None
        if key is not None and self._media.made(value):
            self._memory.kept.add(key)
            return key
        try:
            found = self._contents.found(value)
            if key is None:
                self._write(number, {**data, KEY: found.key})
        except Missing:  # deleted meanwhile
            return None
        except Unadoptable as reason:
            self._leave(number, key, value, reason, adopted)
            return key
        self._memory.left.pop(number, None)
        if key not in {None, found.key}:
            self._memory.kept.add(str(key))  # a key of somebody else's, or of the loop's own making
            return key
        adopted.found[found.key] = found
        adopted.tasks.append({**task, "data": {**data, KEY: found.key}})
        return found.key

    def _write(self, number: int, data: Mapping[str, Any]) -> None:
        try:
            self._client.patch(f"/api/tasks/{number}/", {"data": data})
        except (Rejected, Forbidden) as error:
            raise Unadoptable(f"Label Studio does not let their data be changed ({error.detail})") from error

    def _is_left(self, number: int, value: object) -> bool:
        """Whether it was left for good, for what it still shows."""
        left = self._memory.left.get(number)
        return left is not None and not left.passing and left.shown == _digest(value)

    def _leave(self, number: int, key: str | None, value: object, reason: Unadoptable, adopted: Adopted) -> None:
        """Remember why; told when it was not told of the same content before."""
        if key is not None:
            if not reason.passing:
                self._memory.kept.add(key)
            return
        before, shown = self._memory.left.get(number), _digest(value)
        self._memory.left[number] = Left(shown, reason.passing)
        if before is None or before.shown != shown:
            adopted.reasons.setdefault(str(reason), []).append(number)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
