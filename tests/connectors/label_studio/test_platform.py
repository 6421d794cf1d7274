"""The connector against a real Label Studio: every silent failure of its API that the loop could fall into.

Projects are never deleted here: that breaks the signals of a server that others use.
"""

import json
import secrets
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from alearn.core.schema import LabelSchema
from alearn.errors import Refused
from alearn.platform import Annotation, Queue, QueueEntry, Setting, Task
from alearn_connectors import label_studio as connector
from alearn_connectors.label_studio import convert, pull
from alearn_connectors.label_studio.accounts import seats
from alearn_connectors.label_studio.client import Client
from alearn_connectors.label_studio.connection import LabelStudio
from alearn_connectors.label_studio.notes import Notes
from alearn_connectors.label_studio.project import find_number, project_of

CLASSES = ("cat", 'd<o>g & "co", 😀', "$100")


class Loop:
    """A loop with a project of its own, and hands to do in it what annotators and passers-by do."""

    def __init__(self, server: Any, folder: Path, data: Any = "text", **options: Any) -> None:
        self.server = server
        self.http: httpx.Client = server.client
        (folder / "token").write_text(server.token)
        given = {"url": server.url, "token_file": str(folder / "token"), **options}
        self.setting = Setting(f"t-{secrets.token_hex(6)}", LabelSchema(CLASSES), data, folder / "home", given)
        self.platform = self.open()

    def open(self) -> LabelStudio:
        """The platform as a new process would open it."""
        platform = connector.open(self.setting)
        assert isinstance(platform, LabelStudio)
        return platform

    @property
    def project(self) -> int:
        return int(self.platform.links()["project"].split("/")[4])

    @property
    def raw(self) -> Mapping[str, Any]:
        return self.get(f"/api/projects/{self.project}/")

    def get(self, path: str, **params: Any) -> Any:
        return self.http.get(path, params=params).raise_for_status().json()

    def post(self, path: str, body: Any, **params: Any) -> Any:
        answer = self.http.post(path, json=body, params=params).raise_for_status()
        return answer.json() if answer.content else None

    def patch(self, **settings: Any) -> Any:
        return self.http.patch(f"/api/projects/{self.project}/", json=settings).raise_for_status().json()

    def tasks(self) -> dict[str, int]:
        """{key: task id}; fails when a key has two tasks."""
        found = self.get("/api/tasks", project=self.project, page_size=5000)["tasks"]
        keys = [task["data"].get("alearn_id") for task in found]
        assert len(set(keys)) == len(keys), "a task is doubled"
        return {key: task["id"] for key, task in zip(keys, found, strict=True)}

    def next(self, client: httpx.Client | None = None) -> Any:
        """The task that an annotator is given; None when there is none."""
        answer = (client or self.http).get(f"/api/projects/{self.project}/next")
        return None if answer.status_code == 404 else answer.raise_for_status().json()

    def answer(self, task: int, *names: str, **more: Any) -> int:
        """Submit an annotation; returns its id."""
        item = {"from_name": "label", "to_name": "item", "type": "choices", "value": {"choices": list(names)}}
        body = {"result": [item] if names else [], "lead_time": 1.5, **more}
        return int(self.post(f"/api/tasks/{task}/annotations/", body)["id"])

    def served(self) -> list[str]:
        """All keys in the order in which one annotator is given them, who answers each."""
        keys = []
        while (task := self.next()) is not None:
            keys.append(task["data"]["alearn_id"])
            self.answer(task["id"], "cat")
        return keys

    def versions(self) -> dict[str, int]:
        return dict(self.get(f"/api/projects/{self.project}/model-versions/"))

    def action(self, name: str, tasks: Sequence[int]) -> None:
        """An action of the data manager on some tasks."""
        self.post(
            "/api/dm/actions", {"selectedItems": {"all": False, "included": list(tasks)}}, id=name, project=self.project
        )

    def pulled(self, cursor: str | None = None) -> dict[str, tuple[Annotation, ...]]:
        return {state.key: state.annotations for state in self.platform.pull(cursor).states}


def keys_of(count: int) -> list[str]:
    return [secrets.token_hex(16) for _ in range(count)]


def tasks_of(keys: Sequence[str]) -> list[Task]:
    return [Task(key, text=f"the text of {key}") for key in keys]


def queue_of(keys: Sequence[str], version: str = "q1", label: str | None = None) -> Queue:
    """A queue that asks for the keys in this order."""
    entries = (QueueEntry(key, at / len(keys), label, 0.5 if label else None) for at, key in enumerate(keys))
    return Queue(version, tuple(entries))


