"""Pruning a loop's newest version: blocks at its end go first, and what is left is a version like any other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from alearn.config import Config
from alearn.errors import ModelError
from alearn.loop import learning
from alearn.loop.controller import run
from alearn.loop.export import export_model_of
from alearn.loop.plan import Step
from alearn.loop.pruning import prune_newest
from alearn.loop.recipe import cut_of
from alearn.loop.scoring import scorer
from alearn.loop.undertaking import Undertaking, opened
from alearn.loop.versions import current, place
from alearn.models import predict
from alearn.models.graphs import image_inputs
from alearn.models.networks import Network
from alearn.models.networks.chain import images
from alearn.models.pruning import Budget
from alearn.models.zoo import ZOO, Pretrained
from alearn.store.tables import VersionRow

SIDE = 16


def _network(side: int) -> Network:
    """Four stages of random weights; the last two are wide, and say nothing that the second does not."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        stages = [
            (name, nn.Sequential(nn.Conv2d(inputs, wide, 3, 2 if wide < 64 else 1, 1), nn.BatchNorm2d(wide), nn.ReLU()))
            for name, inputs, wide in (("one", 3, 16), ("two", 16, 32), ("three", 32, 64), ("four", 64, 64))
        ]
    return Network(images(stages, (0.5,) * 3, (0.5,) * 3), "image", image_inputs(side))


@pytest.fixture
def make(config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Config]:
    """A loop of sixty digits that stands on this network."""
    entry = Pretrained("small", "image", "none", "here", SIDE, 0, lambda: "four", _network)
    monkeypatch.setitem(ZOO, "small", entry)
    return lambda **sections: config(
        **{"model": {"name": "small", "ladder": "linear"}, "query": {"batch": 40, "strategy": "random"}}
        | {"budget": {"labels": 50}}
        | sections
    )


def _newest(loop: Undertaking) -> VersionRow:
    found = current(loop, loop.store.rounds.last())
    assert found is not None
    return found


def _agrees(loop: Undertaking, folder: Path) -> None:
    """The exported folder says what the version says in the loop."""
    keys = [one.key for one in loop.store.items.candidates()][:20]
    model = scorer(loop, _newest(loop))
    assert model.ensure(keys) == frozenset()
    contents = loop.store.items.contents(keys)
    found = [list((one.proba or {}).values()) for one in predict(folder, [str(contents[key].uri) for key in keys])]
    assert np.array(found) == pytest.approx(model.proba(keys), abs=1e-4)


def test_blocks_that_do_not_help_are_dropped(make: Callable[..., Config], tmp_path: Path) -> None:
    """The shorter version stands on an earlier tap; it is scored, exported, and restored like every other."""
    said: list[str] = []
    with opened(make()) as loop:
        assert run(loop).step is Step.DONE
        before = _newest(loop)
        found = prune_newest(loop, Budget(macs=0.5), tolerance=1.0, say=said.append)
        assert found.verdict.accepted
        assert said[0].startswith("Cut behind two: Accuracy ")
        assert run(loop).step is Step.DONE
        version = _newest(loop)
        facts = json.loads(version.facts)
        assert (version.parent, cut_of(version.recipe).tap, facts["pruned"]["tap"]) == (before.key, "two", "two")
        assert "Cut behind two" in facts["verdicts"][0]
        assert loop.store.rounds.history()[-1][1]["accuracy"].n > 0
        folder = export_model_of(loop, tmp_path / "short")
        assert json.loads((folder / "alearn.json").read_text())["base"]["tap"] == "two"
        _agrees(loop, folder)
        place(loop, before)
        assert run(loop).step is Step.DONE
        place(loop, version)
        assert run(loop).step is Step.DONE
        assert _newest(loop).key == version.key


def test_what_belongs_together_is_judged_together(
    make: Callable[..., Config], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the ladder and by pruning: fifty labels of ten groups are ten pieces of evidence."""
    rows = [f"{path},{path.parent.name},{int(path.stem) % 10}" for path in sorted(photos.glob("*/*.png"))]
    table = tmp_path / "digits.csv"
    table.write_text("\n".join(["image,label,batch", *rows]), encoding="utf-8")
    monkeypatch.setattr(learning, "climb_due", lambda labels, _: labels >= 20)
    columns = {"path": str(table), "image_column": "image", "truth_column": "label", "group_column": "batch"}
    config = make(items={**columns, "truth": None}, model={"name": "small", "ladder": "blocks"}, holdout={"size": 5})
    with opened(config) as loop:
        assert run(loop).step is Step.DONE
        assert "needs two classes of at least 6 labels" in _newest(loop).facts
        with pytest.raises(ModelError, match="Pruning needs 8 labels"):
            prune_newest(loop, Budget(macs=0.5), tolerance=1.0, say=print)
