"""The record of a loop that was killed is as good as that of one that never was."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alearn.config import Config, parse
from alearn.loop.controller import run
from alearn.loop.plan import Step
from alearn.loop.replaying import replay
from alearn.loop.undertaking import opened
from alearn.store.annotations import Annotations
from alearn.store.blobs import Blobs
from alearn.store.rounds import Rounds

KILLS: list[tuple[type, str, bool]] = [
    (Rounds, "choose", False),
    (Rounds, "choose", True),
    (Blobs, "put", True),
    (Rounds, "trained", False),
    (Rounds, "trained", True),
    (Rounds, "evaluated", False),
    (Rounds, "evaluated", True),
    (Annotations, "collect", True),
]
"""A method, and whether the process dies when it is done, or before."""


def killing(kind: type, name: str, *, after: bool) -> None:
    """Make this process kill itself at the first call of a method."""
    inner = getattr(kind, name)

    def outer(*args: Any, **kwargs: Any) -> None:
        if after:
            inner(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(kind, name, outer)


def in_child(act: Callable[[], None]) -> int:
    """Run in a forked child; returns how it ended."""
    pid = os.fork()
    if not pid:
        try:
            act()
        except BaseException as error:  # a child must never return into pytest
            sys.stderr.write(f"child: {error!r}\n")
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def work(config: Config) -> None:
    with opened(config) as loop:
        assert run(loop).step is Step.DONE


@pytest.fixture
def config(digit_photos: Any, tmp_path: Path) -> Config:
    raw = {
        "name": "killed",
        "items": {"path": str(digit_photos(tmp_path / "photos", 60)), "truth": "folder"},
        "task": {"data": "image", "classes": ["even", "odd"]},
        "model": {"name": "pixels"},
        "query": {"strategy": "uncertainty_herding", "batch": 8},
        "queue": {"low": 2},
        "holdout": {"size": 8, "share": 0.25, "rate": 0.5},
        "budget": {"labels": 32},
        "platform": {"name": "simulated", "options": {"accuracy": 0.9, "skip_rate": 0.1}},
        "home": str(tmp_path / "home"),
    }
    return parse(raw, name="killed.yaml", folder=tmp_path)


def test_every_round_of_a_killed_loop_comes_out_the_same(config: Config) -> None:
    """Killed around each step that writes a record, and gone on with in new processes."""
    work(config.model_copy(update={"home": str(config.home_.parent / "warm")}))  # imports, so that children need not
    ends = [
        in_child(lambda k=kind, n=name, a=after: (killing(k, n, after=a), work(config))[-1])
        for kind, name, after in KILLS
    ]
    assert ends == [-signal.SIGKILL] * len(KILLS)
    assert in_child(lambda: work(config)) == 0
    with opened(config, create=False) as loop:
        rounds = loop.store.look().round
        assert rounds > 2
        for number in range(1, rounds + 1):
            found = replay(loop, number)
            assert {part.verdict for part in found.parts} == {"same"}, found
