"""What annotators did on a live Label Studio: all of it is seen, and cheaply."""

import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from alearn_connectors.label_studio import convert, pull
from alearn_connectors.label_studio.accounts import seats
from alearn_connectors.label_studio.client import Client


class TestPull:
    def test_says_what_annotators_said(self, filled: Any) -> None:
        """Awkward names come back as they are."""
        loop, keys = filled
        tasks = loop.tasks()
        for key, name in zip(keys, loop.classes, strict=False):
            loop.answer(tasks[key], name)
        found = loop.pulled()
        assert {key: [one.value for one in found[key]] for key in found} == {
            key: [name] for key, name in zip(keys, loop.classes, strict=False)
        }
        assert all(one.lead_time == 1.5 and one.annotator.startswith("user-") for one in found[keys[0]])

    def test_skips_empty_answers_and_strangers(self, filled: Any) -> None:
        """Each is what it is; drafts are nothing."""
        loop, keys = filled
        tasks = loop.tasks()
        loop.answer(tasks[keys[0]], was_cancelled=True)
        loop.answer(tasks[keys[1]])
        loop.answer(tasks[keys[2]], "cat", "$100")
        loop.post(f"/api/tasks/{tasks[keys[3]]}/drafts", {"result": [], "lead_time": 1})
        found = loop.pulled()
        assert set(found) == set(keys[:3])
        assert [(found[key][0].skipped, found[key][0].value) for key in keys[:2]] == [(True, None), (False, None)]
        assert "2 answers" in str(found[keys[2]][0].refused)

    def test_edits_and_deletions_are_seen(self, filled: Any) -> None:
        """One by one, and by the data manager's bulk action; a task without annotations is told as such."""
        loop, keys = filled
        tasks = loop.tasks()
        made = [loop.answer(tasks[key], "cat") for key in keys[:3]]
        first = loop.platform.pull(None)
        loop.http.patch(
            f"/api/annotations/{made[0]}/",
            json={
                "result": [{"from_name": "label", "to_name": "item", "type": "choices", "value": {"choices": ["$100"]}}]
            },
        ).raise_for_status()
        loop.http.delete(f"/api/annotations/{made[1]}/").raise_for_status()
        loop.action("delete_tasks_annotations", [tasks[keys[2]]])
        found = loop.pulled(first.cursor)
        assert [one.value for one in found[keys[0]]] == ["$100"]
        assert (found[keys[1]], found[keys[2]]) == ((), ())

    def test_ids_outlive_deletions(self, filled: Any) -> None:
        """SQLite gives the id of a deleted annotation to the next one; ours are never used twice."""
        loop, keys = filled
        task = loop.tasks()[keys[0]]
        first = loop.answer(task, "cat")
        before = loop.pulled()[keys[0]][0]
        loop.http.delete(f"/api/annotations/{first}/").raise_for_status()
        loop.answer(task, "$100")
        assert loop.pulled()[keys[0]][0].id != before.id

    def test_several_annotations_of_a_task_are_all_told_every_time(self, filled: Any) -> None:
        """Also when only one of them is new."""
        loop, keys = filled
        task = loop.tasks()[keys[0]]
        loop.answer(task, "cat")
        cursor = loop.platform.pull(None).cursor
        loop.answer(task, "$100")
        assert [one.value for one in loop.pulled(cursor)[keys[0]]] == ["cat", "$100"]

    def test_imported_annotations_count(self, filled: Any) -> None:
        """They come without a user who changed the task, and would be missed by that alone."""
        loop, _ = filled
        (key,) = loop.keys_of(1)
        item = {"from_name": "label", "to_name": "item", "type": "choices", "value": {"choices": ["cat"]}}
        body = {"data": {"alearn_id": key, "text": "x"}, "annotations": [{"result": [item], "ground_truth": False}]}
        loop.post(f"/api/projects/{loop.project}/import", [body])
        assert [one.value for one in loop.pulled()[key]] == ["cat"]

    def test_an_unchanged_project_costs_one_request(self, filled: Any) -> None:
        """And neither our imports nor our predictions are changes."""
        loop, keys = filled
        loop.answer(loop.tasks()[keys[0]], "cat")
        cursor = loop.platform.pull(None).cursor
        cursor = convert.iso(convert.moment(str(cursor)) + pull.WINDOW * 2)
        more = loop.keys_of(2)
        loop.platform.push(loop.tasks_of(more), loop.queue_of([*more, *keys], "q2"))
        asked: list[str] = []
        client = loop.platform._client
        assert client is not None
        client._http.event_hooks["request"].append(lambda request: asked.append(request.url.path))
        found = loop.platform.pull(cursor)
        assert (found.states, found.cursor, asked) == ((), cursor, ["/api/tasks"])

    def test_what_was_seen_is_not_read_for_ever(self, filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Once it is settled, the cursor has passed it."""
        loop, keys = filled
        monkeypatch.setattr(pull, "WINDOW", timedelta(seconds=2))  # ten would only be slept through
        loop.answer(loop.tasks()[keys[0]], "cat")
        cursor = loop.platform.pull(None).cursor
        time.sleep(pull.WINDOW.total_seconds() + 2)
        second = loop.platform.pull(cursor)
        assert [state.key for state in second.states] == [keys[0]]
        assert loop.platform.pull(second.cursor).states == ()

    def test_a_change_that_becomes_visible_late_is_not_lost(self, filled: Any) -> None:
        """A transaction may end after another that carries a later time: the cursor waits for it."""
        loop, keys = filled
        tasks = loop.tasks()
        loop.answer(tasks[keys[0]], "cat")
        first = convert.moment(loop.pulled()[keys[0]][0].updated_at)
        loop.answer(tasks[keys[1]], "cat")
        cursor = loop.platform.pull(None).cursor
        assert convert.moment(str(cursor)) < first
        assert set(loop.pulled(cursor)) == set(keys[:2])

    def test_pages_lose_nothing(self, filled: Any) -> None:
        """Also when many tasks were changed in one moment by a bulk action, at the edges of pages, and past the end."""
        loop, keys = filled
        tasks = loop.tasks()
        for key in keys:
            loop.answer(tasks[key], "cat")
        loop.action("delete_tasks_annotations", [tasks[key] for key in keys[1:4]])
        client = Client(loop.server.url, loop.server.token)
        for size in (1, 2, 3, 4, 100):
            found = pull.changes(client, loop.project, None, size)
            assert {convert.task_key(task) for task in found.tasks} == set(keys), f"pages of {size}"

    def test_two_people_who_skip_are_two_skips(self, filled: Any, tmp_path: Path) -> None:
        """An item is put aside when enough different people have skipped it; an edit by another stays the first's."""
        loop, keys = filled
        task = loop.tasks()[keys[0]]
        loop.answer(task, was_cancelled=True)

        def owner() -> httpx.Client:
            return httpx.Client(base_url=loop.server.url, headers=loop.http.headers, trust_env=False)

        enter = list(seats(owner, tmp_path / "annotators.json", 2).values())[1]
        with closing(enter()) as annotator:
            body = {"result": [], "was_cancelled": True}
            annotator.post(f"/api/tasks/{task}/annotations/", json=body).raise_for_status()
        said = loop.pulled()[keys[0]]
        assert [one.skipped for one in said] == [True, True]
        assert len({one.annotator for one in said}) == 2

    def test_deleted_tasks_are_found_by_a_resync(self, filled: Any) -> None:
        """They vanish from the list of changes without a trace; in this process and in a new one."""
        loop, keys = filled
        loop.action("delete_tasks", [loop.tasks()[keys[1]]])
        for platform in (loop.platform, loop.open()):
            assert platform.pull(None, pushed=keys).missing == {keys[1]}

    def test_doubled_tasks_are_one_item(self, filled: Any) -> None:
        """Both have been answered: both answers are the item's, whichever changed last."""
        loop, keys = filled
        loop.answer(loop.tasks()[keys[0]], "cat")
        body = convert.task_json(loop.tasks_of(keys[:1])[0], "text", "x")
        copy = loop.post(f"/api/projects/{loop.project}/import", [body], return_task_ids="true")["task_ids"][0]
        loop.answer(copy, "$100")
        first = loop.platform.pull(None, pushed=keys)
        loop.answer(copy, "cat")
        settled = convert.just_before(max(one.updated_at for one in loop.pulled()[keys[0]]))
        for found in (first.states, loop.platform.pull(settled).states):
            assert {str(one.value) for state in found for one in state.annotations} == {"$100", "cat"}
