"""Whole loops on real parts: where they end, and what changes in between do to them."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alearn.config import Config
from alearn.errors import ConfigError
from alearn.loop.believing import EVERYBODY
from alearn.loop.controller import LONGEST_PAUSE, Outcome, pause, run
from alearn.loop.intake import add
from alearn.loop.plan import Step
from alearn.loop.steps import closing
from alearn.loop.undertaking import Undertaking, opened
from alearn.loop.wake import Wake
from alearn.store.tables import AnnotationRow

Make = Callable[..., Config]


def done(config: Config, *, once: bool = False) -> Outcome:
    with opened(config) as loop:
        return run(loop, once=once)


def said(
    value: str | None = None, *, skipped: bool = False, refused: str | None = None, by: str = "a"
) -> AnnotationRow:
    return AnnotationRow(
        loop_id=1, id=by, key="k", annotator=by, value=value, skipped=skipped, refused=refused, updated_at=""
    )


def marked(value: str) -> AnnotationRow:
    return said(value).model_copy(update={"trusted": True})


@given(st.floats(0.01, 3600), st.integers(0, 5000))
def test_pauses_grow_and_stay_bounded(poll: float, failures: int) -> None:
    """However long a platform is gone, the controller looks again, at latest after the longest pause or its own."""
    assert poll <= pause(poll, failures) <= max(poll, LONGEST_PAUSE)
    assert pause(poll, 0) == poll


def test_when_an_item_is_closed() -> None:
    """Labeled, refused, empty, or skipped by enough people; open otherwise."""
    assert closing([said("even")], True, skips=1) == "labeled"
    assert closing([said(refused="unknown class")], False, skips=1) == "refused"
    assert closing([said()], False, skips=1) == "empty"
    assert closing([said(skipped=True)], False, skips=1) == "skipped"
    assert closing([said(skipped=True)], False, skips=2) is None
    assert closing([said(skipped=True), said(skipped=True, by="b")], False, skips=2) == "skipped"
    assert closing([], False, skips=1) is None


def test_when_several_opinions_are_enough() -> None:
    """An answered item stays open until so many people have said something; a skip is something. A mark is enough."""
    assert closing([said("even")], True, skips=1, opinions=2) is None
    assert closing([said("even"), said("odd", by="b")], True, skips=1, opinions=2) == "labeled"
    assert closing([said("even"), said(skipped=True, by="b")], True, skips=1, opinions=2) == "labeled"
    assert closing([marked("even")], True, skips=1, opinions=2) == "labeled"
    assert closing([marked("even")], True, skips=1, opinions=EVERYBODY) is None


@pytest.mark.parametrize(
    "sections",
    [
        {"query": {"batch": 1}, "budget": {"labels": 8}},
        {"query": {"batch": 4}, "holdout": {"rate": 0.1}, "budget": {"labels": None}},
        {"holdout": {"rate": 1.0, "size": 100, "share": 0.5}, "budget": {"labels": None}},
        {"holdout": {"rate": 0.0}, "budget": {"labels": None}},
        {"platform": {"options": {"skip_rate": 0.6}}, "budget": {"labels": None}},
        {"platform": {"options": {"skip_rate": 1.0}}, "budget": {"labels": None}},
    ],
    ids=["batch 1", "low rate", "all hold-out", "rate 0", "many skips", "only skips"],
)
def test_every_loop_ends(sections: dict[str, object], config: Make) -> None:
    """With odd sizes, rates and annotators, a loop ends and says why; never does it turn without getting on."""
    outcome = done(config(**sections))
    assert outcome.step is Step.DONE
    assert outcome.reason


def test_the_holdout_is_never_trained_on(config: Make) -> None:
    """Nor is anything of a group that is in it, and what was drawn for it is what its hash says."""
    with opened(config()) as loop:
        run(loop)
        trained = set(loop.store.annotations.training(holdout=False).keys)
        held = set(loop.store.annotations.training(holdout=True).keys)
        flagged = {one.key for one in loop.store.items.candidates() if one.holdout}
    assert len(held) == 10
    assert held <= flagged
    assert not trained & flagged


def test_another_split_is_refused(config: Make, photos: Path) -> None:
    """Items that come later are divided as those before, or a group would be on both sides."""
    done(config(budget={"labels": 5}))
    with opened(config(seed=1)) as loop, pytest.raises(ConfigError, match=r"share 0\.2, seed 0"):
        add(loop, loop.config.source)


def test_a_lost_store_adopts_what_the_platform_has(config: Make, tmp_path: Path) -> None:
    """The database is gone, the annotations are not: they are labels again, nobody is asked twice, the loop ends."""
    done(config())
    (tmp_path / "home" / "alearn.sqlite3").unlink()
    with opened(config(budget={"labels": 40})) as loop:
        assert run(loop).step is Step.DONE
        assert loop.store.look().labels == 40
        assert sum(pick.strategy == "found" for pick in loop.store.rounds.picks()) == 30
        keys = [one.key for one in loop.store.annotations.all()]
    assert len(keys) == len(set(keys)) == 40


def test_another_network_is_trained_anew(config: Make) -> None:
    """A changed model makes a version of its own from the labels that are there; old numbers are not taken for new."""
    done(config())
    with opened(config(model={"size": 12})) as loop:
        assert run(loop).step is Step.DONE
        (before, _), (after, metrics) = loop.store.rounds.history()[-2:]
        assert (after.labels, after.version != before.version) == (before.labels, True)
        assert json.loads(str(loop.store.look().recipe))["network"]["size"] == 12
        assert metrics["accuracy"].n == 10


def test_another_confidence_is_measured_anew(config: Make) -> None:
    """A bound is never shown at a confidence that it was not computed for."""
    low = {}
    for confidence in (0.6, 0.99):
        target = {"value": 0.97, "confidence": confidence}
        with opened(config(holdout={"size": 30, "share": 0.6}, budget={"labels": 50}, target=target)) as loop:
            run(loop)
            low[confidence] = loop.store.rounds.history()[-1][1]["accuracy"]
    assert low[0.6].confidence == 0.6
    assert low[0.99].confidence == 0.99
    assert (low[0.99].low or 0) < (low[0.6].low or 0)


def test_lost_weights_are_made_again(config: Make, tmp_path: Path) -> None:
    """A blob folder that is gone costs a fit, not the loop."""
    done(config())
    shutil.rmtree(tmp_path / "home" / "blobs")
    with opened(config()) as loop:
        assert run(loop).step is Step.DONE
        assert loop.store.look().weights in loop.store.blobs


def test_another_platform_takes_over(config: Make, tmp_path: Path) -> None:
    """What was open goes to the new platform, what was said stays."""
    assert done(config(platform={"name": "simulated", "options": {"per_pull": 3}}), once=True).step is Step.WAIT
    files = config(platform={"name": "files", "options": {}})
    with opened(files) as loop:
        said_before = loop.store.look().labels
        assert run(loop, once=True).step is Step.WAIT
        open_, labels = loop.store.look().open, loop.store.look().labels
        assert any("another than before" in row.text for row in loop.store.annotations.notices())
    assert labels == said_before > 0
    assert len((tmp_path / "home" / "files" / "tasks.jsonl").read_text().splitlines()) == open_ > 0


def answer(folder: Path, **row: object) -> None:
    with (folder / "annotations.jsonl").open("a") as lines:
        lines.write(json.dumps(row) + "\n")


def asked(folder: Path) -> list[str]:
    return [json.loads(line)["key"] for line in (folder / "tasks.jsonl").read_text().splitlines()]


def test_a_taken_back_answer_is_asked_again(config: Make, tmp_path: Path) -> None:
    """An item whose annotation was deleted long after is shown again, though nothing more may be asked."""
    waiting = config(platform={"name": "files", "options": {}}, budget={"labels": 20})
    folder = tmp_path / "home" / "files"
    done(waiting, once=True)
    first, *_ = keys = asked(folder)
    for key in keys:
        answer(folder, key=key, value="even", annotator="ann", id=key)
    done(waiting, once=True)
    later = asked(folder)
    assert not set(keys) & set(later)
    answer(folder, key=first, annotator="ann", id=first, deleted=True)
    done(waiting, once=True)
    assert sorted(asked(folder)) == sorted([first, *later])


def test_a_person_who_changes_their_mind_is_heard(config: Make, tmp_path: Path) -> None:
    """The latest word counts, of two people who differ the later wins, and a stranger's class is refused."""
    waiting = config(platform={"name": "files", "options": {}}, budget={"labels": 10})
    folder = tmp_path / "home" / "files"
    done(waiting, once=True)
    first, second, third, *_ = asked(folder)
    answer(folder, key=first, value="even", annotator="ann", id="1")
    answer(folder, key=first, value="odd", annotator="ann", id="1")
    answer(folder, key=second, value="even", annotator="ann", id="2")
    answer(folder, key=second, value="odd", annotator="bob", id="3")
    answer(folder, key=third, value="purple", annotator="ann", id="4")
    done(waiting, once=True)
    with opened(waiting) as loop:
        labels = {label.key: (label.value, label.agreement, label.annotators) for label, _ in _labels(loop)}
        closed = {pick.key: pick.closed for pick in loop.store.rounds.picks()}
    assert labels[first] == ("odd", 1.0, 1)
    assert labels[second] == ("odd", 0.5, 2)
    assert third not in labels
    assert closed[third] == "refused"


