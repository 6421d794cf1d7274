"""The order in which a live Label Studio serves its tasks, and what could silently make it chance."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from alearn.platform import Queue, QueueEntry
from alearn_connectors.label_studio import convert
from alearn_connectors.label_studio.accounts import seats


class TestOrder:
    def test_lowest_score_first(self, filled: Any) -> None:
        """Exactly, to the end."""
        loop, keys = filled
        assert loop.served() == keys

    def test_a_new_version_reorders_what_is_queued(self, filled: Any) -> None:
        """At once, and exactly: nothing else is done to the tasks meanwhile."""
        loop, keys = filled
        loop.platform.push([], loop.queue_of(keys[::-1], "q2"))
        assert loop.served() == keys[::-1]

    def test_a_task_that_is_open_can_be_submitted_after_a_new_version(self, filled: Any) -> None:
        """Its suggestion is of the old one: Label Studio would refuse the answer if that had been deleted."""
        loop, keys = filled
        task = loop.next()
        loop.platform.push([], loop.queue_of(keys[::-1], "q2"))
        loop.platform.close()
        loop.answer(task["id"], "cat", parent_prediction=task["predictions"][0]["id"])

    def test_old_versions_go_when_their_tasks_have_left_the_queue(self, filled: Any) -> None:
        """Not before an hour has passed, and not while one of their tasks is still queued."""
        loop, keys = filled
        more = loop.keys_of(2)
        loop.platform.push(loop.tasks_of(more), loop.queue_of([*keys[4:], *more], "q2"))
        loop.open(later=4000).push([], loop.queue_of([keys[5], *more], "q3"))
        assert loop.versions() == {"q1": 6, "q2": 4, "q3": 3}
        loop.open(later=5000).push([], loop.queue_of(more, "q4"))
        assert loop.versions() == {"q1": 6, "q2": 4, "q3": 3, "q4": 2}
        loop.open(later=8000).push([], loop.queue_of(more, "q5"))
        loop.server.wait_for(lambda: "q1" not in loop.versions(), what="the deletion of q1")
        assert set(loop.versions()) == {"q2", "q3", "q4", "q5"}
        loop.platform.push([], loop.queue_of(more[::-1], "q6"))
        assert loop.served()[:2] == more[::-1]

    def test_a_suggestion_is_shown_and_the_hold_out_gets_none(self, loop: Any) -> None:
        """An empty result orders all the same, and cannot bias the answer."""
        first, second = loop.keys_of(2)
        entries = (QueueEntry(first, 0.0), QueueEntry(second, 0.5, loop.classes[1], 0.7))
        loop.platform.push(loop.tasks_of([second, first]), Queue("q1", entries))
        task = loop.next()
        assert task["data"]["alearn_id"] == first
        assert [made["result"] for made in task["predictions"]] == [[]]
        loop.answer(task["id"], "cat")
        task = loop.next()
        assert task["data"]["alearn_id"] == second
        assert task["predictions"][0]["result"][0]["value"] == {"choices": [loop.classes[1]]}

    def test_without_suggestions_the_order_holds(self, make: Any) -> None:
        """Hiding them resets the project's model version; both are set at once."""
        loop = make(suggestions=False)
        keys = loop.keys_of(4)
        loop.platform.push(loop.tasks_of(keys), loop.queue_of(keys, label="cat"))
        assert loop.next()["predictions"] == []
        assert not loop.raw["show_collab_predictions"]
        loop.open().prepare()
        assert loop.served() == keys

    def test_a_queue_is_shown_once(self, filled: Any) -> None:
        """Pushing it again writes nothing."""
        loop, keys = filled
        for platform in (loop.platform, loop.open()):
            platform.push(loop.tasks_of(keys), loop.queue_of(keys))
        assert loop.versions() == {"q1": 6}

    def test_a_queue_that_was_cut_short_is_written_again(self, filled: Any) -> None:
        """Label Studio commits 500 rows at a time: some may be there. None is doubled, none is missing."""
        loop, keys = filled
        some = [
            convert.prediction_json(
                task,
                QueueEntry(key, 0.9),
                "q2",
                convert.Offer("label", "item", frozenset(), loop.classes),
                suggest=False,
            )
            for key, task in list(loop.tasks().items())[:3]
        ]
        loop.post(f"/api/projects/{loop.project}/import/predictions", some)
        notes = next((loop.setting.home / "label-studio").glob("*/queue.json"))
        told = json.loads(notes.read_text())
        told["versions"]["q2"] = {"keys": [], "whole": False, "wanted": 0}
        notes.write_text(json.dumps(told))
        loop.open().push([], loop.queue_of(keys[::-1], "q2"))
        assert loop.versions()["q2"] == 6
        assert loop.served() == keys[::-1]

    def test_a_machine_that_forgot_everything_writes_it_again(self, filled: Any) -> None:
        """What it cannot know to be whole is replaced."""
        loop, keys = filled
        for note in (loop.setting.home / "label-studio").glob("*/*.json"):
            note.unlink()
        loop.open().push(loop.tasks_of(keys), loop.queue_of(keys))
        assert loop.versions() == {"q1": 6}
        assert sorted(loop.tasks()) == sorted(keys)

    def test_a_version_that_returns_is_served_again(self, filled: Any) -> None:
        """The queue goes from one order to another and back; what is still there is not written twice."""
        loop, keys = filled
        loop.platform.push([], loop.queue_of(keys[::-1], "q2"))
        loop.platform.push([], loop.queue_of(keys, "q1"))
        assert loop.versions() == {"q1": 6, "q2": 6}
        assert loop.served() == keys

    def test_entries_that_join_a_version_are_added_to_it(self, filled: Any) -> None:
        """Without taking the order away meanwhile."""
        loop, keys = filled
        more = loop.keys_of(1)
        loop.platform.push(loop.tasks_of(more), Queue("q1", (*loop.queue_of(keys).entries, QueueEntry(more[0], 1.0))))
        assert loop.versions() == {"q1": 7}

    def test_a_deleted_task_has_no_place_and_stops_nothing(self, filled: Any) -> None:
        """Predictions for it would be refused, and with them the whole queue."""
        loop, keys = filled
        loop.action("delete_tasks", [loop.tasks()[keys[2]]])
        loop.platform.push([], loop.queue_of(keys[::-1], "q2"))
        assert loop.served() == [key for key in keys[::-1] if key != keys[2]]

    def test_sampling_and_version_are_put_back_by_a_push_and_told_by_a_pull(self, filled: Any) -> None:
        """Either one changed by hand means an order by chance, with nothing to be seen in Label Studio."""
        loop, keys = filled
        loop.patch(sampling="Uniform sampling", model_version="")
        loop.answer(loop.tasks()[keys[5]], "cat")
        notices = loop.platform.pull(None).notices
        assert any("'Uniform sampling'" in notice for notice in notices)
        assert any("by chance" in notice for notice in notices)
        loop.platform.push([], loop.queue_of(keys))
        assert loop.served() == keys[:5]

    def test_predictions_that_people_deleted_are_written_again(self, filled: Any) -> None:
        """All of them, or some: what this machine remembers is not believed against what is there."""
        loop, keys = filled
        tasks = loop.tasks()
        for gone in (keys, keys[:2]):
            loop.action("delete_tasks_predictions", [tasks[key] for key in gone])
            loop.open().prepare()
            loop.platform.push([], loop.queue_of(keys))
            assert loop.versions() == {"q1": 6}
        assert loop.served() == keys

    def test_an_empty_queue_changes_nothing(self, filled: Any) -> None:
        """There is no order to give."""
        loop, _ = filled
        loop.platform.push([], Queue("q2"))
        assert loop.raw["model_version"] == "q1"

    def test_predictions_that_are_not_ours_stay(self, filled: Any) -> None:
        """Somebody may compare a model of their own."""
        loop, keys = filled
        theirs = [{"task": loop.tasks()[keys[0]], "result": [], "score": 0.1, "model_version": "theirs"}]
        loop.post(f"/api/projects/{loop.project}/import/predictions", theirs)
        more = loop.keys_of(1)
        loop.platform.push(loop.tasks_of(more), loop.queue_of(more, "q2"))
        loop.open(later=4000).push([], loop.queue_of(more, "q3"))
        loop.server.wait_for(lambda: loop.versions() == {"q2": 1, "q3": 1, "theirs": 1}, what="the deletion of q1")

    def test_two_annotators_get_different_tasks(self, filled: Any, tmp_path: Path) -> None:
        """Neighbours in the order: the first one's is locked."""
        loop, keys = filled

        def owner() -> httpx.Client:
            return httpx.Client(base_url=loop.server.url, headers=loop.http.headers, trust_env=False)

        for at, enter in enumerate(seats(owner, tmp_path / "annotators.json", 2).values()):
            with closing(enter()) as annotator:
                assert loop.next(annotator)["data"]["alearn_id"] == keys[at]
