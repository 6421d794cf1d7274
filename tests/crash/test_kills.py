"""A loop that is killed and started again ends exactly as one that never was.

The process is really killed: a forked child runs the loop and sends itself SIGKILL before its n-th call into the store
or the platform, or is killed by its parent at a random moment. Then another child, with nothing but the files, goes on.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import alearn_connectors.simulated as simulated
from alearn.config import Config, parse
from alearn.loop.controller import run
from alearn.loop.plan import Step
from alearn.loop.undertaking import opened
from alearn.store.annotations import Annotations
from alearn.store.blobs import Blobs
from alearn.store.items import Items
from alearn.store.rounds import Rounds

WATCHED = {
    Items: ("add", "source_read", "quarantine"),
    Annotations: ("collect",),
    Rounds: ("prepared", "choose", "pushed", "trained", "evaluated", "decided"),
    Blobs: ("put",),
    simulated.SimulatedPlatform: ("prepare", "push", "pull"),
}

STRATEGIES = ["random", "uncertainty_herding"]
TRIALS, KILLS, AT_ONCE = 4, 4, 2


@pytest.fixture(scope="module")
def pictures(digit_photos: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seventy digits, and one file that is no picture."""
    folder: Path = digit_photos(tmp_path_factory.mktemp("pictures"), 70)
    (folder / "even" / "broken.png").write_bytes(b"not a picture")
    return folder


def config(pictures: Path, home: Path, strategy: str) -> Config:
    raw = {
        "name": "kills",
        "items": {"path": str(pictures), "truth": "folder"},
        "task": {"data": "image", "classes": ["even", "odd"]},
        "model": {"name": "pixels"},
        "query": {"strategy": strategy, "batch": 8},
        "queue": {"low": 0, "high": 8},
        "holdout": {"size": 8, "share": 0.25, "rate": 0.5},
        "budget": {"labels": 24},
        "platform": {"name": "simulated", "options": {"accuracy": 0.9, "skip_rate": 0.1}},
        "home": str(home),
    }
    return parse(raw, name="kills.yaml", folder=home)


def work(config: Config) -> None:
    """Run the loop to its end in this process."""
    with opened(config) as loop:
        assert run(loop).step is Step.DONE


def in_child(act: Callable[[], None]) -> int:
    """Run in a forked child; returns its pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        act()
        code = 0
    except BaseException as error:  # a child must never return into pytest
        sys.stderr.write(f"child: {error!r}\n")
    finally:
        os._exit(code)


def ended(pid: int) -> int:
    """Wait for a child: 0 well, 1 not, -9 killed."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def counting(die_at: int | None, tell: Path | None = None) -> None:
    """Make this process count its calls into the store and the platform, and kill itself at the `die_at`-th."""
    seen = 0

    def boundary() -> None:
        nonlocal seen
        if die_at is not None and seen == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1
        if tell is not None:
            tell.write_text(str(seen))

    def watched(inner: Callable[..., Any]) -> Callable[..., Any]:
        def outer(*args: Any, **kwargs: Any) -> Any:
            boundary()
            return inner(*args, **kwargs)

        return outer

    for kind, names in WATCHED.items():
        for name in names:
            setattr(kind, name, watched(getattr(kind, name)))


def remembered(config: Config) -> dict[str, Any]:
    """Everything that must not depend on kills."""
    with opened(config, create=False) as loop:
        store = loop.store
        picks = [(p.round, p.rank, p.key, p.purpose, p.strategy, p.closed, p.pushed) for p in store.rounds.picks()]
        history = store.rounds.history()
        held = [
            (state.key, one.id, one.value) for state in loop.platform.pull(None).states for one in state.annotations
        ]
        return {
            "picks": sorted(picks),
            "labels": [(label.key, label.value) for label, _ in store.annotations.labels()],
            "annotations": [(one.id, one.key, one.value) for one in store.annotations.all()],
            "versions": [(row.number, row.version, row.kind, row.reason) for row, _ in history],
            "metrics": [{name: m.value for name, m in metrics.items()} for _, metrics in history],
            "held": sorted(held, key=str),
            "quarantined": [row.reason for row in store.items.quarantined()],
            "items": store.look().items,
        }


@pytest.fixture(scope="module", params=STRATEGIES)
def case(request: pytest.FixtureRequest, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One strategy with what an undisturbed run remembers, how many boundaries it passes, and how long it takes."""
    home = tmp_path_factory.mktemp("undisturbed")
    settled = config(pictures, home, request.param)
    work(config(pictures, tmp_path_factory.mktemp("warm"), request.param))  # imports, so that children need not
    began = time.monotonic()
    assert ended(in_child(lambda: work(config(pictures, tmp_path_factory.mktemp("timed"), request.param)))) == 0
    seconds = time.monotonic() - began
    assert ended(in_child(lambda: (counting(None, home / "boundaries"), work(settled))[-1])) == 0
    return {
        "strategy": request.param,
        "truth": remembered(settled),
        "boundaries": int((home / "boundaries").read_text()),
        "seconds": seconds,
        "pictures": pictures,
    }


def test_the_undisturbed_run_is_worth_comparing_with(case: dict[str, Any]) -> None:
    """It has several rounds, labels, a metric and a quarantined item."""
    truth = case["truth"]
    assert len(truth["versions"]) >= 3
    assert len(truth["labels"]) == 24
    assert len(truth["quarantined"]) == 1
    assert truth["metrics"][-1]["accuracy"] is not None


def test_killed_at_every_boundary(case: dict[str, Any], tmp_path: Path) -> None:
    """Before each call that writes into the store or reaches the platform, for every strategy."""
    loops = [config(case["pictures"], tmp_path / str(at), case["strategy"]) for at in range(case["boundaries"])]
    for at in range(0, len(loops), AT_ONCE):
        some = list(enumerate(loops))[at : at + AT_ONCE]
        killed = [in_child(lambda at=at, c=c: (counting(at), work(c))[-1]) for at, c in some]
        assert [ended(pid) for pid in killed] == [-signal.SIGKILL] * len(some), f"boundaries from {at}"
        resumed = [in_child(lambda c=c: work(c)) for _, c in some]
        assert [ended(pid) for pid in resumed] == [0] * len(some), f"boundaries from {at}"
        for boundary, settled in some:
            assert remembered(settled) == case["truth"], f"killed at boundary {boundary}"


def test_killed_at_random_moments(case: dict[str, Any], tmp_path: Path) -> None:
    """Several times in one run, wherever it happens to be, also inside steps."""
    moments, killed = random.Random(case["strategy"]), 0
    for trial in range(TRIALS):
        settled = config(case["pictures"], tmp_path / str(trial), case["strategy"])
        for _ in range(KILLS):
            pid = in_child(lambda c=settled: work(c))
            time.sleep(moments.uniform(0, case["seconds"] * 0.5))
            os.kill(pid, signal.SIGKILL)
            killed += ended(pid) == -signal.SIGKILL
        assert ended(in_child(lambda c=settled: work(c))) == 0
        assert remembered(settled) == case["truth"], f"trial {trial}"
    assert killed >= TRIALS, "too few children were still at work to say anything"