@pytest.fixture
def make(label_studio: Any, tmp_path: Path) -> Iterator[Callable[..., Loop]]:
    """Makes loops, prepared and empty."""
    made: list[Loop] = []

    def make_one(**options: Any) -> Loop:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        loop = Loop(label_studio, folder, **options)
        made.append(loop)
        loop.platform.prepare()
        return loop

    yield make_one
    for loop in made:
        loop.platform.close()


@pytest.fixture
def loop(make: Callable[..., Loop]) -> Loop:
    return make()


@pytest.fixture
def filled(loop: Loop) -> tuple[Loop, list[str]]:
    """A loop with six tasks in its queue."""
    keys = keys_of(6)
    loop.platform.push(tasks_of(keys), queue_of(keys))
    return loop, keys


class TestProject:
    def test_is_made_with_what_the_loop_relies_on(self, loop: Loop) -> None:
        """Sampling by score can only be set through the API; empty answers and trainings inside a submit are off."""
        raw = loop.raw
        assert raw["sampling"] == "Uncertainty sampling"
        assert raw["maximum_annotations"] == 1
        assert raw["min_annotations_to_start_training"] == 0
        assert not raw["enable_empty_annotation"]
        assert raw["parsed_label_config"]["label"]["labels"] == list(CLASSES)

    def test_is_made_once(self, loop: Loop) -> None:
        """Preparing again, here or in a new process, finds it."""
        assert loop.platform.prepare() == loop.open().prepare()

    def test_is_found_by_its_mark_when_this_machine_forgot_it(self, loop: Loop) -> None:
        """A crash between making it and remembering it, or another machine."""
        first = loop.platform.prepare()
        (loop.setting.home / "label-studio" / "project.json").unlink()
        assert loop.open().prepare() == first

    def test_is_found_after_people_changed_its_title_and_description(self, loop: Loop) -> None:
        """This machine remembers its id and when it was made."""
        first = loop.platform.prepare()
        loop.patch(title=loop.server.new_title("renamed"), description="ours now")
        assert loop.open().prepare() == first

    def test_somebody_elses_with_the_same_title_is_left_alone(
        self, loop: Loop, label_studio: Any, tmp_path: Path
    ) -> None:
        """Titles are not unique; our mark is needed too."""
        other = Loop(label_studio, tmp_path)
        title = f"alearn {other.setting.loop}"
        theirs = loop.post(
            "/api/projects/", {"title": title, "label_config": convert.label_config(LabelSchema(CLASSES), "text")}
        )
        other.platform.prepare()
        assert other.project != theirs["id"]
        other.platform.close()

    def test_a_remembered_id_on_another_server_is_not_believed(self, loop: Loop) -> None:
        """Every server has a project 1; the moment it was made tells them apart."""
        note = loop.setting.home / "label-studio" / "project.json"
        note.write_text(json.dumps({"id": 1, "created": "2001-01-01T00:00:00.000000Z"}))
        assert loop.open().prepare() == loop.platform.prepare()

    def test_robots_find_it_with_a_connection_of_their_own(self, loop: Loop) -> None:
        """By title and mark, or not at all."""
        assert find_number(loop.http, loop.setting) == loop.project

    def test_overlap_skips_and_instructions_are_as_asked(self, make: Callable[..., Loop]) -> None:
        """Also on a project that is there already."""
        loop = make()
        loop.setting.options.update(overlap=3, skip=False, instructions="<b>Look</b> twice.")  # type: ignore[attr-defined]
        loop.open().prepare()
        raw = loop.raw
        assert (raw["maximum_annotations"], raw["show_skip_button"]) == (3, False)
        assert (raw["expert_instruction"], raw["show_instruction"]) == ("<b>Look</b> twice.", True)

    def test_a_project_that_was_deleted_is_said(self, loop: Loop) -> None:
        """Pulling from nothing is refused; preparing makes a new one."""
        note = loop.setting.home / "label-studio" / "project.json"
        note.write_text(json.dumps({"id": 2**31 - 1, "created": "2001-01-01T00:00:00.000000Z"}))
        loop.setting.options.update(title=loop.server.new_title("nobody"))  # type: ignore[attr-defined]
        with pytest.raises(Refused, match="must have a project"):
            loop.open().pull(None)


