"""The rules of the door in `alearn.platform`, each a test."""

from __future__ import annotations

import dataclasses
import secrets
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from alearn.core.consensus import consensus
from alearn.core.keys import content_key
from alearn.core.schema import DataKind, LabelSchema
from alearn.errors import ConfigError, Refused, Unavailable
from alearn.platform import Call, Listening, Queue, QueueEntry, Setting, Suggestion, Task
from alearn.testing.case import (
    AWKWARD_CLASSES,
    AWKWARD_TEXTS,
    CLASSES,
    Bench,
    BenchMaker,
    Ledger,
    PlatformCase,
    entries,
    texts,
)
from alearn.testing.suggested import Suggested


class _Fixtures:
    """What the tests are given."""

    @pytest.fixture
    def platform_case(self, tmp_path: Path) -> PlatformCase:
        """Override this: the case of your platform."""
        raise NotImplementedError("override the fixture `platform_case`")

    @pytest.fixture
    def new_bench(self, platform_case: PlatformCase, tmp_path: Path, request: pytest.FixtureRequest) -> BenchMaker:
        """Makes a prepared loop with a name of its own: new_bench(classes, data)."""

        def make(classes: Sequence[str] = CLASSES, data: DataKind = "text") -> Bench:
            name = f"conformance-{secrets.token_hex(5)}"
            setting = Setting(name, LabelSchema(tuple(classes)), data, tmp_path / name)
            bench = Bench(platform_case, setting)
            request.addfinalizer(bench.close)
            return bench

        return make

    @pytest.fixture
    def bench(self, new_bench: BenchMaker) -> Bench:
        """A prepared loop over texts with three plain classes."""
        return new_bench()


class _Pushing(_Fixtures):
    """Rules of `prepare` and `push`."""

    def test_prepare_is_idempotent(self, bench: Bench) -> None:
        """Preparing again, and from a platform opened again, adopts the same project."""
        assert bench.reference
        assert bench.platform.prepare() == bench.reference == bench.open().prepare()

    def test_an_unknown_option_is_a_config_error(self, bench: Bench) -> None:
        """It is named, and never becomes a default."""
        setting = dataclasses.replace(bench.setting, options={**bench.setting.options, "no_such_option": 1})
        with pytest.raises(ConfigError, match="no_such_option"):
            bench.case.open(setting)

    def test_pushed_tasks_are_there(self, bench: Bench) -> None:
        """When push returns, each task is on the platform once."""
        keys = bench.push(texts(3))
        assert bench.held() == Counter(keys)

    def test_pushing_again_doubles_nothing(self, bench: Bench) -> None:
        """Neither in the same platform object, nor in one opened again, nor within one call."""
        tasks = texts(3)
        keys = bench.push(tasks)
        bench.push(tasks)
        bench.platform = bench.open()
        bench.push([*tasks, *tasks])
        assert bench.held() == Counter(keys)

    def test_push_adopts_what_a_crash_left(self, bench: Bench) -> None:
        """After a push that was cut off, a new process pushes everything again; what is there is adopted."""
        tasks = texts(5)
        bench.push(tasks[:2])
        bench.platform = bench.open()
        keys = bench.push(tasks)
        assert bench.held() == Counter(keys)

    def test_a_task_that_is_there_is_left_alone(self, bench: Bench) -> None:
        """Its annotations and its content stay when it is pushed again."""
        tasks = texts(2)
        keys = bench.push(tasks)
        bench.annotate(keys[0], "dog")
        bench.push([Task(keys[0], text="another text"), tasks[1]])
        bench.ledger.pull(bench.platform)
        assert bench.ledger.one(keys[0]).value == "dog"
        assert bench.case.content(bench.setting, keys[0]) == tasks[0].text

    def test_pushing_nothing_is_nothing(self, bench: Bench) -> None:
        """No tasks and an empty queue."""
        bench.push([])
        assert bench.held() == Counter()
        assert bench.ledger.pull(bench.platform, pushed=[]).missing == frozenset()

    def test_a_thousand_tasks_are_taken_at_once(self, bench: Bench) -> None:
        """In one push, in their order, and not doubled by a second one."""
        tasks = texts(1000)
        keys = bench.push(tasks)
        bench.push(tasks)
        assert bench.held() == Counter(keys)
        assert bench.ledger.pull(bench.platform, pushed=keys).missing == frozenset()

    def test_texts_survive(self, bench: Bench) -> None:
        """Mark-up, quotes, line ends, emoji, and long texts are shown as they are."""
        tasks = [Task(content_key(text.encode()), text=text) for text in AWKWARD_TEXTS]
        keys = bench.push(tasks)
        assert [bench.case.content(bench.setting, key) for key in keys] == list(AWKWARD_TEXTS)

    def test_images_are_taken(self, new_bench: BenchMaker) -> None:
        """Tasks of a loop over images, named by local paths."""
        bench = new_bench(data="image")
        keys = bench.push([Task(content_key(name.encode()), uri=bench.case.image(name)) for name in ("a", "b")])
        assert bench.held() == Counter(keys)
        bench.annotate(keys[1], "bird")
        bench.ledger.pull(bench.platform)
        assert bench.ledger.one(keys[1]).value == "bird"

    def test_a_queue_may_name_what_is_not_there(self, bench: Bench) -> None:
        """A task deleted on the platform stays in the loop's queue until the next resync."""
        tasks = texts(2)
        keys = [task.key for task in tasks]
        bench.push(tasks, entries([content_key(b"gone"), *keys]))
        assert bench.held() == Counter(keys)


