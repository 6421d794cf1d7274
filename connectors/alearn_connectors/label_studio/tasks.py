"""Which tasks a project holds, and which item each is about: {task id: key}.

Invariant: after `refresh` it is what Label Studio holds. Normally that costs one request: the number of tasks and the
newest of them are compared. Ids alone prove nothing, since SQLite gives the ids of deleted tasks to new ones; so the
newest task's key is compared too, and when anything differs the list is read again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from alearn_connectors.label_studio.client import Client
from alearn_connectors.label_studio.convert import task_key
from alearn_connectors.label_studio.notes import Notes

PAGE = 1000
"""Tasks per request when many are read."""

NAME = "tasks"


class TaskIndex:
    """The tasks of one project. A key has several ids when a task was doubled; None is the key of a stranger's task."""

    def __init__(self, client: Client, project: int, notes: Notes) -> None:
        self._client = client
        self._project = project
        self._notes = notes
        self._set((int(task), key) for task, key in notes.read(NAME) or ())

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: str) -> bool:
        return bool(self._ids.get(key))

    def ids(self, key: str) -> Sequence[int]:
        """The ids of the tasks with this key, lowest first."""
        return sorted(self._ids.get(key, ()))

    def keys(self) -> Collection[str]:
        """The keys that have a task."""
        return self._ids.keys()

    def doubled(self) -> Mapping[str, Sequence[int]]:
        """The keys that have more than one task."""
        return {key: sorted(ids) for key, ids in self._ids.items() if len(ids) > 1}

    def strangers(self) -> Sequence[int]:
        """The ids of the tasks that carry no key, lowest first."""
        return sorted(task for task, key in self._keys.items() if key is None)

    def all(self) -> Collection[int]:
        """The ids of all tasks."""
        return self._keys.keys()

    def holding(self, version: str) -> Iterator[tuple[int, str | None]]:
        """The tasks that have a prediction of this version, with their keys, lowest id first, as they are now."""
        has = {
            "filter": "filter:tasks:predictions_model_versions",
            "operator": "contains",
            "type": "List",
            "value": [version],
        }
        return self._list(after=0, also=[has])

    def refresh(self) -> None:
        """Make it what Label Studio holds."""
        total, newest = self._newest()
        if total == len(self._keys) and (newest is None or newest in self._keys.items()):
            return
        if not (newest and self._appended(total, newest[0])):
            self._set(self._list(after=0))
        self._save()

    def add(self, pairs: Iterable[tuple[int, str | None]]) -> None:
        """Take in tasks that were just made."""
        for task, key in pairs:
            self._put(task, key)
        self._save()

    def remove(self, tasks: Collection[int]) -> None:
        """Forget tasks that were just deleted."""
        self._set((task, key) for task, key in self._keys.items() if task not in tasks)
        self._save()

    def _set(self, pairs: Iterable[tuple[int, str | None]]) -> None:
        self._keys: dict[int, str | None] = {}
        self._ids: dict[str, list[int]] = {}
        for task, key in pairs:
            self._put(task, key)

    def _put(self, task: int, key: str | None) -> None:
        before = self._keys.get(task)
        if before is not None and before != key:  # the id was given to another item
            self._ids[before].remove(task)
        if key is not None and before != key:
            self._ids.setdefault(key, []).append(task)
        self._keys[task] = key

    def _save(self) -> None:
        self._notes.write(NAME, list(self._keys.items()))

    def _newest(self) -> tuple[int, tuple[int, str | None] | None]:
        """How many tasks there are, and the newest."""
        total, found = self._page({"ordering": ["-tasks:id"]}, size=1)
        return total, (found[0] if found else None)

    def _appended(self, total: int, newest: int) -> bool:
        """Read only what is newer than what is known, where that explains the difference; False where it does not."""
        last = max(self._keys, default=0)
        if not last or newest <= last or total <= len(self._keys):
            return False
        new = list(self._list(after=last - 1))
        if not new or new[0] != (last, self._keys[last]) or len(self._keys) + len(new) - 1 != total:
            return False
        for task, key in new[1:]:
            self._put(task, key)
        return True

    def _list(self, after: int, also: Sequence[Mapping[str, Any]] = ()) -> Iterator[tuple[int, str | None]]:
        """All tasks with a higher id, lowest first; each request starts at the last id, so that deletions skip none.

        `also` are further filters.
        """
        while True:
            newer = {"filter": "filter:tasks:id", "operator": "greater", "type": "Number", "value": after}
            query = {"filters": {"conjunction": "and", "items": [newer, *also]}, "ordering": ["tasks:id"]}
            _, found = self._page(query, size=PAGE)
            yield from found
            if len(found) < PAGE:
                return
            after = found[-1][0]

    def _page(self, query: Mapping[str, Any], size: int) -> tuple[int, list[tuple[int, str | None]]]:
        answer = self._client.get(
            "/api/tasks",
            {
                "project": self._project,
                "page_size": size,
                "include": "id,data",
                "query": json.dumps(query),
            },
        )
        return int(answer["total"]), [(int(task["id"]), task_key(task)) for task in answer["tasks"]]
