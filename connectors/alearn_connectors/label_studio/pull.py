"""What annotators have done since a cursor, out of Label Studio's list of tasks.

The cursor is a time of the server's own clock. A task's `updated_at` moves with everything that is done to its
annotations (made, edited, skipped, deleted), and with nothing that alearn does in bulk. Two things could hide a change.
A transaction may commit a little later than the time it carries: so the cursor stays `WINDOW` behind the server's
clock, and what lies between is read again. And rows shift between pages while people work: so each page starts at the
last row of the one before, instead of at a page number.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from alearn.platform import TaskState
from alearn_connectors.label_studio import convert
from alearn_connectors.label_studio.client import Client
from alearn_connectors.label_studio.importing import read_tasks
from alearn_connectors.label_studio.tasks import PAGE, TaskIndex

WINDOW = timedelta(seconds=10)
"""A change may become visible this much later than its time says."""

BEGINNING = "1970-01-01T00:00:00.000000Z"

INCLUDE = "id,data,updated_at,annotations,result,was_cancelled,completed_by,created_at,lead_time,ground_truth"
"""What is read of a task and of its annotations; the names apply to both. All fields would take four times as long."""

Raw = Mapping[str, Any]


@dataclass(frozen=True)
class Changes:
    """Tasks that somebody has touched, in no order, and the cursor that follows."""

    tasks: Sequence[Raw]
    cursor: str | None


def changes(client: Client, project: int, cursor: str | None, size: int = PAGE) -> Changes:
    """The tasks that were touched since a cursor (None: ever). One request when there are none.

    Tasks that were only imported are left out.
    """
    since = cursor or BEGINNING
    latest: dict[int, Raw] = {}
    settled: datetime | None = None
    first = True
    while True:
        answer, asked = client.look("/api/tasks", _params(project, since, size))
        page: Sequence[Raw] = answer["tasks"]
        if first and asked is not None:
            settled = asked - WINDOW
        first = False
        latest.update((int(task["id"]), task) for task in page)
        if len(page) < size:
            break
        after = convert.just_before(convert.exact(page[-1]["updated_at"]))
        since, size = (after, size) if after > since else (since, size * 2)  # so many were touched in one moment
    return Changes(list(latest.values()), _next(cursor, latest.values(), settled))


def _next(cursor: str | None, tasks: Collection[Raw], settled: datetime | None) -> str | None:
    """The next cursor: the newest change that was seen, or what is settled by now, whichever is earlier.

    So it never passes a change that is yet to become visible, nor runs ahead when the server's clock is wrong.
    """
    if not tasks:
        return cursor
    newest = max(convert.exact(task["updated_at"]) for task in tasks)
    horizon = convert.iso(settled or convert.moment(newest) - WINDOW)
    return max(cursor or BEGINNING, min(newest, horizon))


def _params(project: int, since: str, size: int) -> Mapping[str, Any]:
    return {
        "project": project,
        "fields": "all",
        "include": INCLUDE,
        "page_size": size,
        "query": json.dumps(_query(since)),
    }


def _query(since: str) -> Mapping[str, Any]:
    """Changed since then, and ever touched by a person: has an annotation or a skip, or had one.

    Lines are joined by `or`; a child filter is joined to its line by `and`. A Label Studio that does not know child
    filters returns more, not less.
    """
    changed = {"filter": "filter:tasks:updated_at", "operator": "greater", "type": "Datetime", "value": since}
    touched = [
        {"filter": "filter:tasks:updated_by", "operator": "empty", "type": "List", "value": False},
        {"filter": "filter:tasks:total_annotations", "operator": "greater", "type": "Number", "value": 0},
        {"filter": "filter:tasks:cancelled_annotations", "operator": "greater", "type": "Number", "value": 0},
    ]
    lines = [{**changed, "child_filter": one} for one in touched]
    return {"filters": {"conjunction": "or", "items": lines}, "ordering": ["tasks:updated_at"]}


def states(
    client: Client,
    project: int,
    index: TaskIndex,
    tasks: Sequence[Raw],
    *,
    scope: str,
    controls: Collection[str],
    classes: Collection[str],
) -> Iterator[TaskState]:
    """The state of each key among the tasks; a key with several tasks has the annotations of all of them."""
    by_key: dict[str, dict[int, Raw]] = {}
    for task in tasks:
        if key := convert.task_key(task):
            by_key.setdefault(key, {})[int(task["id"])] = task
    for task in _twins(client, project, index, by_key):
        by_key[str(convert.task_key(task))][int(task["id"])] = task
    known = frozenset(classes)
    for key, found in by_key.items():
        yield TaskState(
            key,
            tuple(
                convert.annotation(raw, key, scope=scope, controls=controls, classes=known)
                for number in sorted(found)
                for raw in found[number]["annotations"]
            ),
        )


def _twins(client: Client, project: int, index: TaskIndex, by_key: Mapping[str, Mapping[int, Raw]]) -> list[Raw]:
    """The other tasks of the keys that have several."""
    others = [task for key, found in by_key.items() for task in index.ids(key) if task not in found]
    return [task for task in read_tasks(client, project, others, INCLUDE) if convert.task_key(task) in by_key]