class _Ordering(_Fixtures):
    """Rules of the queue and of suggestions."""

    def test_the_queue_has_the_order_that_was_pushed(self, bench: Bench) -> None:
        """The order of the queue, not of the tasks, is what annotators get."""
        tasks = texts(6)
        order = [tasks[at].key for at in (2, 5, 0, 3, 1, 4)]
        bench.push(tasks, entries(order))
        assert bench.case.queue(bench.setting) == order

    def test_the_queue_is_ordered_anew_without_new_tasks(self, bench: Bench) -> None:
        """A new model version re-orders what is open."""
        keys = bench.push(texts(4))
        bench.push([], entries(keys[::-1]))
        assert bench.case.queue(bench.setting) == keys[::-1]

    def test_new_tasks_come_where_the_queue_says(self, bench: Bench) -> None:
        """Between old ones, too, and from a platform opened again."""
        tasks = texts(4)
        bench.push(tasks[:2])
        bench.platform = bench.open()
        order = [tasks[at].key for at in (3, 0, 2, 1)]
        bench.push(tasks[2:], entries(order))
        assert bench.case.queue(bench.setting) == order

    def test_suggestions_are_shown_and_replaced(self, bench: Bench) -> None:
        """Those of the newest queue hold; a task without one shows none."""
        keys = bench.push(texts(3))
        first = [QueueEntry(keys[0], 0.1, "dog", 0.9), QueueEntry(keys[1], 0.2), QueueEntry(keys[2], 0.3, "cat", 0.4)]
        bench.push([], Queue("v-1", tuple(first)))
        assert dict(bench.case.suggestions(bench.setting)) == {keys[0]: "dog", keys[2]: "cat"}
        second = [QueueEntry(keys[0], 0.1, "bird", 0.6), QueueEntry(keys[1], 0.2), QueueEntry(keys[2], 0.3, "cat", 0.5)]
        bench.push([], Queue("v-2", tuple(second)))
        assert dict(bench.case.suggestions(bench.setting)) == {keys[0]: "bird", keys[2]: "cat"}

    def test_suggestions_are_no_annotations(self, bench: Bench) -> None:
        """A suggestion that nobody has confirmed is not pulled."""
        keys = bench.push(texts(2))
        bench.push([], entries(keys, label="dog"))
        bench.ledger.pull(bench.platform)
        assert not any(bench.ledger.states.values())