def _labels(loop: Undertaking) -> list[tuple[object, object]]:
    return list(loop.store.annotations.labels())


def shown(loop: Undertaking) -> int:
    """How many items the platform shows; 0 while it is not told of all."""
    seen = loop.store.look()
    return 0 if seen.unpushed or seen.queue_unapplied else seen.open


class _Woken:
    """Runs a loop as a server does, in a thread, and stops it."""

    def __init__(self, config: Config) -> None:
        self.config, self.wake = config, Wake()
        self.outcome: Outcome | None = None
        self.said: list[str] = []
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        with opened(self.config, self) as loop:
            self.outcome = run(loop, wake=self.wake, stay=True)

    def say(self, text: str) -> None:
        self.said.append(text)

    def progress(self, what: str, done: int, total: int | None) -> None:
        pass

    def __enter__(self) -> _Woken:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.wake.stop()
        self.thread.join(60)
        assert not self.thread.is_alive()

    def until(self, what: Callable[[Undertaking], object]) -> None:
        deadline = time.monotonic() + 60
        with opened(self.config) as loop:
            while not what(loop):
                assert time.monotonic() < deadline, self.said
                time.sleep(0.05)


def test_a_call_is_a_look(config: Make, tmp_path: Path) -> None:
    """A controller that would look once an hour sees an answer at once when it is called, and stops when told to."""
    waiting = config(platform={"name": "files", "options": {}, "poll": 3600}, query={"batch": 5})
    folder = tmp_path / "home" / "files"
    with _Woken(waiting) as woken:
        woken.until(lambda loop: shown(loop) == 5)
        for key in asked(folder):
            answer(folder, key=key, value="even", annotator="ann", id=key)
        woken.wake.call()
        woken.until(lambda loop: loop.store.look().labels == 5)
    assert woken.outcome is not None
    assert woken.outcome.step is Step.WAIT


def test_training_on_demand(config: Make, tmp_path: Path) -> None:
    """A person who asks for it gets a version from the few labels there are; without a new label there is none."""
    waiting = config(platform={"name": "files", "options": {}, "poll": 3600}, query={"batch": 20}, holdout={"size": 0})
    folder = tmp_path / "home" / "files"
    with _Woken(waiting) as woken:
        woken.until(lambda loop: shown(loop) == 20)
        for at, key in enumerate(asked(folder)[:4]):
            answer(folder, key=key, value=("even", "odd")[at % 2], annotator="ann", id=key)
        woken.wake.call()
        woken.until(lambda loop: loop.store.look().labels == 4)
        assert _rounds(waiting) == 0
        woken.wake.train()
        woken.until(lambda loop: loop.store.look().round == 1)
        woken.wake.train()
        time.sleep(1)
        assert _rounds(waiting) == 1


def _rounds(config: Config) -> int:
    with opened(config) as loop:
        return loop.store.look().round
