"""What takes long is made in a process of its own, and annotators do not wait for it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alearn.config import Config
from alearn.errors import ConfigError, ModelError
from alearn.executors import Tell, Work
from alearn.loop.background import Background
from alearn.loop.controller import prepare, reconcile
from alearn.loop.desk import Desk
from alearn.loop.intake import take_in
from alearn.loop.plan import Step
from alearn.loop.undertaking import opened
from alearn.loop.wake import Wake


def doubled(tell: Tell, number: int) -> int:
    tell(f"doubling {number}")
    return 2 * number


def wrong(tell: Tell) -> None:
    raise ConfigError("It must be right. Got wrong. Correct it.")


def killed(tell: Tell) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def endless(tell: Tell) -> None:
    tell("begun")
    threading.Event().wait()


def test_a_child_works_and_tells() -> None:
    """What it returns and what it says on the way arrive, and its end is told."""
    said, ended = list[Any](), threading.Event()
    work = Work(doubled, 21, told=said.append, ended=ended.set)
    assert work.result() == 42
    assert said == ["doubling 21"]
    assert ended.wait(5)
    assert work.done


def test_what_a_child_raises_is_raised_here() -> None:
    """The same error with the same words; and a word for a child that was killed."""
    with pytest.raises(ConfigError, match="It must be right"):
        Work(wrong, ended=lambda: None).result()
    with pytest.raises(ModelError, match="exit code -9"):
        Work(killed, ended=lambda: None).result()


def test_a_child_that_is_stopped_is_gone() -> None:
    """However long it would have taken."""
    begun = threading.Event()
    work = Work(endless, told=lambda _: begun.set(), ended=lambda: None)
    assert begun.wait(30)
    work.stop()
    with pytest.raises(ModelError, match="exit code -15"):
        work.result()


def test_a_network_is_chosen_while_people_go_on(config: Callable[..., Config], tmp_path: Path) -> None:
    """While networks are compared in another process the queue is filled again; then the loop stands on the choice."""
    chosen = config(
        model={"name": "auto", "candidates": ["pixels"]},
        query={"batch": 40},
        holdout={"size": 0},
        budget={"labels": 48},
        platform={"options": {"per_pull": 8}},
    )
    wake = Wake()
    with opened(chosen) as loop, Desk.open(loop, wake) as desk:
        take_in(loop)
        prepare(loop)
        outcome = reconcile(loop, desk=desk)
        while not desk.busy:
            outcome = reconcile(loop, desk=desk)
        before = loop.store.look().labels
        while desk.busy:
            assert outcome.step is Step.WAIT
            wake.wait(60)
            outcome = reconcile(loop, desk=desk)
        choice = loop.store.rounds.choice()
        assert choice is not None
        assert choice.labels >= 30
        assert loop.store.look().labels >= before
        while outcome.step is not Step.DONE:
            outcome = reconcile(loop, desk=desk)


def test_without_anybody_to_wake_nothing_is_in_the_background(config: Callable[..., Config]) -> None:
    """A linear head is no long step either."""
    with opened(config()) as loop:
        assert not Desk().take(Step.CHOOSE)
        background = Background(loop, lambda: None)
        take_in(loop)
        assert not background.take(Step.TRAIN)
        assert not background.busy