class TestHandEditedConfig:
    def edit(self, loop: Loop, choices: Sequence[str], control: str = "label", field: str = "text") -> None:
        config = convert.label_config(LabelSchema(tuple(choices)), "text").replace("$text", f"${field}")
        loop.patch(label_config=config.replace('name="label"', f'name="{control}"'))

    def test_a_new_choice_is_told_and_its_answers_are_refused_one_by_one(self, filled: tuple[Loop, list[str]]) -> None:
        """The other answers count; Label Studio accepts the edit without a word."""
        loop, keys = filled
        self.edit(loop, [*CLASSES, "fox"])
        tasks = loop.tasks()
        loop.answer(tasks[keys[0]], "fox")
        loop.answer(tasks[keys[1]], "cat")
        found = loop.platform.pull(None)
        assert any("'fox'" in notice for notice in found.notices)
        by_key = {state.key: state.annotations[0] for state in found.states}
        assert (by_key[keys[0]].value, by_key[keys[1]].value) == (None, "cat")
        assert "'fox' is not a class" in str(by_key[keys[0]].refused)

    def test_a_choice_that_was_taken_away_is_told_and_not_suggested(self, loop: Loop) -> None:
        """The server would drop such a prediction, or show one that nobody can submit."""
        self.edit(loop, ["cat", "$100"])
        keys = keys_of(2)
        loop.platform.push(tasks_of(keys), queue_of(keys, label=CLASSES[1]))
        loop.platform.pull(None)
        again = loop.open()
        again.push([], queue_of(keys, "q2", label=CLASSES[1]))
        assert loop.next()["predictions"][0]["result"] == []
        loop.answer(loop.tasks()[keys[0]], "cat")
        assert any("lacks" in notice for notice in again.pull(None).notices)

    def test_preparing_again_adds_what_is_missing_and_keeps_the_rest(self, loop: Loop) -> None:
        """A class that was added to the config, or taken away by hand."""
        self.edit(loop, ["cat", "fox"])
        loop.open().prepare()
        assert loop.raw["parsed_label_config"]["label"]["labels"] == ["cat", "fox", *CLASSES[1:]]

    def test_a_renamed_question_goes_on(self, filled: tuple[Loop, list[str]]) -> None:
        """Label Studio allows it as long as nobody has answered; suggestions and answers follow the new name."""
        loop, keys = filled
        self.edit(loop, CLASSES, control="verdict")
        platform = loop.open()
        platform.push([], queue_of(keys, "q2", label="cat"))
        task = loop.next()
        assert task["predictions"][0]["result"][0]["from_name"] == "verdict"
        item = {"from_name": "verdict", "to_name": "item", "type": "choices", "value": {"choices": ["$100"]}}
        loop.post(f"/api/tasks/{task['id']}/annotations/", {"result": [item]})
        found = platform.pull(None)
        assert [(state.key, state.annotations[0].value) for state in found.states] == [(keys[0], "$100")]
        assert any("'verdict'" in notice for notice in found.notices)

    def test_a_config_that_our_tasks_do_not_fit_is_refused_before_any_item_is(self, loop: Loop) -> None:
        """Label Studio would refuse every single task, and a whole batch would be put aside."""
        loop.answer(
            loop.post(f"/api/projects/{loop.project}/import", [{"text": "x"}], return_task_ids="true")["task_ids"][0],
            "cat",
        )
        loop.http.delete(f"/api/projects/{loop.project}/tasks/")
        self.edit(loop, CLASSES, field="content")
        keys = keys_of(2)
        with pytest.raises(Refused, match=r"must (hold one Choices control about|ask about) \$text"):
            loop.platform.push(tasks_of(keys), queue_of(keys))
        with pytest.raises(Refused, match="must hold one Choices control about \\$text"):
            loop.open().push(tasks_of(keys), queue_of(keys))

    def test_a_foreign_config_without_answers_is_replaced(self, loop: Loop) -> None:
        """Nothing can be lost."""
        self.edit(loop, ["yes", "no"], field="content")
        loop.open().prepare()
        assert loop.raw["parsed_label_config"]["label"]["inputs"][0]["value"] == "text"


