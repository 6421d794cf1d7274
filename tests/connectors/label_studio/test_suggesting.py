"""Labels that no person gave, on a live Label Studio: behind the queue, visible, and gone without a trace."""

import os
import secrets
import signal
from collections.abc import Collection
from typing import Any

import pytest

from alearn.core.keys import content_key
from alearn.errors import ConfigError
from alearn.platform import Proposal, Proposed, Queue, QueueEntry, Suggesting, Task
from alearn_connectors.label_studio.client import Client
from alearn_connectors.label_studio.suggesting import PREFIX


def proposals(count: int, label: str = "cat", word: str = "sure") -> list[Proposal]:
    """Texts with a label, each surer than the one before."""
    nonce = secrets.token_hex(4)
    made = [f"{word} {nonce} {at}" for at in range(count)]
    return [
        Proposal(Task(content_key(text.encode()), text=text), label, 0.9 + at / (20 * count))
        for at, text in enumerate(made)
    ]


def keys_of(some: Collection[Proposal]) -> list[str]:
    return [one.task.key for one in some]


def propose(
    loop: Any, some: Collection[Proposal], version: str = "v1", asked: Collection[str] = (), platform: Any = None
) -> Proposed:
    return (platform or loop.platform).propose(list(some), version=version, asked=asked, progress=lambda *_: None)


def predictions(loop: Any) -> dict[str, dict[str, str | None]]:
    """{key: {version: what it says}}; fails when a task has two of one version."""
    found: dict[str, dict[str, str | None]] = {}
    for task in loop.get("/api/tasks", project=loop.project, page_size=5000, fields="all")["tasks"]:
        said = found.setdefault(task["data"]["alearn_id"], {})
        for one in task["predictions"]:
            assert one["model_version"] not in said, "a prediction is doubled"
            said[one["model_version"]] = next((item["value"]["choices"][0] for item in one["result"]), None)
    return found


def automatic(loop: Any) -> dict[str, str | None]:
    """{key: what is suggested} by a version of ours."""
    return {
        key: label for key, said in predictions(loop).items() for name, label in said.items() if name.startswith(PREFIX)
    }


def resynced(loop: Any, pushed: Collection[str]) -> Any:
    return loop.platform.pull(None, pushed=list(pushed))


class TestBehindTheQueue:
    def test_nobody_gets_one_while_the_queue_holds_a_task(self, loop: Any) -> None:
        """Then they come by themselves, least sure first, each with its label; and a new queue comes before them."""
        keys, some = loop.keys_of(2), proposals(3)
        loop.platform.push(loop.tasks_of(keys[:1]), loop.queue_of(keys[:1]))
        assert isinstance(loop.platform, Suggesting)
        propose(loop, some)
        assert opened_by_hand(loop, some[0]) == ["cat"]
        served = [served_and_answered(loop) for _ in range(2)]
        loop.platform.push(loop.tasks_of(keys[1:]), loop.queue_of(keys[1:], "q2"))
        served += [served_and_answered(loop) for _ in range(3)]
        first, second, third = keys_of(some)
        assert served == [
            (keys[0], []),
            (first, ["cat"]),
            (keys[1], []),
            (second, ["cat"]),
            (third, ["cat"]),
        ]

    def test_when_all_are_withdrawn_the_queue_is_served_again(self, loop: Any) -> None:
        """Though it is empty: what orders the project is never a version that is gone."""
        keys, some = loop.keys_of(1), proposals(2)
        loop.platform.push(loop.tasks_of(keys), loop.queue_of(keys))
        ordered = loop.get(f"/api/projects/{loop.project}/")["model_version"]
        propose(loop, some)
        assert served_and_answered(loop) == (keys[0], [])
        assert loop.get(f"/api/projects/{loop.project}/")["model_version"].startswith(PREFIX)
        assert propose(loop, []).removed == 2
        assert loop.get(f"/api/projects/{loop.project}/")["model_version"] == ordered
        assert not any("by chance" in notice for notice in resynced(loop, keys).notices)


