"""Another opinion of one task: asked of somebody else, at its place in the queue."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx

from alearn.platform import Queue


def submit(client: httpx.Client, task: int, name: str) -> None:
    item = {"from_name": "label", "to_name": "item", "type": "choices", "value": {"choices": [name]}}
    headers = {"X-CSRFToken": client.cookies.get("csrftoken") or ""}
    client.post(f"/api/tasks/{task}/annotations/", json={"result": [item]}, headers=headers).raise_for_status()


def wanting(queue: Queue, key: str, opinions: int, version: str) -> Queue:
    entries = tuple(replace(one, opinions=opinions) if one.key == key else one for one in queue.entries)
    return Queue(version, entries)


def test_a_second_person_is_asked_in_order(loop: Any, colleague: httpx.Client) -> None:
    """The one who has answered is given the next task, a colleague the answered one at its place; both answers are
    told, and when there are enough nobody is asked any more.
    """
    keys = loop.keys_of(3)
    loop.platform.push(loop.tasks_of(keys), loop.queue_of(keys))
    first = loop.tasks()[keys[0]]
    loop.answer(first, "cat")
    loop.platform.push([], wanting(loop.queue_of(keys, "q2"), keys[0], 2, "q2"))
    assert loop.next()["data"]["alearn_id"] == keys[1]
    assert loop.next(colleague)["data"]["alearn_id"] == keys[0]
    submit(colleague, first, "$100")
    assert loop.next(colleague)["data"]["alearn_id"] == keys[2], "the second is held by the first person"
    (one, other) = loop.pulled()[keys[0]]
    assert {one.value, other.value} == {"cat", "$100"}
    assert one.annotator != other.annotator


def test_it_is_asked_for_once(loop: Any, colleague: httpx.Client) -> None:
    """A queue that says the same again changes nothing; one that wants more is heard, new tasks do not undo it."""
    keys = loop.keys_of(2)
    loop.platform.push(loop.tasks_of(keys), wanting(loop.queue_of(keys), keys[0], 2, "q1"))
    task = loop.tasks()[keys[0]]
    loop.answer(task, "cat")
    submit(colleague, task, "cat")
    loop.platform.push([], wanting(loop.queue_of(keys, "q2"), keys[0], 2, "q2"))
    assert loop.get(f"/api/tasks/{task}/")["is_labeled"] is True
    more = loop.keys_of(1)
    loop.platform.push(loop.tasks_of(more), wanting(loop.queue_of(keys + more, "q3"), keys[0], 3, "q3"))
    found = loop.get(f"/api/tasks/{task}/")
    assert (found["overlap"], found["is_labeled"]) == (3, False)


def test_a_star_is_told(loop: Any) -> None:
    """What somebody marks as ground truth is trusted, also when it is marked long after it was said."""
    keys = loop.keys_of(1)
    loop.platform.push(loop.tasks_of(keys), loop.queue_of(keys))
    number = loop.answer(loop.tasks()[keys[0]], "cat")
    pulled = loop.platform.pull(None)
    assert [one.trusted for state in pulled.states for one in state.annotations] == [False]
    loop.http.patch(f"/api/annotations/{number}/", json={"ground_truth": True}).raise_for_status()
    assert [one.trusted for one in loop.pulled(pulled.cursor)[keys[0]]] == [True]