class TestOrder:
    def test_lowest_score_first(self, filled: tuple[Loop, list[str]]) -> None:
        """Exactly, to the end."""
        loop, keys = filled
        assert loop.served() == keys

    def test_a_new_version_reorders_what_is_queued(self, filled: tuple[Loop, list[str]]) -> None:
        """The old predictions are not looked at, and are gone in a while."""
        loop, keys = filled
        loop.platform.push([], queue_of(keys[::-1], "q2"))
        loop.server.wait_for(lambda: loop.versions() == {"q2": 6}, what="the deletion of q1")
        assert loop.served() == keys[::-1]

    def test_a_suggestion_is_shown_and_the_hold_out_gets_none(self, loop: Loop) -> None:
        """An empty result orders all the same, and cannot bias the answer."""
        first, second = keys_of(2)
        entries = (QueueEntry(first, 0.0), QueueEntry(second, 0.5, CLASSES[1], 0.7))
        loop.platform.push(tasks_of([second, first]), Queue("q1", entries))
        task = loop.next()
        assert task["data"]["alearn_id"] == first
        assert [made["result"] for made in task["predictions"]] == [[]]
        loop.answer(task["id"], "cat")
        task = loop.next()
        assert task["data"]["alearn_id"] == second
        assert task["predictions"][0]["result"][0]["value"] == {"choices": [CLASSES[1]]}

    def test_without_suggestions_the_order_holds(self, make: Callable[..., Loop]) -> None:
        """Hiding them resets the project's model version; both are set at once."""
        loop = make(suggestions=False)
        keys = keys_of(4)
        loop.platform.push(tasks_of(keys), queue_of(keys, label="cat"))
        assert loop.next()["predictions"] == []
        assert not loop.raw["show_collab_predictions"]
        loop.open().prepare()
        assert loop.served() == keys

    def test_a_queue_is_shown_once(self, filled: tuple[Loop, list[str]]) -> None:
        """Pushing it again writes nothing."""
        loop, keys = filled
        for platform in (loop.platform, loop.open()):
            platform.push(tasks_of(keys), queue_of(keys))
        assert loop.versions() == {"q1": 6}

    def test_a_queue_that_was_cut_short_is_written_again(self, filled: tuple[Loop, list[str]]) -> None:
        """Label Studio commits 500 rows at a time: some may be there. None is doubled, none is missing."""
        loop, keys = filled
        some = [
            convert.prediction_json(
                task, QueueEntry(key, 0.9), "q2", convert.Offer("label", "item", frozenset(), CLASSES), suggest=False
            )
            for key, task in list(loop.tasks().items())[:3]
        ]
        loop.post(f"/api/projects/{loop.project}/import/predictions", some)
        notes = next((loop.setting.home / "label-studio").glob("*/queue.json"))
        notes.write_text(json.dumps({"version": "q2", "keys": [], "whole": False, "old": ["q1"]}))
        loop.open().push([], queue_of(keys[::-1], "q2"))
        assert loop.versions()["q2"] == 6
        assert loop.served() == keys[::-1]

    def test_a_machine_that_forgot_everything_writes_it_again(self, filled: tuple[Loop, list[str]]) -> None:
        """What it cannot know to be whole is replaced."""
        loop, keys = filled
        for note in (loop.setting.home / "label-studio").glob("*/*.json"):
            note.unlink()
        loop.open().push(tasks_of(keys), queue_of(keys))
        assert loop.versions() == {"q1": 6}
        assert sorted(loop.tasks()) == sorted(keys)

    def test_a_version_that_returns_is_whole_again(self, filled: tuple[Loop, list[str]]) -> None:
        """The queue goes from one order to another and back, while the first is being deleted."""
        loop, keys = filled
        loop.platform.push([], queue_of(keys[::-1], "q2"))
        loop.platform.push([], queue_of(keys, "q1"))
        loop.server.wait_for(lambda: loop.versions() == {"q1": 6}, what="the deletion of q2")
        assert loop.served() == keys

    def test_entries_that_join_a_version_are_added_to_it(self, filled: tuple[Loop, list[str]]) -> None:
        """Without taking the order away meanwhile."""
        loop, keys = filled
        more = keys_of(1)
        loop.platform.push(tasks_of(more), Queue("q1", (*queue_of(keys).entries, QueueEntry(more[0], 1.0))))
        assert loop.versions() == {"q1": 7}

    def test_a_deleted_task_has_no_place_and_stops_nothing(self, filled: tuple[Loop, list[str]]) -> None:
        """Predictions for it would be refused, and with them the whole queue."""
        loop, keys = filled
        loop.action("delete_tasks", [loop.tasks()[keys[2]]])
        loop.platform.push([], queue_of(keys[::-1], "q2"))
        assert loop.served() == [key for key in keys[::-1] if key != keys[2]]

    def test_sampling_and_version_are_put_back_by_a_push_and_told_by_a_pull(
        self, filled: tuple[Loop, list[str]]
    ) -> None:
        """Either one changed by hand means an order by chance, with nothing to be seen in Label Studio."""
        loop, keys = filled
        loop.patch(sampling="Uniform sampling", model_version="")
        loop.answer(loop.tasks()[keys[5]], "cat")
        notices = loop.platform.pull(None).notices
        assert any("'Uniform sampling'" in notice for notice in notices)
        assert any("by chance" in notice for notice in notices)
        loop.platform.push([], queue_of(keys))
        assert loop.served() == keys[:5]

    def test_an_empty_queue_changes_nothing(self, filled: tuple[Loop, list[str]]) -> None:
        """There is no order to give."""
        loop, _ = filled
        loop.platform.push([], Queue("q2"))
        assert loop.raw["model_version"] == "q1"

    def test_predictions_that_are_not_ours_stay(self, filled: tuple[Loop, list[str]]) -> None:
        """Somebody may compare a model of their own."""
        loop, keys = filled
        theirs = [{"task": loop.tasks()[keys[0]], "result": [], "score": 0.1, "model_version": "theirs"}]
        loop.post(f"/api/projects/{loop.project}/import/predictions", theirs)
        loop.platform.push([], queue_of(keys[::-1], "q2"))
        loop.server.wait_for(lambda: loop.versions() == {"q2": 6, "theirs": 1}, what="the deletion of q1")

    def test_two_annotators_get_different_tasks(self, filled: tuple[Loop, list[str]], tmp_path: Path) -> None:
        """Neighbours in the order: the first one's is locked."""
        loop, keys = filled

        def owner() -> httpx.Client:
            return httpx.Client(base_url=loop.server.url, headers=loop.http.headers, trust_env=False)

        for at, enter in enumerate(seats(owner, tmp_path / "annotators.json", 2).values()):
            with closing(enter()) as annotator:
                assert loop.next(annotator)["data"]["alearn_id"] == keys[at]


