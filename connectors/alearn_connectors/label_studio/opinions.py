"""Asking more than one person about a task, with the order of the queue kept.

A project that wants several annotations of every task serves those that somebody has begun by chance. A single task can
want more than its project does: then it stays in the queue, at its place, for everybody who has not answered it; Label
Studio never shows it to the same person twice. Seen on 1.23.2.

Invariant: what was asked for is noted after Label Studio has taken it, so that a kill costs a request, not a question.
"""

from __future__ import annotations

from collections.abc import Sequence

from alearn.platform import QueueEntry
from alearn_connectors.label_studio.client import Client, Missing
from alearn_connectors.label_studio.notes import Notes
from alearn_connectors.label_studio.tasks import TaskIndex

NAME = "opinions"


def ask(client: Client, notes: Notes, index: TaskIndex, entries: Sequence[QueueEntry]) -> None:
    """Let the entries' tasks want as many annotations as they say; those that were told already cost nothing."""
    known: dict[str, int] = notes.read(NAME) or {}
    wanted = {one.key: one.opinions for one in entries if known.get(one.key, 1) < one.opinions and one.key in index}
    for key, opinions in wanted.items():
        _ask(client, index, key, opinions)
        known[key] = opinions
    if wanted:
        notes.write(NAME, known)


def _ask(client: Client, index: TaskIndex, key: str, opinions: int) -> None:
    """A task that is deleted meanwhile is found missing by the next look."""
    for task in index.ids(key)[:1]:
        try:
            client.patch(f"/api/tasks/{task}/", {"overlap": opinions, "is_labeled": False})
        except Missing:
            return