class _Pulling(_Fixtures):
    """Rules of `pull`."""

    def test_an_annotation_is_told(self, bench: Bench) -> None:
        """Who said what of which task, with an id, a time in UTC and a time it took, or none."""
        keys = bench.push(texts(2))
        identity = bench.annotate(keys[1], "dog")
        bench.ledger.pull(bench.platform)
        found = bench.ledger.one(keys[1])
        assert (found.id, found.key, found.value, found.skipped, found.refused) == (
            identity,
            keys[1],
            "dog",
            False,
            None,
        )
        assert found.annotator
        assert found.lead_time is None or found.lead_time >= 0
        assert not found.updated_at or datetime.fromisoformat(found.updated_at).utcoffset() == timedelta(0)
        assert not bench.ledger.states.get(keys[0])

    def test_a_pull_tells_what_changed_since_the_cursor(self, bench: Bench) -> None:
        """New annotations come with the next pull, earlier ones stay known."""
        keys = bench.push(texts(3))
        bench.ledger.pull(bench.platform)
        for key, value in zip(keys, CLASSES, strict=True):
            bench.annotate(key, value)
            bench.ledger.pull(bench.platform)
            assert bench.ledger.one(key).value == value
        assert [bench.ledger.one(key).value for key in keys] == list(CLASSES)

    def test_a_pull_without_news_is_small(self, bench: Bench) -> None:
        """It may repeat the latest news, never the whole project, and changes nothing."""
        keys = bench.push(texts(30))
        for key in keys[:3]:
            bench.annotate(key, "cat")
        bench.ledger.pull(bench.platform)
        known = dict(bench.ledger.states)
        for _ in range(2):
            again = bench.ledger.pull(bench.platform)
            assert len([state for state in again.states if state.annotations]) <= 3
            assert again.missing == frozenset()
        assert {key: said for key, said in bench.ledger.states.items() if said} == {key: known[key] for key in keys[:3]}

    def test_an_old_cursor_still_works(self, bench: Bench) -> None:
        """After a crash the same pull is made again; it tells at least the same, as it is now."""
        keys = bench.push(texts(2))
        bench.ledger.pull(bench.platform)
        old = bench.ledger.cursor
        for key in keys:
            bench.annotate(key, "bird")
            bench.ledger.pull(bench.platform)
        for cursor in (old, None):
            again = Ledger()
            again.cursor = cursor
            again.pull(bench.platform)
            assert [again.one(key) for key in keys] == [bench.ledger.one(key) for key in keys]

    def test_a_cursor_outlives_the_process(self, bench: Bench) -> None:
        """A platform opened again goes on from a cursor of the one before."""
        keys = bench.push(texts(2))
        bench.annotate(keys[0], "cat")
        bench.ledger.pull(bench.platform)
        bench.platform.close()
        bench.platform = bench.open()
        bench.annotate(keys[1], "dog")
        bench.ledger.pull(bench.platform)
        assert [bench.ledger.one(key).value for key in keys] == ["cat", "dog"]

    def test_ids_are_unique(self, bench: Bench) -> None:
        """Over tasks and annotators."""
        keys = bench.push(texts(2))
        for key in keys:
            for annotator in ("ann", "bob"):
                bench.annotate(key, "cat", annotator)
        bench.ledger.pull(bench.platform)
        ids = [one.id for key in keys for one in bench.ledger.states[key]]
        assert len(ids) == len(set(ids)) == 4

    def test_two_annotators_are_two(self, bench: Bench) -> None:
        """Both annotations of a task are told together, under two names."""
        (key,) = bench.push(texts(1))
        bench.annotate(key, "cat", "ann")
        bench.ledger.pull(bench.platform)
        bench.annotate(key, "dog", "bob")
        bench.ledger.pull(bench.platform)
        assert sorted(filter(None, bench.ledger.values(key).values())) == ["cat", "dog"]

    def test_an_annotator_may_change_their_mind(self, bench: Bench) -> None:
        """Whether the platform replaces the first answer or keeps both, the latest is what consensus makes of it."""
        (key,) = bench.push(texts(1))
        bench.annotate(key, "cat")
        bench.ledger.pull(bench.platform)
        bench.annotate(key, "dog")
        bench.ledger.pull(bench.platform)
        assert len({one.annotator for one in bench.ledger.states[key]}) == 1
        label = consensus(bench.ledger.states[key])
        assert label is not None
        assert (label.value, label.votes) == ("dog", 1)

    def test_an_answer_to_a_task_out_of_the_queue_is_told(self, bench: Bench) -> None:
        """Somebody had it open when the queue changed."""
        keys = bench.push(texts(2))
        bench.push([], entries(keys[:1]))
        bench.annotate(keys[1], "dog")
        bench.ledger.pull(bench.platform)
        assert bench.ledger.one(keys[1]).value == "dog"

    def test_class_names_survive(self, new_bench: BenchMaker) -> None:
        """Mark-up, quotes, separators, emoji and any script come back as they were sent: as answers and suggestions."""
        bench = new_bench(AWKWARD_CLASSES)
        keys = bench.push(texts(len(AWKWARD_CLASSES)))
        for key, name in zip(keys, AWKWARD_CLASSES, strict=True):
            bench.annotate(key, name)
        bench.ledger.pull(bench.platform)
        assert [bench.ledger.one(key).value for key in keys] == list(AWKWARD_CLASSES)

    def test_class_names_survive_as_suggestions(self, new_bench: BenchMaker) -> None:
        """The same on their way to annotators."""
        bench = new_bench(AWKWARD_CLASSES)
        keys = bench.push(texts(len(AWKWARD_CLASSES)))
        named = dict(zip(keys, AWKWARD_CLASSES, strict=True))
        bench.push([], Queue("v-1", tuple(QueueEntry(key, 0.5, name, 0.5) for key, name in named.items())))
        assert dict(bench.case.suggestions(bench.setting)) == named