class TestImport:
    def test_a_task_that_is_there_is_left_alone(self, filled: tuple[Loop, list[str]]) -> None:
        """Label Studio would import it again."""
        loop, keys = filled
        for platform in (loop.platform, loop.open()):
            assert platform.push(tasks_of(keys), queue_of(keys)) == {}
        assert sorted(loop.tasks()) == sorted(keys)

    def test_an_item_that_cannot_be_kept_is_named_and_the_others_are_there(self, loop: Loop) -> None:
        """One bad item never stops a loop."""
        good, bad, empty = keys_of(3)
        refused = loop.platform.push(
            [*tasks_of([good]), Task(bad, text="a\x00b"), Task(empty, text="")], queue_of([good, bad])
        )
        assert set(refused) == {bad, empty}
        assert list(loop.tasks()) == [good]

    def test_an_import_whose_answer_was_lost_is_waited_for(self, loop: Loop) -> None:
        """The server may still be at work when we are back: the tasks are adopted, not doubled."""
        keys = keys_of(3)
        notes = Notes(loop.setting.home / "label-studio").of(project_of(loop.raw).scope)
        notes.write("sending", {"keys": keys, "at": time.time()})

        def late() -> None:
            time.sleep(1.5)
            bodies = [convert.task_json(task, "text", str(task.text)) for task in tasks_of(keys)]
            loop.post(f"/api/projects/{loop.project}/import", bodies)

        thread = threading.Thread(target=late)
        thread.start()
        loop.open().push(tasks_of(keys), queue_of(keys))
        thread.join()
        assert sorted(loop.tasks()) == sorted(keys)
        assert loop.served() == keys

    def test_a_push_that_was_killed_doubles_nothing(self, loop: Loop, tmp_path: Path) -> None:
        """Killed hard between two chunks, or in one; the next push completes it."""
        keys = keys_of(2500)
        (tmp_path / "keys.json").write_text(json.dumps(keys))
        script = f"""
            import json
            from pathlib import Path
            from alearn.core.schema import LabelSchema
            from alearn.platform import Queue, Setting, Task
            from alearn_connectors import label_studio
            keys = json.loads(Path({str(tmp_path / "keys.json")!r}).read_text())
            setting = Setting({loop.setting.loop!r}, LabelSchema({CLASSES!r}), "text", Path({str(loop.setting.home)!r}),
            {dict(loop.setting.options)!r}) label_studio.open(setting).push([Task(key, text=f"the text of {{key}}") for
            key in keys], Queue("q1"))
        """
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)])
        sending = lambda: list((loop.setting.home / "label-studio").glob("*/sending.json"))  # noqa: E731
        loop.server.wait_for(lambda: sending() or process.poll() is not None, what="an import that has begun")
        time.sleep(0.3)
        process.send_signal(signal.SIGKILL)
        process.wait()
        loop.open().push(tasks_of(keys), Queue("q1"))
        assert len(loop.tasks()) == 2500

    def test_doubles_are_removed_as_long_as_nobody_answered_them(self, filled: tuple[Loop, list[str]]) -> None:
        """Somebody imported an export: unanswered copies go, answered ones stay and count."""
        loop, keys = filled
        bodies = [convert.task_json(task, "text", str(task.text)) for task in tasks_of(keys)]
        copies = loop.post(f"/api/projects/{loop.project}/import", bodies, return_task_ids="true")["task_ids"]
        loop.answer(copies[0], "cat")
        loop.platform.push([], queue_of(keys, "q2"))
        found = {key: [] for key in keys}  # type: dict[str, list[int]]
        for task in loop.get("/api/tasks", project=loop.project, page_size=100)["tasks"]:
            found[task["data"]["alearn_id"]].append(task["id"])
        assert found[keys[0]] == [copies[0]]
        assert all(len(ids) == 1 for ids in found.values())

    def test_ids_that_are_used_again_mislead_nobody(self, filled: tuple[Loop, list[str]]) -> None:
        """SQLite gives the ids of deleted tasks to new ones; keys decide."""
        loop, keys = filled
        loop.action("delete_tasks", [loop.tasks()[key] for key in keys[3:]])
        new = keys_of(3)
        bodies = [convert.task_json(task, "text", str(task.text)) for task in tasks_of(new)]
        loop.post(f"/api/projects/{loop.project}/import", bodies)
        order = [*new, *keys[:3]]
        loop.platform.push(tasks_of(new), queue_of(order, "q2"))
        assert sorted(loop.tasks()) == sorted(order)
        assert loop.served() == order