def opened_by_hand(loop: Any, one: Proposal) -> list[str]:
    """What comes with a task, whatever is served: the page ticks the first where none is of the version served."""
    return suggested(loop.get(f"/api/tasks/{loop.tasks()[one.task.key]}/", project=loop.project))


def suggested(task: Any) -> list[str]:
    """What the predictions that come with a task say."""
    return [item["value"]["choices"][0] for one in task["predictions"] for item in one["result"]]


def served_and_answered(loop: Any) -> tuple[str, list[str]]:
    """The key of the next task and what is suggested; then it is answered, and the loop looks."""
    task = loop.next()
    loop.answer(task["id"], "cat")
    loop.platform.pull(None)
    return task["data"]["alearn_id"], suggested(task)


class TestAgain:
    def test_twice_is_once(self, filled: Any) -> None:
        """Also from another process, and for one that remembers nothing; what is no longer among them goes."""
        loop, keys = filled
        some = proposals(4)
        propose(loop, some)
        assert propose(loop, some, platform=loop.open()) == Proposed(there=4, new=0)
        for note in (loop.setting.home / "label-studio").glob("*/*.json"):
            note.unlink()
        assert propose(loop, some, platform=loop.open()) == Proposed(there=4, new=0)
        assert sorted(loop.tasks()) == sorted([*keys, *keys_of(some)])
        assert propose(loop, some[1:]) == Proposed(there=3, removed=1)
        assert sorted(loop.tasks()) == sorted([*keys, *keys_of(some[1:])])
        assert automatic(loop) == dict.fromkeys(keys_of(some[1:]), "cat")

    @pytest.mark.parametrize("wanted", ["/import", "/import/predictions"])
    def test_other_labels_take_their_place_and_killed_it_goes_on(self, filled: Any, wanted: str) -> None:
        """In the same tasks. Killed when Label Studio has done what was asked, and before that is noted, nothing is
        lost or doubled, and the loop sees nothing of it.
        """
        loop, keys = filled
        some = proposals(6)
        propose(loop, some[:3])
        before = loop.tasks()
        other = [Proposal(one.task, loop.classes[1], one.confidence) for one in some[1:]]
        pid = os.fork()
        if not pid:
            try:
                _kill_after(wanted)
                propose(loop, other, "v2", platform=loop.open())
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        assert resynced(loop, keys).found == ()
        propose(loop, other, "v2", platform=loop.open())
        after = loop.tasks()
        assert sorted(after) == sorted([*keys, *keys_of(other)])
        assert before.items() - after.items() == {(some[0].task.key, before[some[0].task.key])}
        assert automatic(loop) == dict.fromkeys(keys_of(other), loop.classes[1])
        assert loop.versions() == {"q1": 6, f"{PREFIX}v2": 5}
        assert resynced(loop, keys).states == (), "nobody has touched any"


def _kill_after(wanted: str) -> None:
    """Kill this process when the first such request is answered."""
    inner = Client.post

    def post(self: Client, path: str, *args: Any, **kwargs: Any) -> Any:
        made = inner(self, path, *args, **kwargs)
        if path.endswith(wanted):
            os.kill(os.getpid(), signal.SIGKILL)
        return made

    Client.post = post  # type: ignore[method-assign]