class _Changing(_Fixtures):
    """Rules of what people do after they have answered."""

    def test_an_edit_is_told(self, bench: Bench) -> None:
        """The same annotation, with its new value."""
        (key,) = bench.push(texts(1))
        bench.annotate(key, "cat")
        bench.ledger.pull(bench.platform)
        before = bench.ledger.one(key)
        bench.case.edit(bench.setting, before, "dog")
        bench.ledger.pull(bench.platform)
        after = bench.ledger.one(key)
        assert (after.id, after.annotator, after.value) == (before.id, before.annotator, "dog")

    def test_a_deleted_annotation_is_no_longer_listed(self, bench: Bench) -> None:
        """One of two, then the other: the task's state lists what is left, in the end nothing."""
        (key,) = bench.push(texts(1))
        bench.annotate(key, "cat", "ann")
        bench.annotate(key, "dog", "bob")
        bench.ledger.pull(bench.platform)
        cat, dog = sorted(bench.ledger.states[key], key=lambda one: one.value or "")
        bench.case.delete_annotation(bench.setting, cat)
        bench.ledger.pull(bench.platform)
        assert bench.ledger.one(key).id == dog.id
        bench.case.delete_annotation(bench.setting, dog)
        bench.ledger.pull(bench.platform)
        assert bench.ledger.states[key] == ()

    def test_a_deleted_annotation_may_be_followed_by_another(self, bench: Bench) -> None:
        """The task is asked again and answered again."""
        (key,) = bench.push(texts(1))
        bench.annotate(key, "cat")
        bench.ledger.pull(bench.platform)
        bench.case.delete_annotation(bench.setting, bench.ledger.one(key))
        bench.annotate(key, "bird")
        bench.ledger.pull(bench.platform)
        assert bench.ledger.one(key).value == "bird"

    def test_a_skip_is_told_as_one(self, bench: Bench) -> None:
        """No value, no refusal."""
        keys = bench.push(texts(2))
        bench.case.skip(bench.setting, keys[0])
        bench.ledger.pull(bench.platform)
        found = bench.ledger.one(keys[0])
        assert (found.value, found.skipped, found.refused) == (None, True, None)

    def test_a_skip_may_be_followed_by_an_answer(self, bench: Bench) -> None:
        """By another annotator."""
        (key,) = bench.push(texts(1))
        bench.case.skip(bench.setting, key, "ann")
        bench.annotate(key, "dog", "bob")
        bench.ledger.pull(bench.platform)
        assert sorted((one.skipped, one.value) for one in bench.ledger.states[key]) == [(False, "dog"), (True, None)]

    def test_an_answer_outside_the_schema_is_refused(self, bench: Bench) -> None:
        """It is told in words and stops nothing; answers beside it count."""
        keys = bench.push(texts(2))
        bench.case.annotate_outside(bench.setting, keys[0])
        bench.annotate(keys[1], "cat")
        bench.ledger.pull(bench.platform)
        found = bench.ledger.one(keys[0])
        assert (found.value, found.skipped) == (None, False)
        assert found.refused
        assert bench.ledger.one(keys[1]).value == "cat"

    def test_deleted_tasks_are_missing_after_a_resync_only(self, bench: Bench) -> None:
        """Pulled with the keys that were pushed, those that are gone are named; without them, none is."""
        keys = bench.push(texts(3))
        bench.annotate(keys[0], "cat")
        assert bench.ledger.pull(bench.platform, pushed=keys).missing == frozenset()
        bench.case.delete_task(bench.setting, keys[1])
        assert bench.ledger.pull(bench.platform).missing == frozenset()
        assert bench.ledger.pull(bench.platform, pushed=keys).missing == {keys[1]}
        assert bench.ledger.one(keys[0]).value == "cat"

    def test_what_was_never_pushed_is_missing(self, bench: Bench) -> None:
        """A key the platform does not hold, whatever the reason."""
        keys = bench.push(texts(1))
        never = content_key(b"never pushed")
        assert bench.ledger.pull(bench.platform, pushed=[*keys, never]).missing == {never}