class TestPull:
    def test_says_what_annotators_said(self, filled: tuple[Loop, list[str]]) -> None:
        """Awkward names come back as they are."""
        loop, keys = filled
        tasks = loop.tasks()
        for key, name in zip(keys, CLASSES, strict=False):
            loop.answer(tasks[key], name)
        found = loop.pulled()
        assert {key: [one.value for one in found[key]] for key in found} == {
            key: [name] for key, name in zip(keys, CLASSES, strict=False)
        }
        assert all(one.lead_time == 1.5 and one.annotator.startswith("user-") for one in found[keys[0]])

    def test_skips_empty_answers_and_strangers(self, filled: tuple[Loop, list[str]]) -> None:
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

    def test_edits_and_deletions_are_seen(self, filled: tuple[Loop, list[str]]) -> None:
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

    def test_ids_outlive_deletions(self, filled: tuple[Loop, list[str]]) -> None:
        """SQLite gives the id of a deleted annotation to the next one; ours are never used twice."""
        loop, keys = filled
        task = loop.tasks()[keys[0]]
        first = loop.answer(task, "cat")
        before = loop.pulled()[keys[0]][0]
        loop.http.delete(f"/api/annotations/{first}/").raise_for_status()
        loop.answer(task, "$100")
        assert loop.pulled()[keys[0]][0].id != before.id

    def test_several_annotations_of_a_task_are_all_told_every_time(self, filled: tuple[Loop, list[str]]) -> None:
        """Also when only one of them is new."""
        loop, keys = filled
        task = loop.tasks()[keys[0]]
        loop.answer(task, "cat")
        cursor = loop.platform.pull(None).cursor
        loop.answer(task, "$100")
        assert [one.value for one in loop.pulled(cursor)[keys[0]]] == ["cat", "$100"]

    def test_imported_annotations_count(self, filled: tuple[Loop, list[str]]) -> None:
        """They come without a user who changed the task, and would be missed by that alone."""
        loop, _ = filled
        (key,) = keys_of(1)
        item = {"from_name": "label", "to_name": "item", "type": "choices", "value": {"choices": ["cat"]}}
        body = {"data": {"alearn_id": key, "text": "x"}, "annotations": [{"result": [item], "ground_truth": False}]}
        loop.post(f"/api/projects/{loop.project}/import", [body])
        assert [one.value for one in loop.pulled()[key]] == ["cat"]

    def test_an_unchanged_project_costs_one_request(self, filled: tuple[Loop, list[str]]) -> None:
        """And neither our imports nor our predictions are changes."""
        loop, keys = filled
        loop.answer(loop.tasks()[keys[0]], "cat")
        cursor = loop.platform.pull(None).cursor
        cursor = convert.iso(convert.moment(str(cursor)) + pull.WINDOW * 2)
        more = keys_of(2)
        loop.platform.push(tasks_of(more), queue_of([*more, *keys], "q2"))
        asked: list[str] = []
        client = loop.platform._client
        assert client is not None
        client._http.event_hooks["request"].append(lambda request: asked.append(request.url.path))
        found = loop.platform.pull(cursor)
        assert (found.states, found.cursor, asked) == ((), cursor, ["/api/tasks"])

    def test_what_was_seen_is_not_read_for_ever(self, filled: tuple[Loop, list[str]]) -> None:
        """Once it is settled, the cursor has passed it."""
        loop, keys = filled
        loop.answer(loop.tasks()[keys[0]], "cat")
        cursor = loop.platform.pull(None).cursor
        time.sleep(pull.WINDOW.total_seconds() + 2)
        second = loop.platform.pull(cursor)
        assert [state.key for state in second.states] == [keys[0]]
        assert loop.platform.pull(second.cursor).states == ()

    def test_a_change_that_becomes_visible_late_is_not_lost(self, filled: tuple[Loop, list[str]]) -> None:
        """A transaction may end after another that carries a later time: the cursor waits for it."""
        loop, keys = filled
        tasks = loop.tasks()
        loop.answer(tasks[keys[0]], "cat")
        first = convert.moment(loop.pulled()[keys[0]][0].updated_at)
        loop.answer(tasks[keys[1]], "cat")
        cursor = loop.platform.pull(None).cursor
        assert convert.moment(str(cursor)) < first
        assert set(loop.pulled(cursor)) == set(keys[:2])

    @pytest.mark.parametrize("size", [1, 2, 3, 4, 100])
    def test_pages_lose_nothing(self, filled: tuple[Loop, list[str]], size: int) -> None:
        """Also when many tasks were changed in one moment by a bulk action, at the edges of pages, and past the end."""
        loop, keys = filled
        tasks = loop.tasks()
        for key in keys:
            loop.answer(tasks[key], "cat")
        loop.action("delete_tasks_annotations", [tasks[key] for key in keys[1:4]])
        client = Client(loop.server.url, loop.server.token)
        found = pull.changes(client, loop.project, None, size)
        assert {convert.task_key(task) for task in found.tasks} == set(keys)

    def test_tasks_that_the_loop_did_not_make_are_told_and_left_out(self, filled: tuple[Loop, list[str]]) -> None:
        """People import into our project too."""
        loop, _ = filled
        made = loop.post(f"/api/projects/{loop.project}/import", [{"text": "mine"}], return_task_ids="true")
        loop.answer(made["task_ids"][0], "cat")
        found = loop.platform.pull(None)
        assert found.states == ()
        assert any("did not make" in notice for notice in found.notices)

    def test_deleted_tasks_are_found_by_a_resync(self, filled: tuple[Loop, list[str]]) -> None:
        """They vanish from the list of changes without a trace; in this process and in a new one."""
        loop, keys = filled
        loop.action("delete_tasks", [loop.tasks()[keys[1]]])
        for platform in (loop.platform, loop.open()):
            assert platform.pull(None, pushed=keys).missing == {keys[1]}

    def test_doubled_tasks_are_one_item(self, filled: tuple[Loop, list[str]]) -> None:
        """Both have been answered: both answers are the item's, whichever changed last."""
        loop, keys = filled
        loop.answer(loop.tasks()[keys[0]], "cat")
        body = convert.task_json(tasks_of(keys[:1])[0], "text", "x")
        copy = loop.post(f"/api/projects/{loop.project}/import", [body], return_task_ids="true")["task_ids"][0]
        loop.answer(copy, "$100")
        first = loop.platform.pull(None, pushed=keys)
        loop.answer(copy, "cat")
        settled = convert.just_before(max(one.updated_at for one in loop.pulled()[keys[0]]))
        for found in (first.states, loop.platform.pull(settled).states):
            assert {str(one.value) for state in found for one in state.annotations} == {"$100", "cat"}


