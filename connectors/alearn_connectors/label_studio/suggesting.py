"""Labels that no person gave, shown on tasks that stand behind the queue.

Each such task carries a prediction of a version of its own. A project orders by one version, and Label Studio serves
the tasks that have none of it only when no other is left: so whatever the queue holds comes first, and pushing a queue
touches nothing here. Without a prediction of the version that orders, Label Studio would serve them by chance and
without their label; so while the queue holds nothing the project is ordered by their version (`take_turn`).

Invariant: a key is noted before its task is made, so that nobody takes it for a task that people added by hand; what
has a prediction is never noted but looked up, so that a kill, or a hand, loses and doubles nothing. A task that anybody
has begun with is never deleted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alearn.errors import Refused
from alearn.platform import Proposal, Proposed, QueueEntry
from alearn_connectors.label_studio import convert
from alearn_connectors.label_studio.client import Client
from alearn_connectors.label_studio.importing import CHUNK, Importer, read_tasks
from alearn_connectors.label_studio.notes import Notes
from alearn_connectors.label_studio.ordering import delete_version
from alearn_connectors.label_studio.project import SAMPLING, Project, change
from alearn_connectors.label_studio.pull import Raw
from alearn_connectors.label_studio.tasks import TaskIndex
from alearn_connectors.label_studio.versions import Versions

PREFIX = "alearn-auto-"
"""How the versions of such predictions begin; people filter by it."""

FEW = 200
"""So many tasks are looked at and deleted at once: nobody annotates one in between, or hardly."""

_NAME = "suggested"


@dataclass
class Memory:
    """What is proposed: the version, and every key whose task was made for it, or is about to be."""

    version: str = ""
    keys: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, notes: Notes) -> Memory | None:
        """As it was noted; None when nothing was."""
        noted: Mapping[str, Any] | None = notes.read(_NAME)
        return None if noted is None else cls(str(noted["version"]), set(noted["keys"]))

    def write(self, notes: Notes) -> None:
        """Note it."""
        notes.write(_NAME, {"version": self.version, "keys": sorted(self.keys)})


def version(notes: Notes) -> str:
    """The version that is proposed in a project, as far as this machine knows; empty when nothing is."""
    memory = Memory.read(notes)
    return "" if memory is None else memory.version


@dataclass
class Suggestions:
    """The suggestions of one project."""

    client: Client
    notes: Notes
    index: TaskIndex
    importer: Importer

    def version(self) -> str:
        """The version that is proposed, as far as this machine knows; empty when nothing is."""
        return version(self.notes)

    def keys(self, project: Project) -> Collection[str]:
        """The keys of the tasks that are here to be looked at, and not because the loop asks.

        A machine that has forgotten them finds them by their predictions.
        """
        memory = Memory.read(self.notes)
        if memory is None:
            there = self._there(project)
            memory = Memory(max(there, default=""), set[str]().union(*there.values()))
            memory.write(self.notes)
        return memory.keys

    def show(
        self,
        project: Project,
        proposals: Sequence[Proposal],
        *,
        version: str,
        asked: Collection[str],
        progress: Callable[[int, int], None],
    ) -> Proposed:
        """Make these, and no others, what is proposed; see `alearn.platform.Suggesting`."""
        name = PREFIX + version if proposals else ""
        wanted, refused = _offered(proposals, project)
        self.importer.refresh()
        there, before = self._there(project), set(self.keys(project))
        gone = before - wanted.keys()
        Memory(name, before | wanted.keys()).write(self.notes)
        have = self._whole(project, name, there)
        fresh = {key: one for key, one in wanted.items() if key not in have or key not in self.index}
        old = {other: keys for other, keys in there.items() if other != name}
        count = _Count(progress, len(fresh) + len(gone) + sum(map(len, old.values())))
        refused |= self._make(project, name, fresh, count.add)
        project = self.take_turn(project)
        removed, kept = self._remove(project, gone, name, asked, count.add)
        for other, keys in old.items():
            delete_version(self.client, project.id, other)
            count.add(len(keys))
        taken = wanted.keys() - refused.keys()
        Memory(name, taken | kept).write(self.notes)
        return Proposed(len(taken), len(taken & fresh.keys()), removed, len(kept), refused)

    def take_turn(self, project: Project) -> Project:
        """Let the project serve the queue while that holds a task, and else what is proposed, least sure first.

        Nothing that is proposed no longer stays the one that is served: it is about to be deleted.
        """
        queue, mine = Versions.read(self.notes).current, self.version()
        if not queue or not (mine or project.model_version.startswith(PREFIX)):
            return project
        serve = next((one for one in (queue, mine) if one and self._holds(project, one)), queue)
        if serve == project.model_version or not self._count(project).get(serve):
            return project
        return change(self.client, project, {"model_version": serve, "sampling": SAMPLING})

    def close(self, tasks: Sequence[Raw]) -> None:
        """Ask nobody else about those of the tasks that somebody has answered: a project that wants several answers of
        each would serve what somebody has begun before the queue. They are the loop's from now on.
        """
        memory = Memory.read(self.notes)
        if memory is None or not memory.keys:
            return
        mine = memory.keys - Versions.read(self.notes).queued()
        for task in tasks:
            key = convert.task_key(task)
            if key in mine and task["annotations"]:
                self.client.patch(f"/api/tasks/{task['id']}/", {"overlap": 1, "is_labeled": True})
                memory.keys.discard(key)
        memory.write(self.notes)

    def _there(self, project: Project) -> dict[str, set[str]]:
        """{version: the keys that have a prediction of it} of all our versions, as Label Studio has them now."""
        names = [one for one in self._count(project) if one.startswith(PREFIX)]
        return {name: {key for _, key in self.index.holding(name) if key is not None} for name in names}

    def _count(self, project: Project) -> Mapping[str, int]:
        """How many predictions there are of each version."""
        found: Mapping[str, int] = self.client.get(f"/api/projects/{project.id}/model-versions/")
        return {name: int(count) for name, count in found.items() if count}

    def _whole(self, project: Project, name: str, there: Mapping[str, set[str]]) -> set[str]:
        """The keys that have a prediction of this version, once; where some have two, all are made anew."""
        keys = there.get(name, set())
        if self._count(project).get(name, 0) > len(keys):
            delete_version(self.client, project.id, name)
            return set()
        return keys

    def _make(
        self, project: Project, name: str, fresh: Mapping[str, Proposal], sent: Callable[[int], None]
    ) -> dict[str, str]:
        """Write what is missing: the tasks that are not there with their prediction, the others' predictions alone."""
        here = [one for key, one in fresh.items() if key in self.index]
        new = {key: one for key, one in fresh.items() if key not in self.index}
        bodies = {key: _prediction(project, one, name) for key, one in new.items()}
        refused = self.importer.run([one.task for one in new.values()], bodies, sent)
        for start in range(0, len(here), CHUNK):
            some = here[start : start + CHUNK]
            self._predict(project, [self._to_task(_prediction(project, one, name), one) for one in some])
            sent(len(some))
        return refused

    def _to_task(self, body: Mapping[str, Any], one: Proposal) -> Mapping[str, Any]:
        return {**body, "task": self.index.ids(one.task.key)[0]}

    def _predict(self, project: Project, bodies: Sequence[Mapping[str, Any]]) -> None:
        """Label Studio may say yes and drop some, so they are counted."""
        made = self.client.post(f"/api/projects/{project.id}/import/predictions", list(bodies), bulk=True)["created"]
        if made != len(bodies):
            raise Refused(
                f"Project {project.id} must take every suggestion. Got {made} of {len(bodies)}: Label Studio drops "
                "those that its label config does not allow. Put the label config back."
            )

    def _remove(
        self, project: Project, gone: Collection[str], name: str, asked: Collection[str], done: Callable[[int], None]
    ) -> tuple[int, set[str]]:
        """Take away what is not proposed any more; returns how many tasks went, and whose have been begun with."""
        removed, kept, tasks = 0, set[str](), {task: key for key in gone for task in self.index.ids(key)}
        for some in _parts(sorted(tasks), FEW):
            spare = []
            for task in read_tasks(self.client, project.id, some, "id,annotations,drafts,predictions"):
                key = tasks[int(task["id"])]
                if key in asked:
                    self._unsay(task, name)
                elif task["annotations"] or task["drafts"]:
                    kept.add(key)
                else:
                    spare.append(int(task["id"]))
            self._delete(project, spare)
            removed += len(spare)
            done(len(some))
        return removed, kept

    def _unsay(self, task: Raw, name: str) -> None:
        """The loop asks about this item now: what was suggested goes, unless somebody has answered beside it."""
        for one in () if task["annotations"] else task["predictions"]:
            if one["model_version"] == name:
                self.client.delete(f"/api/predictions/{one['id']}/")

    def _delete(self, project: Project, tasks: Sequence[int]) -> None:
        if tasks:
            self.client.post(
                "/api/dm/actions",
                {"selectedItems": {"all": False, "included": list(tasks)}},
                {"id": "delete_tasks", "project": project.id},
                bulk=True,
            )
            self.index.remove(set(tasks))

    def _holds(self, project: Project, version: str) -> bool:
        """Whether a task of this version is still to be answered."""
        items = [
            {
                "filter": "filter:tasks:predictions_model_versions",
                "operator": "contains",
                "type": "List",
                "value": [version],
            },
            {"filter": "filter:tasks:completed_at", "operator": "empty", "type": "Datetime", "value": True},
        ]
        query = json.dumps({"filters": {"conjunction": "and", "items": items}, "ordering": ["tasks:id"]})
        params = {"project": project.id, "page_size": 1, "include": "id", "query": query}
        return bool(self.client.get("/api/tasks", params)["total"])


@dataclass
class _Count:
    """How far it has come."""

    progress: Callable[[int, int], None]
    total: int
    done: int = 0

    def add(self, count: int) -> None:
        self.done = min(self.done + count, self.total)
        self.progress(self.done, self.total)


def _offered(proposals: Sequence[Proposal], project: Project) -> tuple[dict[str, Proposal], dict[str, str]]:
    """The proposals by key, without those whose label the project does not offer now; and why not."""
    choices = project.offer.choices if project.offer else ()
    wanted = {one.task.key: one for one in proposals if one.label in choices}
    refused = {
        one.task.key: f"the project does not offer {one.label!r} now" for one in proposals if one.label not in choices
    }
    return wanted, refused


def _prediction(project: Project, one: Proposal, name: str) -> dict[str, Any]:
    """The prediction of a proposal, without its task."""
    assert project.offer is not None, "what offers the label is an offer"
    entry = QueueEntry(one.task.key, one.confidence, one.label, one.confidence)
    made = convert.prediction_json(0, entry, name, project.offer, suggest=True)
    return {name: value for name, value in made.items() if name != "task"}


def _parts(tasks: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(tasks), size):
        yield tasks[start : start + size]