class TestPeople:
    def test_an_answer_is_told_and_nothing_else_is(self, filled: Any) -> None:
        """What nobody has touched is neither a state nor found nor missing, also for a machine that has forgotten."""
        loop, keys = filled
        some = proposals(3)
        propose(loop, some)
        first = some[0].task.key
        loop.answer(loop.tasks()[first], loop.classes[1])
        for _ in range(2):
            pulled = resynced(loop, keys)
            assert {state.key: [one.value for one in state.annotations] for state in pulled.states} == {
                first: [loop.classes[1]]
            }
            assert (pulled.found, pulled.missing, pulled.notices) == ((), frozenset(), ())
            for note in (loop.setting.home / "label-studio").glob("*/suggested.json"):
                note.unlink()
            loop.platform = loop.open()

    def test_withdrawn_only_what_nobody_has_begun_goes(self, filled: Any) -> None:
        """A task with an answer, a skip or a draft stays, without the suggestion."""
        loop, keys = filled
        some = proposals(5)
        propose(loop, some)
        tasks = [loop.tasks()[key] for key in keys_of(some)]
        loop.answer(tasks[0], "cat")
        loop.answer(tasks[1], was_cancelled=True)
        loop.post(f"/api/tasks/{tasks[2]}/drafts", {"result": [], "lead_time": 1})
        assert propose(loop, [], asked=keys_of(some[:1])) == Proposed(removed=2, kept=2)
        assert sorted(loop.tasks()) == sorted([*keys, *keys_of(some[:3])])
        assert loop.versions() == {"q1": 6}
        assert loop.next()["data"]["alearn_id"] == keys[0]
        assert propose(loop, [], asked=keys_of(some[:3])) == Proposed()
        assert sorted(loop.tasks()) == sorted([*keys, *keys_of(some[:3])])

    def test_what_the_loop_asks_about_is_the_loops(self, filled: Any) -> None:
        """Its task stays where the queue has put it, with the queue's suggestion alone."""
        loop, keys = filled
        some = proposals(3)
        propose(loop, some)
        first = some[0]
        queue = Queue("q2", (QueueEntry(first.task.key, 0.0, loop.classes[1], 0.6), QueueEntry(keys[0], 0.5)))
        loop.platform.push([first.task], queue)
        task = loop.next()
        assert task["data"]["alearn_id"] == first.task.key
        assert [one["model_version"] for one in task["predictions"]] == ["q2"]
        assert propose(loop, some[1:], asked=keys_of(some[:1])) == Proposed(there=2)
        assert predictions(loop)[first.task.key] == {"q2": loop.classes[1]}
        assert propose(loop, [], asked=keys_of(some[:1])) == Proposed(removed=2)
        assert sorted(loop.tasks()) == sorted([*keys, first.task.key])

    def test_who_has_answered_one_brings_it_before_nobody(self, make: Any, colleague: Any) -> None:
        """Where several people are asked about every task, Label Studio would serve what one has begun first. What the
        loop asks about is asked of as many as it wants.
        """
        loop = make(overlap=2)
        keys, some = loop.keys_of(2), proposals(2)
        propose(loop, some)
        queue = [*keys, some[1].task.key]
        loop.platform.push([*loop.tasks_of(keys), some[1].task], loop.queue_of(queue))
        tasks = [loop.tasks()[key] for key in keys_of(some)]
        loop.answer(tasks[0], "cat")
        assert loop.next(colleague)["id"] == tasks[0]
        cursor = loop.platform.pull(None).cursor
        loop.answer(tasks[1], "cat")
        loop.platform.pull(cursor)
        read = [loop.get(f"/api/tasks/{task}/") for task in tasks]
        assert [(task["overlap"], task["is_labeled"]) for task in read] == [(1, True), (2, False)]
        loop.platform.pull(cursor)
        assert loop.get(f"/api/tasks/{tasks[0]}/")["updated_at"] == read[0]["updated_at"], "it is said once"


class TestRefusing:
    def test_hidden_suggestions_are_no_suggestions(self, make: Any) -> None:
        """It is said before anything is written."""
        loop = make(suggestions=False)
        with pytest.raises(ConfigError, match=r"platform\.options\.suggestions"):
            propose(loop, proposals(1))
        assert loop.tasks() == {}

    def test_what_the_project_does_not_offer_is_named(self, filled: Any) -> None:
        """And the others are there."""
        loop, keys = filled
        some = [*proposals(2), *proposals(1, label="unicorn", word="odd")]
        made = propose(loop, some)
        assert (made.there, made.new, list(made.refused)) == (2, 2, [some[2].task.key])
        assert sorted(loop.tasks()) == sorted([*keys, *keys_of(some[:2])])