class TestTokens:
    def test_a_personal_token_works_and_legacy_ones_may_be_off(self, loop: Loop, tmp_path: Path) -> None:
        """Legacy tokens are off on every new Label Studio; the sentence says so."""
        made = loop.http.post("/api/token/")
        if made.status_code == 409:
            pytest.skip("the owner of this server has a personal token already")
        personal = made.raise_for_status().json()["token"]
        client = Client(loop.server.url, personal)
        try:
            client.post("/api/jwt/settings", {"legacy_api_tokens_enabled": False, "api_tokens_enabled": True})
            with pytest.raises(Refused, match="must allow legacy tokens"):
                loop.open().prepare()
            (Path(str(loop.setting.options["token_file"]))).write_text(personal)
            assert loop.open().prepare() == f"{loop.server.url}/projects/{loop.project}"
        finally:
            client.post("/api/jwt/settings", {"legacy_api_tokens_enabled": True, "api_tokens_enabled": True})
            client.post("/api/token/blacklist/", {"refresh": personal})

    def test_a_wrong_token_is_refused(self, loop: Loop) -> None:
        """With where it came from."""
        file = Path(str(loop.setting.options["token_file"]))
        file.write_text("0" * 40)
        with pytest.raises(Refused, match=f"must accept the token in {file}"):
            loop.open().pull(None)