class _Standing(_Fixtures):
    """Rules of the rest of the door."""

    def test_links_say_where_to_look(self, bench: Bench) -> None:
        """At least one, each with a place."""
        links = bench.platform.links()
        assert links
        assert all(links.values())

    def test_check_finds_a_sound_platform_sound(self, bench: Bench) -> None:
        """And changes nothing that lasts."""
        keys = bench.push(texts(2))
        findings = bench.platform.check()
        assert findings
        assert [one.what for one in findings if not one.ok] == []
        assert bench.held() == Counter(keys)

    def test_closing_twice_is_closing_once(self, bench: Bench) -> None:
        """And what was pushed is there when it is opened again."""
        keys = bench.push(texts(2))
        bench.platform.close()
        bench.platform.close()
        bench.platform = bench.open()
        assert bench.platform.prepare() == bench.reference
        assert bench.held() == Counter(keys)

    def test_an_unreachable_platform_is_unavailable_or_refuses(self, bench: Bench) -> None:
        """Nothing else is raised, by any method; closing is always possible, and `check` says what is wrong."""
        bench.push(texts(1))
        platform = bench.case.unreachable(bench.setting)
        for call in (
            platform.prepare,
            lambda: platform.push(texts(2), entries([])),
            lambda: platform.pull(None),
            lambda: platform.pull(None, pushed=[texts(1)[0].key]),
        ):
            with pytest.raises((Unavailable, Refused)):
                call()
        assert any(not one.ok and one.advice for one in platform.check())
        platform.close()


@dataclasses.dataclass
class _Host:
    """A server that notes what a platform asks of it."""

    asked: list[str] = dataclasses.field(default_factory=list)

    def wake(self) -> None:
        self.asked.append("wake")

    def train(self) -> None:
        self.asked.append("train")

    def version(self) -> str | None:
        self.asked.append("version")
        return None

    def suggest(self, keys: Sequence[str]) -> dict[str, Suggestion]:
        self.asked.append("suggest")
        return {}


class _Hearing(_Fixtures):
    """Rules of `Listening`, for platforms that can call."""

    @pytest.fixture
    def listening(self, bench: Bench) -> Listening:
        """The platform, where it is one."""
        if not isinstance(bench.platform, Listening):
            pytest.skip("this platform does not call")
        return bench.platform

    def test_a_stranger_is_not_heard(self, listening: Listening) -> None:
        """Without what signs a call, no path and no method asks anything of the server."""
        host = _Host()
        for path in ("", "/", "/webhook", "/ml/predict", "/../webhook", "/no/such/path"):
            for method in ("GET", "POST", "DELETE"):
                for body in (b"", b"{}", b"\x00\xff", b"[" * 10_000):
                    reply = listening.hear(Call(method, path, {"content-type": "application/json"}, body), host)
                    assert 400 <= reply.status < 500, (method, path, reply)
        assert host.asked == []

    def test_leaving_twice_is_leaving_once(self, listening: Listening) -> None:
        """Nothing calls when nobody asked for it, and that can be said again."""
        assert listening.subscribe(None) is False
        assert listening.subscribe(None) is False


class PlatformConformance(_Pushing, _Ordering, _Pulling, _Changing, _Standing, _Hearing, Suggested):
    """The rules of the door. Subclass it and override the fixture `platform_case`."""
