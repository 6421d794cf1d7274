"""A loop that is killed and started again ends exactly as one that never was.

A forked child runs the loop and sends itself SIGKILL before its n-th call into the store or the platform, or is killed
by its parent at a random moment. Then another child, with nothing but the files, goes on.

So that every call has its turn without a run up to it, one child is halted (SIGSTOP) before each of them, and its files
are copied: SIGKILL at that moment would leave just these, as it takes only what the process has not handed over yet.
"""

from __future__ import annotations

import os
import random
import shutil
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
TRIALS, KILLS, AT_ONCE = 2, 5, 2


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


def watching(before: Callable[[int, str], None]) -> None:
    """Make this process call `before` with the number and the name of each call into the store and the platform."""
    seen = 0

    def watched(name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        def outer(*args: Any, **kwargs: Any) -> Any:
            nonlocal seen
            before(seen, name)
            seen += 1
            return inner(*args, **kwargs)

        return outer

    for kind, names in WATCHED.items():
        for name in names:
            setattr(kind, name, watched(f"{kind.__name__}.{name}", getattr(kind, name)))


def killed_at(config: Config, boundary: int) -> None:
    """Run the loop, and be killed before that call."""
    watching(lambda at, _: os.kill(os.getpid(), signal.SIGKILL) if at == boundary else None)
    work(config)


def halted(config: Config, copies: Path) -> int:
    """Run the loop in a child that stands still before each call, and copy its files each time; how often that was."""
    pid = in_child(lambda: (watching(lambda *_: os.kill(os.getpid(), signal.SIGSTOP)), work(config))[-1])
    count = 0
    while os.WIFSTOPPED(status := os.waitpid(pid, os.WUNTRACED)[1]):
        shutil.copytree(config.home_, copies / str(count))
        count += 1
        os.kill(pid, signal.SIGCONT)
    assert os.waitstatus_to_exitcode(status) == 0
    return count


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
    """One strategy with what an undisturbed run remembers, its calls, and how long it takes."""
    home = tmp_path_factory.mktemp("undisturbed")
    settled = config(pictures, home, request.param)
    work(config(pictures, tmp_path_factory.mktemp("warm"), request.param))  # imports, so that children need not
    began = time.monotonic()
    assert ended(in_child(lambda: work(config(pictures, tmp_path_factory.mktemp("timed"), request.param)))) == 0
    seconds = time.monotonic() - began
    with (home / "calls").open("w") as calls:
        known = in_child(lambda: (watching(lambda _, name: print(name, file=calls, flush=True)), work(settled))[-1])
        assert ended(known) == 0
    return {
        "strategy": request.param,
        "truth": remembered(settled),
        "calls": (home / "calls").read_text().split(),
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


def ends_the_same(case: dict[str, Any], loops: dict[int, Config]) -> None:
    """Go on with loops that ended at those calls, each in a new process."""
    assert loops
    for first in range(0, len(loops), AT_ONCE):
        some = list(loops.items())[first : first + AT_ONCE]
        resumed = [in_child(lambda c=c: work(c)) for _, c in some]
        assert [ended(pid) for pid in resumed] == [0] * len(some), f"killed at {some[0][0]} or behind"
        for at, settled in some:
            assert remembered(settled) == case["truth"], f"killed before call {at}, {case['calls'][at]}"


@pytest.mark.parametrize("case", ["uncertainty_herding"], indirect=True)
def test_killed_at_every_boundary(case: dict[str, Any], tmp_path: Path) -> None:
    """Before each call that writes into the store or reaches the platform."""
    count = halted(config(case["pictures"], tmp_path / "halted", case["strategy"]), tmp_path)
    assert count == len(case["calls"])
    ends_the_same(case, {at: config(case["pictures"], tmp_path / str(at), case["strategy"]) for at in range(count)})


@pytest.mark.parametrize("case", ["random"], indirect=True)
def test_killed_before_each_kind_of_call(case: dict[str, Any], tmp_path: Path) -> None:
    """With SIGKILL, before its last pass."""
    last = {name: at for at, name in enumerate(case["calls"])}
    assert len(last) == sum(map(len, WATCHED.values())), "each was called"
    loops = {at: config(case["pictures"], tmp_path / str(at), case["strategy"]) for at in last.values()}
    for at, settled in loops.items():
        assert ended(in_child(lambda at=at, c=settled: killed_at(c, at))) == -signal.SIGKILL, case["calls"][at]
    ends_the_same(case, loops)


def test_killed_at_random_moments(case: dict[str, Any], tmp_path: Path) -> None:
    """Several times in one run, wherever it happens to be, also inside steps."""
    moments, killed, lasts = random.Random(case["strategy"]), 0, case["seconds"]
    for trial in range(TRIALS):
        settled = config(case["pictures"], tmp_path / str(trial), case["strategy"])
        for _ in range(KILLS):
            pid = in_child(lambda c=settled: work(c))
            time.sleep(moments.uniform(0, lasts * 0.5))
            os.kill(pid, signal.SIGKILL)
            if ended(pid) == -signal.SIGKILL:
                killed += 1
            else:  # the machine is less busy than when it was timed
                lasts /= 2
        assert ended(in_child(lambda c=settled: work(c))) == 0
        assert remembered(settled) == case["truth"], f"trial {trial}"
    assert killed >= TRIALS, "too few children were still at work to say anything"