class TestPictures:
    def make_picture(self, folder: Path, colour: str) -> Task:
        path = folder / f"{colour}.png"
        Image.new("RGB", (8, 8), colour).save(path)
        return Task(secrets.token_hex(16), uri=str(path))

    def test_label_studio_serves_local_files_to_those_who_are_logged_in(
        self, make: Callable[..., Loop], label_studio: Any, tmp_path: Path
    ) -> None:
        """Before the folder is registered it answers 404; it is registered once."""
        loop = make(data="image", media_root=str(label_studio.media_root))
        task = self.make_picture(tmp_path, "red")
        loop.platform.push([task], queue_of([task.key]))
        url = loop.next()["data"]["image"]
        assert loop.http.get(url).content == Path(str(task.uri)).read_bytes()
        assert httpx.get(label_studio.url + url, trust_env=False).status_code in {401, 302}
        loop.open().prepare()
        assert len(loop.get("/api/storages/localfiles", project=loop.project)) == 1
        assert all(finding.ok for finding in loop.platform.check()), loop.platform.check()

    def test_pictures_can_be_served_from_here(self, make: Callable[..., Loop], tmp_path: Path) -> None:
        """For a Label Studio on another machine; the URL passes through it untouched."""
        port = secrets.randbelow(20_000) + 40_000
        loop = make(data="image", images="http", http_port=port)
        task = self.make_picture(tmp_path, "blue")
        web = Task(secrets.token_hex(16), uri="https://example.org/a.png")
        loop.platform.push([task, web], queue_of([task.key, web.key]))
        first = loop.next()
        assert httpx.get(first["data"]["image"], trust_env=False).content == Path(str(task.uri)).read_bytes()
        loop.answer(first["id"], "cat")
        assert loop.next()["data"]["image"] == web.uri

    def test_a_picture_that_is_gone_is_named(
        self, make: Callable[..., Loop], label_studio: Any, tmp_path: Path
    ) -> None:
        """The others are there."""
        loop = make(data="image", media_root=str(label_studio.media_root))
        task, lost = self.make_picture(tmp_path, "red"), Task(secrets.token_hex(16), uri=str(tmp_path / "lost.png"))
        assert set(loop.platform.push([lost, task], queue_of([task.key]))) == {lost.key}
        assert list(loop.tasks()) == [task.key]


class TestCheck:
    def test_a_sound_project_is_well(self, filled: tuple[Loop, list[str]]) -> None:
        """Nothing that lasts is changed by looking."""
        loop, _ = filled
        before = loop.raw
        findings = loop.platform.check()
        assert all(finding.ok for finding in findings), findings
        assert len(findings) >= 5
        assert loop.raw == before

    def test_before_a_project_exists_nothing_is_made(self, label_studio: Any, tmp_path: Path) -> None:
        """Doctors do not operate."""
        loop = Loop(label_studio, tmp_path)
        assert all(finding.ok for finding in loop.platform.check())
        assert find_number(loop.http, loop.setting) is None

    def test_an_order_by_chance_is_found(self, filled: tuple[Loop, list[str]]) -> None:
        """A model version without predictions is the silent one."""
        loop, _ = filled
        loop.patch(model_version="")
        (wrong,) = [finding for finding in loop.platform.check() if not finding.ok]
        assert "by chance" in wrong.advice

    def test_a_server_that_is_off_is_one_finding(self, loop: Loop) -> None:
        """With what to do."""
        loop.setting.options.update(url="http://127.0.0.1:9")  # type: ignore[attr-defined]
        (finding,) = loop.open().check()
        assert not finding.ok
        assert "must answer" in finding.advice
