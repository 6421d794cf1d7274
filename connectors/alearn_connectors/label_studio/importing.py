"""Making tasks, each once.

Label Studio does not know our keys, so importing twice makes doubles; and an import whose answer got lost may still be
at work. So what is about to be sent is noted first, and is waited for after a crash; and a double that comes about all
the same (somebody imported an export) is removed as long as nobody has answered it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alearn.core.schema import DataKind
from alearn.errors import Refused, Unavailable
from alearn.platform import Task
from alearn_connectors.label_studio import convert
from alearn_connectors.label_studio.client import Client, Rejected
from alearn_connectors.label_studio.media import Media, Unshowable
from alearn_connectors.label_studio.notes import Notes
from alearn_connectors.label_studio.tasks import TaskIndex

CHUNK, CHUNK_BYTES = 1000, 20_000_000
"""An import request holds at most this many tasks, and characters."""

_NAME = "sending"

Bodies = Sequence[tuple[str, Mapping[str, Any]]]
"""Tasks as they are sent: (key, body)."""


@dataclass(frozen=True)
class Importer:
    """Imports into one project. `now` tells the seconds of the clock on the wall, which outlives a process."""

    client: Client
    project: int
    data: DataKind
    media: Media
    notes: Notes
    index: TaskIndex
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def run(
        self,
        tasks: Sequence[Task],
        predictions: Mapping[str, Mapping[str, Any]] | None = None,
        sent: Callable[[int], None] = lambda count: None,
    ) -> dict[str, str]:
        """Make the tasks that are not there yet; returns {key: reason} of those that cannot be made.

        With the `predictions` of their keys, each in the request of its task. `sent` is told of so many that are done.
        """
        self.refresh()
        new = {task.key: task for task in tasks if task.key not in self.index}
        bodies, refused = self._bodies(new.values(), predictions or {})
        for chunk in _chunks(bodies):
            self._send(chunk, refused)
            sent(len(chunk))
        return refused

    def refresh(self) -> None:
        """Let the index be what there is, once nothing that was sent before can still come."""
        self.index.refresh()
        self._await_sent()
        self._remove_doubles()

    def _bodies(
        self, tasks: Iterable[Task], predictions: Mapping[str, Mapping[str, Any]]
    ) -> tuple[list[tuple[str, Mapping[str, Any]]], dict[str, str]]:
        bodies: list[tuple[str, Mapping[str, Any]]] = []
        refused: dict[str, str] = {}
        for task in tasks:
            try:
                body = convert.task_json(task, self.data, self.media.shown(task))
                with_it = {"predictions": [predictions[task.key]]} if task.key in predictions else {}
                bodies.append((task.key, {**body, **with_it}))
            except Unshowable as error:
                refused[task.key] = str(error)
        return bodies, refused

    def _send(self, chunk: Bodies, refused: dict[str, str]) -> None:
        """Import a chunk. A refusal is atomic: halves are tried until what is at fault stands alone."""
        self.notes.write(_NAME, {"keys": [key for key, _ in chunk], "at": self.now()})
        try:
            made = self._import([body for _, body in chunk])
        except Rejected as error:
            self.notes.write(_NAME, None)
            if "is expected in task data" in error.detail:
                raise Unavailable(
                    f"The label config of project {self.project} must ask about ${self.data} alone. Got: "
                    f"{error.detail}. Put it back in the project's settings, and the loop goes on."
                ) from error
            if len(chunk) == 1:
                refused[chunk[0][0]] = error.detail
                return
            self._send(chunk[: len(chunk) // 2], refused)
            self._send(chunk[len(chunk) // 2 :], refused)
            return
        self.index.add((task, key) for task, (key, _) in zip(made, chunk, strict=True))
        self.notes.write(_NAME, None)

    def _import(self, bodies: Sequence[Mapping[str, Any]]) -> list[int]:
        answer = self.client.post(
            f"/api/projects/{self.project}/import", list(bodies), {"return_task_ids": "true"}, bulk=True
        )
        made = [int(task) for task in answer.get("task_ids") or ()]
        if len(made) != len(bodies):
            raise Refused(
                f"Label Studio at {self.client.url} must name the tasks it makes. Got {len(made)} ids for "
                f"{len(bodies)} tasks. alearn needs the Community edition, whose imports are done when they are "
                "answered."
            )
        return made

    def _await_sent(self) -> None:
        """Wait for an import that was begun and not confirmed, until it is there or can no longer come."""
        sent = self.notes.read(_NAME)
        if not sent:
            return
        deadline = min(float(sent["at"]), self.now()) + _patience(len(sent["keys"]))
        while self.now() < deadline and not all(key in self.index for key in sent["keys"]):
            self.sleep(0.5)
            self.index.refresh()
        self.notes.write(_NAME, None)

    def _remove_doubles(self) -> None:
        """Of tasks with the same key one stays, and every one that has been answered."""
        doubled = self.index.doubled()
        if not doubled:
            return
        ids = [task for tasks in doubled.values() for task in tasks]
        read = read_tasks(self.client, self.project, ids, "id,annotations")
        answered = {int(task["id"]) for task in read if task["annotations"]}
        spare = [
            task
            for tasks in doubled.values()
            for task in tasks
            if task not in (answered.intersection(tasks) or {tasks[0]})
        ]
        if spare:
            self.client.post(
                "/api/dm/actions",
                {"selectedItems": {"all": False, "included": spare}},
                {"id": "delete_tasks", "project": self.project},
                bulk=True,
            )
            self.index.remove(set(spare))


def read_tasks(client: Client, project: int, ids: Sequence[int], include: str) -> Iterator[Mapping[str, Any]]:
    """Some tasks by their ids, as they are kept; those that are gone are left out. So few at a time fit into a URL."""
    for some in _batches(ids):
        query = {"selectedItems": {"all": False, "included": list(some)}}
        params = {"project": project, "fields": "all", "include": include, "page_size": len(some)}
        params["resolve_uri"] = "false"  # else a storage's URLs come as Label Studio's own
        yield from client.get("/api/tasks", {**params, "query": json.dumps(query)})["tasks"]


def _patience(count: int) -> float:
    """How long an import of so many tasks may still be at work after its client is gone, seconds; measured: 2,000/s."""
    return 3.0 + count / 100


def _batches(ids: Sequence[int], size: int = 200) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def _chunks(bodies: Bodies) -> Iterator[Bodies]:
    """Parts of at most CHUNK tasks and, unless a single one is larger, CHUNK_BYTES characters."""
    chunk: list[tuple[str, Mapping[str, Any]]] = []
    size = 0
    for key, body in bodies:
        length = sum(len(value) for value in body["data"].values())
        if chunk and (len(chunk) == CHUNK or size + length > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append((key, body))
        size += length
    if chunk:
        yield chunk
