"""The ladder: it climbs where that pays, stays where it does not, and a kill on the way changes nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from alearn.models import Head, fit_head
from alearn.models.networks import Chain
from alearn.models.networks.chain import images
from alearn.models.training import ladder
from alearn.models.training.fitting import Plan, logits_of
from alearn.models.training.inputs import Pictures, Stored
from alearn.models.training.ladder import Ground, climb, stay
from alearn.models.training.starts import default_start, starts
from alearn.models.training.tuned import tail
from alearn.models.training.validation import lesson
from alearn.models.tuned import Tuned


@pytest.fixture(autouse=True)
def quick(task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans for the small network."""
    monkeypatch.setattr(ladder, "PLANS", {rung: Plan(epochs=10, rate=1e-2) for rung in ladder.PLANS})


@pytest.fixture(scope="module")
def climbed(task: Any, tmp_path_factory: pytest.TempPathFactory) -> ladder.Climb:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ladder, "PLANS", {rung: Plan(epochs=10, rate=1e-2) for rung in ladder.PLANS})
        found: ladder.Climb = task.climb(tmp_path_factory.mktemp("climb"))
        return found


def test_what_a_head_cannot_tell_a_trained_block_can(task: Any, climbed: ladder.Climb) -> None:
    """The verdict has both numbers; the model is calibrated, and as good on new pictures as it promised."""
    (verdict,) = climbed.verdicts
    assert verdict.climbed
    assert verdict.comparison is not None
    assert verdict.comparison.below < 0.9 < verdict.comparison.above
    assert (verdict.start, climbed.rung, climbed.reached) == ("two", "blocks", verdict)
    assert isinstance(climbed.model, Tuned)
    pixels, y = task.pictures(200, seed=9)
    network = task.network()
    found = ladder.attempt_at("blocks", "two", Ground("small", None, task.network, lambda: Pictures(pixels)), network)
    logits = logits_of(tail(climbed.model, network), found.inputs, np.arange(200))
    assert (logits.argmax(1) == y).mean() > verdict.comparison.below


def test_a_climb_that_is_killed_goes_on_and_ends_at_the_same(task: Any, climbed: ladder.Climb, tmp_path: Path) -> None:
    """A process is killed in the second fold; what it had done is not done again."""
    script = str(Path(__file__).with_name("task.py"))
    dead = subprocess.run([sys.executable, script, str(tmp_path), "15"], check=False, capture_output=True, text=True)
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    reports: list[tuple[str, int]] = []
    found = task.climb(tmp_path, report=lambda what, done, _: reports.append((what, done)))
    assert [one for one in reports if "fold 1" in one[0]] == []
    assert min(done for what, done in reports if "fold 2" in what) == 6
    assert found.model.to_bytes() == climbed.model.to_bytes()
    assert found.verdicts[0].comparison == climbed.verdicts[0].comparison


def test_where_the_head_is_right_already_it_stays(task: Any, tmp_path: Path) -> None:
    """Nothing is better than no mistake; the rung above is not tried, because the one below did not pay."""
    pixels, _ = task.pictures(60)
    x, y = task.embedded(pixels), (pixels.mean(axis=(1, 2, 3)) > 125).astype(np.intp)
    head = fit_head(x, y, 2, seed=0)
    found = task.climb(tmp_path, top="whole", n=60, head=head, y=y)
    assert (found.rung, found.model) == ("linear", head)
    (verdict,) = found.verdicts
    assert not verdict.climbed
    assert verdict.comparison is not None
    assert verdict.comparison.below == 1


def nothing() -> Any:
    raise AssertionError("not needed")


@pytest.mark.parametrize(
    ("labels", "classes"), [([], 2), ([1] * 30, 2), ([0, 1], 2), (list(range(500)), 500), ([0] * 99 + [1], 2)]
)
def test_with_too_few_labels_nothing_is_loaded_and_the_head_stays(
    labels: list[int], classes: int, tmp_path: Path
) -> None:
    """No label, one class, one per class, 100:1; the reason is given for each rung."""
    x = np.random.default_rng(0).normal(size=(len(labels), 4)).astype(np.float32)
    head = fit_head(x, labels, classes, seed=0)
    ground = Ground("any", None, nothing, nothing, lambda _: nothing())
    y = np.array(labels, dtype=np.intp)
    found = climb(head, x, y, ground, top="whole", metric="f1", seed=0, checkpoint=tmp_path)
    assert found.model is head
    assert all("needs two classes of at least 6 labels" in one.reason for one in found.verdicts)
    assert len(found.verdicts) == 2


