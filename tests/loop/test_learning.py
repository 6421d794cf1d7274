"""A loop that climbs the ladder: what it trains, how it predicts with it, and what leaves it."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from alearn.config import Config
from alearn.config.sections import ModelSpec
from alearn.errors import ModelError
from alearn.loop import learning
from alearn.loop.controller import run
from alearn.loop.export import export_model_of
from alearn.loop.plan import Step, climb_due
from alearn.loop.pruning import prune_newest
from alearn.loop.scoring import scorer
from alearn.loop.undertaking import Undertaking, opened
from alearn.loop.versions import current
from alearn.models import predict
from alearn.models.graphs import image_inputs
from alearn.models.networks import Network
from alearn.models.networks.chain import images
from alearn.models.pruning import Budget
from alearn.models.training import ladder
from alearn.models.training.fitting import Plan
from alearn.models.zoo import ZOO, Pretrained

TASK = Path(__file__).parents[1] / "models/training/task.py"


@pytest.fixture(scope="module")
def task() -> Any:
    """A small network, and pictures whose class a linear head on it cannot tell but its last block can learn."""
    return SimpleNamespace(**runpy.run_path(str(TASK)))


@pytest.fixture
def climbing(task: Any, config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A loop of 240 such pictures, whose first climb is due at 110 labels."""
    pixels, y = task.pictures(240)
    for at, (image, truth) in enumerate(zip(pixels, y, strict=True)):
        folder = tmp_path / "pictures" / ("odd" if truth else "even")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{at}.png")
    entry = Pretrained("small", "image", "none", "here", task.SIDE, 0, lambda: "small", lambda _: task.network())
    monkeypatch.setitem(ZOO, "small", entry)
    monkeypatch.setattr(learning, "climb_due", lambda labels, tried: climb_due(labels + 90, tried and tried + 90))
    monkeypatch.setattr(ladder, "PLANS", {rung: Plan(epochs=8, rate=1e-2) for rung in ladder.PLANS})
    return config(
        items={"path": str(tmp_path / "pictures"), "truth": "folder"},
        model={"name": "small", "ladder": "blocks"},
        query={"batch": 60, "strategy": "random", "cold_start": "random"},
        holdout={"size": 40},
        budget={"labels": 220},
    )


def test_a_rung_that_pays_is_climbed_kept_and_exported(climbing: Config, tmp_path: Path) -> None:
    """The version predicts for the whole pool, and its folder says the same without the loop."""
    with opened(climbing) as loop:
        assert run(loop).step is Step.DONE
        rungs = [version.rung for version in loop.store.rounds.versions()]
        assert rungs[-1] == "blocks", [version.facts for version in loop.store.rounds.versions()]
        assert rungs.count("blocks") >= 2, "it stays on the rung while there are few more labels"
        assert not (climbing.home_ / "training").exists(), "what a climb kept is gone when it is done"
        _agrees(loop, export_model_of(loop, tmp_path / "model"))


def _agrees(loop: Undertaking, folder: Path) -> None:
    version = current(loop, loop.store.rounds.last())
    assert version is not None
    assert json.loads((folder / "alearn.json").read_text())["trained"]["rung"] == version.rung
    keys = [one.key for one in loop.store.items.candidates()][:40]
    model = scorer(loop, version)
    assert model.ensure(keys) == frozenset()
    wanted = model.proba(keys)
    contents = loop.store.items.contents(keys)
    found = [list((one.proba or {}).values()) for one in predict(folder, [str(contents[key].uri) for key in keys])]
    assert np.array(found) == pytest.approx(wanted, abs=1e-3)  # activations are kept as float16
    right = (wanted.argmax(axis=1) == loop.schema.indices([loop.store.items.truths(keys)[key] for key in keys])).mean()
    assert right > 0.8


def _wide(side: int) -> Network:
    """Three stages of random weights, wide enough to be thinned by eights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        widths = (("one", 3, 32), ("two", 32, 32), ("three", 32, 64))
        stages = [
            (name, nn.Sequential(nn.Conv2d(inputs, outputs, 3, 1 if at else 2), nn.BatchNorm2d(outputs), nn.ReLU()))
            for at, (name, inputs, outputs) in enumerate(widths)
        ]
    return Network(images(stages, (0.5,) * 3, (0.5,) * 3), "image", image_inputs(side))


def test_the_newest_version_is_thinned_and_becomes_current(
    task: Any, climbing: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a version of its own, whose parent is what it was; it is smaller, and is not thinned twice."""
    wide = Pretrained("small", "image", "none", "here", task.SIDE, 0, lambda: "wide", lambda _: _wide(task.SIDE))
    monkeypatch.setitem(ZOO, "small", wide)
    config = climbing.model_copy(update={"model": ModelSpec(name="small", ladder="linear")})
    with opened(config) as loop:
        assert run(loop).step is Step.DONE
        before = loop.store.rounds.versions()[-1]
        found = prune_newest(loop, Budget(macs=0.5), tolerance=1.0, say=print)
        assert found.after.macs <= 0.5 * found.before.macs
        assert run(loop).step is Step.DONE
        row, metrics = loop.store.rounds.history()[-1]
        version = current(loop, row)
        assert version is not None
        assert (version.parent, row.placed, metrics["accuracy"].n > 0) == (before.key, True, True)
        sizes = [
            (export_model_of(loop, tmp_path / key[:6], key) / "model.onnx").stat().st_size
            for key in (version.key, before.key)
        ]
        assert sizes[0] < sizes[1]
        with pytest.raises(ModelError, match="must not be so already"):
            prune_newest(loop, Budget(macs=0.5), tolerance=1.0, say=print)


def test_items_that_are_gone_are_learned_around(climbing: Config) -> None:
    """A picture that was embedded, labeled and then lost stops no climb; it is put aside with its reason."""
    with opened(climbing.model_copy(update={"budget": climbing.budget.model_copy(update={"labels": 60})})) as loop:
        run(loop)
        labeled = loop.store.annotations.training(holdout=False).keys
        gone = loop.store.items.contents(labeled[:1])[labeled[0]]
        Path(str(gone.uri)).unlink()
    with opened(climbing) as loop:
        assert run(loop).step is Step.DONE
        assert '"tried_on"' in loop.store.rounds.versions()[-1].facts
        assert [row.key for row in loop.store.items.quarantined()] == [gone.key]


def test_a_rung_that_fails_later_leaves_a_version_on_the_linear_head(
    climbing: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool may outgrow the disk: the loop goes on, and history says why."""
    with opened(climbing.model_copy(update={"budget": climbing.budget.model_copy(update={"labels": 160})})) as loop:
        run(loop)
        assert loop.store.rounds.versions()[-1].rung == "blocks"
    monkeypatch.setattr(learning, "ACTIVATIONS", 10)
    with opened(climbing) as loop:
        assert run(loop).step is Step.DONE
        last = loop.store.rounds.versions()[-1]
        assert (last.rung, "GiB of disk" in last.facts) == ("linear", True)


@pytest.mark.parametrize("name", ["bald", "expected_error_reduction"])
def test_votes_and_labels_are_there_where_a_strategy_needs_them(name: str, config: Callable[..., Config]) -> None:
    """From the first version on; before it, what needs no model chooses."""
    with opened(config(query={"strategy": name, "batch": 10})) as loop:
        assert run(loop).step is Step.DONE
        assert {pick.strategy for pick in loop.store.rounds.picks()} == {"max_herding", name, "holdout"}
