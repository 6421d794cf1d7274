"""The order in which a project serves its tasks: predictions of one version, lowest score first.

Label Studio orders by the predictions whose version is the project's `model_version`, and falls back to chance silently
when there are none. So a queue is written beside the old one, counted, and made current by one PATCH.

Old versions are not deleted at once, though they are no longer looked at. Whoever has a task open when its suggestion
is deleted cannot submit it (400, `parent_prediction` does not exist); and while PostgreSQL deletes, the tasks concerned
are locked and not served. So a version goes when its tasks have left the queue and nobody can have one open any more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress

from alearn.errors import PlatformError, Refused, Unavailable
from alearn.platform import Queue, QueueEntry
from alearn_connectors.label_studio import convert
from alearn_connectors.label_studio.client import Client, Rejected
from alearn_connectors.label_studio.notes import Notes
from alearn_connectors.label_studio.project import SAMPLING, Project, change, read
from alearn_connectors.label_studio.tasks import TaskIndex
from alearn_connectors.label_studio.versions import Version, Versions

PARTS, FEWEST = 4, 8
"""PostgreSQL locks the tasks that predictions are being written of, and `next` skips what is locked: so each request is
about every fourth task, and there is always one to serve. Fewer tasks than so many are not worth a request."""


class Ordering:
    """The order of one project. `suggest`: whether predictions carry a suggestion, and `least`: from which confidence
    on. `now`: the wall clock, seconds.
    """

    def __init__(
        self,
        client: Client,
        notes: Notes,
        index: TaskIndex,
        *,
        suggest: bool,
        least: float = 0.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._notes = notes
        self._index = index
        self._suggest = suggest
        self._least = least
        self._now = now
        self._sweeper: Sweeper | None = None

    def show(self, project: Project, queue: Queue) -> Project:
        """Make the project serve the queue's tasks in its order; returns the project as it is then."""
        entries = self._present(queue)
        if not queue.version or not entries:
            return project
        self.settle()
        versions = Versions.read(self._notes)
        self._write(project, queue.version, entries, versions)
        project = self._serve(project, queue.version)
        versions.serve(queue.version, {entry.key for entry in entries}, self._now())
        versions.write(self._notes)
        self._sweep(project, versions.due(self._now()))
        return project

    def settle(self, patience: float | None = None) -> None:
        """Wait until the background has deleted what it was given; at most `patience` seconds."""
        if self._sweeper is None:
            return
        self._sweeper.join(patience)
        if not self._sweeper.is_alive():
            versions = Versions.read(self._notes)
            versions.forget(self._sweeper.deleted)
            versions.write(self._notes)
            self._sweeper = None

    def abandon(self) -> None:
        """Let the background end what it is doing, and begin nothing more."""
        if self._sweeper is not None:
            self._sweeper.stopped.set()

    def _present(self, queue: Queue) -> list[QueueEntry]:
        """The entries whose tasks are there; one that people deleted has no place."""
        return [entry for entry in queue.entries if entry.key in self._index]

    def _serve(self, project: Project, version: str) -> Project:
        """Make a version current. Hiding suggestions resets it, unless the same request sets it."""
        if self._is_served(project, version):  # an earlier try got through, and somebody may have changed it since
            project = read(self._client, project.id)
            if self._is_served(project, version):
                return project
        settings = {"model_version": version, "sampling": SAMPLING, "show_collab_predictions": self._suggest}
        current = change(self._client, project, settings)
        if current.model_version != version:
            raise Refused(
                f"Project {project.id} must take the model version {version!r}. Got {current.model_version!r}. Detach "
                "its ML backend, or give the loop a project of its own."
            )
        return current

    def _is_served(self, project: Project, version: str) -> bool:
        return (project.model_version, project.sampling, project.suggestions) == (version, SAMPLING, self._suggest)

    def _write(self, project: Project, version: str, entries: Sequence[QueueEntry], versions: Versions) -> None:
        """Write the predictions that are not there yet, and see that they all are."""
        known = self._known(project, version, entries, versions)
        new = [entry for entry in entries if entry.key not in known.keys]
        try:
            self._post_all(project, version, new, known, versions)
        except (Rejected, _Dropped):  # a task was deleted, or the label config was edited, since we looked
            self._index.refresh()
            delete_version(self._client, project.id, version)
            known.keys, new = set(), [entry for entry in entries if entry.key in self._index]
            self._post_all(read(self._client, project.id), version, new, known, versions)

    def _post_all(
        self, project: Project, version: str, entries: Sequence[QueueEntry], known: Version, versions: Versions
    ) -> None:
        """Write predictions in parts, each noted before and after."""
        parts = max(1, min(PARTS, len(entries) // FEWEST))
        for at in range(parts if entries else 0):
            part = entries[at::parts]
            versions.begin(version, known, {entry.key for entry in part})
            versions.write(self._notes)
            self._post(project, version, part)
            known.complete()
            versions.write(self._notes)

    def _known(self, project: Project, version: str, entries: Sequence[QueueEntry], versions: Versions) -> Version:
        """What is there of the version for certain; what may be there of it, and is not known, is deleted."""
        known = versions.by_name.get(version)
        if known is None and versions.by_name:
            return Version()  # this machine remembers the project, and has never tried this version
        count = self._count(project, version)
        if known is not None and known.whole and count >= sum(entry.key in known.keys for entry in entries):
            return known
        if known is not None and known.trying and count == len(known.keys | known.trying):
            known.complete()  # all was written, and only the answer got lost
            return known
        if count:  # a try was cut short, people have deleted some, or nothing is known
            delete_version(self._client, project.id, version)
        return Version()

    def _count(self, project: Project, version: str) -> int:
        """How many predictions the project holds of a version."""
        return int(self._client.get(f"/api/projects/{project.id}/model-versions/").get(version, 0))

    def _post(self, project: Project, version: str, entries: Sequence[QueueEntry]) -> None:
        """Write predictions. Label Studio may say yes and drop some, so they are counted."""
        if project.offer is None:
            raise Unavailable(
                f"Project {project.id} must hold one Choices control. Got none. Put its label config back."
            )
        body = [
            convert.prediction_json(
                self._index.ids(entry.key)[0],
                entry,
                version,
                project.offer,
                suggest=self._suggest,
                least=self._least,
            )
            for entry in entries
        ]
        answer = self._client.post(f"/api/projects/{project.id}/import/predictions", body, bulk=True)
        if answer["created"] != len(body):
            raise _Dropped(
                f"Project {project.id} must take the whole queue. Got {answer['created']} of {len(body)} predictions: "
                "Label Studio drops those that its label config does not allow. Put the label config back."
            )

    def _sweep(self, project: Project, due: Sequence[str]) -> None:
        if due:
            self._sweeper = Sweeper(self._client.twin(), project.id, due)
            self._sweeper.start()


class _Dropped(Refused):
    """Predictions were dropped silently."""


class Sweeper(threading.Thread):
    """Deletes versions, milliseconds a row, where nobody waits for it. What it cannot delete now is due again later."""

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