def test_a_rung_that_fails_leaves_the_head(task: Any, tmp_path: Path) -> None:
    """An activation that is no number: the message is the verdict."""
    broken = np.full((60, 12, 2, 2), np.nan, np.float16)
    ground = Ground("small", None, task.network, nothing, lambda _: Stored(broken))
    found = task.climb(tmp_path, n=60, ground=ground)
    assert found.rung == "linear"
    assert "must be finite numbers" in found.verdicts[0].reason


def test_a_network_that_cannot_be_cut_is_tried_as_a_whole(task: Any, tmp_path: Path) -> None:
    """There are no last blocks then, and it is said."""
    network, (pixels, _) = task.network(), task.pictures(90)
    chain = network.chain
    merged = Chain(chain.entry, [("network", nn.Sequential(*chain.stages.values()))], chain.pool, chain.neck)
    single = replace(network, chain=merged.eval())
    ground = Ground("single", None, lambda: single, lambda: Pictures(pixels))
    found = task.climb(tmp_path, top="whole", n=90, ground=ground)
    assert default_start(single) is None
    assert "cannot be cut" in found.verdicts[0].reason
    assert found.verdicts[1].comparison is not None


def test_a_head_on_another_tap_does_not_matter(task: Any, tmp_path: Path) -> None:
    """The tail then begins with a head on its own embeddings, trained without the held labels."""
    _, y = task.pictures(90)
    other = np.random.default_rng(0).normal(size=(90, 5)).astype(np.float32)
    found = task.climb(tmp_path, n=90, x=other, head=fit_head(other, y, 2, seed=0))
    assert found.rung == "blocks"
    assert found.model.tensors["head.weight"].shape == (2, 16)


def test_a_rung_that_was_climbed_is_kept_without_trying_again(task: Any, climbed: ladder.Climb, tmp_path: Path) -> None:
    """The same labels, epochs and temperature give the same tail as the climb."""
    pixels, y = task.pictures(200)
    ground = Ground("small", 12, task.network, lambda: Pictures(pixels, views=2))
    how = {
        "rung": "blocks",
        "start": "two",
        "epochs": climbed.verdicts[0].epochs,
        "temperature": climbed.model.temperature,
    }
    found = stay(task.embedded(pixels), y, 2, ground, **how, seed=0, checkpoint=tmp_path)
    assert found.to_bytes() == climbed.model.to_bytes()


def test_folds_have_all_classes_and_no_item_twice() -> None:
    """At 10:1 each fold has its share of the rare class."""
    y = np.array([0] * 100 + [1] * 10)
    given = lesson(np.zeros((110, 2), np.float32), y, 2, folds=3, seed=0)
    assert sorted(np.bincount(given.fold).tolist()) == [36, 37, 37]
    assert set(np.bincount(given.fold[y == 1]).tolist()) <= {3, 4}


def test_a_lesson_holds_groups_together_and_keeps_the_strength_of_its_heads() -> None:
    """A head that a tail begins with is as strong as the config says."""
    rng = np.random.default_rng(0)
    y, groups = np.arange(60) % 2, np.arange(60) // 4
    given = lesson(rng.normal(size=(60, 3)).astype(np.float32), y, 2, groups=groups, folds=3, seed=0, strength=0.07)
    assert all(len(set(given.fold[groups == one])) == 1 for one in set(groups))
    assert [head.strength for head in given.heads()] == [0.07] * 3


def test_last_blocks_begin_where_they_are_cheap(solar: Any, task: Any) -> None:
    """Of the real network behind block13, then block10; where nothing is cheap, before the last stage."""
    assert starts(solar.network) == ("block13", "block10")
    network = task.network()
    flat = [("one", nn.Conv2d(3, 8, 1)), ("two", nn.Conv2d(8, 8, 1)), ("three", nn.Conv2d(8, 64, 1))]
    assert starts(replace(network, chain=images(flat, (0.5,) * 3, (0.5,) * 3))) == ("two",)


def test_solar_cells_are_climbed_for(solar: Any, tmp_path: Path) -> None:
    """The real network, from pictures: whatever the verdict, it has its numbers, and a step follows one that paid."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ladder, "PLANS", {"blocks": Plan(epochs=1, rate=3e-4)})
        (pixels,) = solar.pictures.take(np.arange(120))
        ground = Ground("efficientnet-lite0", 64, lambda: solar.network, lambda: Pictures(pixels.numpy()))
        x, y = solar.x[:120], solar.y[:120]
        head = fit_head(x, y, 2, seed=0)
        found = climb(head, x, y, ground, top="blocks", metric="average_precision", seed=0, checkpoint=tmp_path)
    assert [one.start for one in found.verdicts] == ["block13", "block10"][: 1 + found.verdicts[0].climbed]
    for verdict in found.verdicts:
        assert verdict.comparison is not None
        assert 0.4 < verdict.comparison.below < 1
        assert 0.4 < verdict.comparison.above < 1
    assert isinstance(found.model, Tuned if found.reached else Head)
