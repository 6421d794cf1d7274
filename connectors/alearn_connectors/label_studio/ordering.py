"""The order in which a project serves its tasks: predictions of one version, lowest score first.

Label Studio orders by the predictions whose version is the project's `model_version`, and falls back to chance silently
when there are none. So a queue is written beside the old one, checked, made current by one PATCH, and only then is the
old one deleted: slowly (milliseconds a row) and in the background, where nobody waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

from alearn.errors import PlatformError, Refused
from alearn.platform import Queue, QueueEntry
from alearn_connectors.label_studio import convert
from alearn_connectors.label_studio.client import Client, Rejected
from alearn_connectors.label_studio.notes import Notes
from alearn_connectors.label_studio.project import SAMPLING, Project, change
from alearn_connectors.label_studio.tasks import TaskIndex

_NAME = "queue"


@dataclass
class Shown:
    """What this machine knows of the predictions in a project.

    `keys` have one of `version`; `whole` is False from before it is written until it is known to be; `old` are versions
    that are still to be deleted.
    """

    version: str = ""
    keys: set[str] = field(default_factory=set)
    whole: bool = False
    old: set[str] = field(default_factory=set)


class Ordering:
    """The order of one project. `suggest`: whether predictions carry a suggestion."""

    def __init__(self, client: Client, notes: Notes, index: TaskIndex, *, suggest: bool) -> None:
        self._client = client
        self._notes = notes
        self._index = index
        self._suggest = suggest
        self._sweeper: Sweeper | None = None

    def show(self, project: Project, queue: Queue) -> Project:
        """Make the project serve the queue's tasks in its order; returns the project as it is then."""
        entries = self._present(queue)
        if not queue.version or not entries:
            return project
        self.settle()
        shown = self._clean(project, queue.version, entries)
        self._write(project, queue.version, entries, shown)
        current = change(
            self._client,
            project,
            {"model_version": queue.version, "sampling": SAMPLING, "show_collab_predictions": self._suggest},
        )
        if current.model_version != queue.version:
            raise Refused(
                f"Project {project.id} must take the model version {queue.version!r}. Got {current.model_version!r}. "
                "Detach its ML backend, or give the loop a project of its own."
            )
        self._sweep(project, shown)
        return current

    def version(self) -> str:
        """The version that the project was told to serve last; empty when that is not known."""
        return self.version_noted(self._notes)

    @staticmethod
    def version_noted(notes: Notes) -> str:
        """The same, out of a project's notes."""
        return str((notes.read(_NAME) or {}).get("version", ""))

    def settle(self, patience: float | None = None) -> None:
        """Wait until the background has deleted what it was given; at most `patience` seconds."""
        if self._sweeper is None:
            return
        self._sweeper.join(patience)
        if self._sweeper.is_alive():
            return
        shown = self._read()
        shown.old -= self._sweeper.deleted
        self._remember(shown)
        self._sweeper = None

    def _present(self, queue: Queue) -> list[QueueEntry]:
        """The entries whose tasks are there; one that people deleted has no place."""
        return [entry for entry in queue.entries if entry.key in self._index]

    def _clean(self, project: Project, version: str, entries: Sequence[QueueEntry]) -> Shown:
        """What is there of the version for certain; what may be there of it, and is not known, is deleted."""
        shown = self._read()
        if shown.version == version and shown.whole:
            known = sum(entry.key in shown.keys for entry in entries)
            if self._count(project, version) >= known:  # else people have deleted some
                return shown
        old = shown.old | ({shown.version} - {""})
        if (not shown.version or version in old) and self._count(project, version):
            delete_version(self._client, project.id, version)  # nothing is known of it, or a try was cut short
        return Shown(version, set(), whole=False, old=old - {version})

    def _count(self, project: Project, version: str) -> int:
        """How many predictions the project holds of a version."""
        return int(self._client.get(f"/api/projects/{project.id}/model-versions/").get(version, 0))

    def _write(self, project: Project, version: str, entries: Sequence[QueueEntry], shown: Shown) -> None:
        """Write the predictions that are not there yet, and see that they all are."""
        new = [entry for entry in entries if entry.key not in shown.keys]
        if new:
            shown.whole = False
            self._remember(shown)
            try:
                written = self._post(project, version, new)
            except Rejected:  # a task was deleted since the index was looked at; some rows may be there
                self._index.refresh()
                delete_version(self._client, project.id, version)
                shown.keys = set()
                written = self._post(project, version, [entry for entry in entries if entry.key in self._index])
            shown.keys |= written
        shown.whole = True
        self._remember(shown)

    def _post(self, project: Project, version: str, entries: Sequence[QueueEntry]) -> set[str]:
        """Write predictions; returns their keys. Label Studio may say yes and drop some, so they are counted."""
        assert project.offer is not None, "the caller has seen that our tasks fit"
        body = [
            convert.prediction_json(self._index.ids(entry.key)[0], entry, version, project.offer, suggest=self._suggest)
            for entry in entries
        ]
        answer = self._client.post(f"/api/projects/{project.id}/import/predictions", body, bulk=True)
        if answer["created"] != len(body):
            raise Refused(
                f"Project {project.id} must take the whole queue. Got {answer['created']} of {len(body)} predictions: "
                "Label Studio drops those that its label config does not allow. Put the label config back."
            )
        return {entry.key for entry in entries}

    def abandon(self) -> None:
        """Let the background end what it is doing, and begin nothing more."""
        if self._sweeper is not None:
            self._sweeper.stopped.set()

    def _sweep(self, project: Project, shown: Shown) -> None:
        if shown.old:
            self._sweeper = Sweeper(self._client.twin(), project.id, sorted(shown.old))
            self._sweeper.start()

    def _read(self) -> Shown:
        noted: dict[str, Any] = self._notes.read(_NAME) or {}
        return Shown(
            str(noted.get("version", "")),
            set(noted.get("keys", ())),
            bool(noted.get("whole")),
            set(noted.get("old", ())),
        )

    def _remember(self, shown: Shown) -> None:
        self._notes.write(
            _NAME,
            {
                "version": shown.version,
                "keys": sorted(shown.keys),
                "whole": shown.whole,
                "old": sorted(shown.old),
            },
        )


class Sweeper(threading.Thread):
    """Deletes versions that are no longer served. What it cannot delete now is tried again after the next push."""

    def __init__(self, client: Client, project: int, versions: Sequence[str]) -> None:
        super().__init__(name="alearn-sweeper", daemon=True)
        self._client = client
        self._project = project
        self._versions = versions
        self.deleted: set[str] = set()
        self.stopped = threading.Event()

    def run(self) -> None:
        """Delete one version after the other."""
        with suppress(PlatformError), closing(self._client):
            for version in self._versions:
                if self.stopped.is_set():
                    return
                delete_version(self._client, self._project, version)
                self.deleted.add(version)


def delete_version(client: Client, project: int, version: str) -> None:
    """Delete all predictions of a version. Never the one that is served: the order would become chance."""
    client.delete(f"/api/projects/{project}/model-versions/", {"model_version": version})
