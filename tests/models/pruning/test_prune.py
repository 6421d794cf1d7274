"""Pruning end to end: accepted or refused with a reason, the same after a kill, and stored without a pickle."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from alearn.errors import ModelError
from alearn.models.head import Head
from alearn.models.pruning import Budget, Pruned, Recipe, prune
from alearn.models.pruning.imitation import Gallery
from alearn.models.pruning.running import outputs
from alearn.models.pruning.teacher import without
from alearn.models.training.fitting import Plan
from alearn.models.training.inputs import Pictures
from alearn.models.training.tail import Tail, arrays
from alearn.models.training.tuned import tail
from alearn.models.tuned import Tuned

from .conftest import Stripes, small

RECIPE = Recipe(steps=2, plan=Plan(epochs=2, rate=3e-4))


def _pruned(stripes: Stripes, folder: Path, model: Head | Tuned | None = None, **options: object) -> Pruned:
    given = {
        "name": "small",
        "size": 16,
        "unlabeled": Pictures(stripes.pixels[200:]),
        "metric": "log_loss",
        "tolerance": 1.0,
        "budget": Budget(channels=0.5),
        "recipe": RECIPE,
        "seed": 0,
        "folder": folder,
    }
    return prune(
        model or stripes.head,
        stripes.network,
        Pictures(stripes.pixels[:200]),
        stripes.x[:200],
        stripes.y[:200],
        **{**given, **options},  # type: ignore[arg-type]
    )


@dataclass(frozen=True)
class Run:
    found: Pruned
    folder: Path


@pytest.fixture(scope="module")
def run(stripes: Stripes, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("pruning")
    return Run(_pruned(stripes, folder), folder)


def test_a_network_that_keeps_the_metric_is_accepted_at_a_lower_cost(run: Run, stripes: Stripes) -> None:
    """In two steps; what is stored builds the same network again, and a table says what was gained."""
    found = run.found
    assert found.verdict.accepted
    assert [step.ratio for step in found.steps] == [0.25, 0.5]
    assert found.after.macs < 0.5 * found.before.macs
    assert found.after.parameters < found.before.parameters
    assert found.tuned is not None
    again = tail(Tuned.from_bytes(found.tuned.to_bytes()), small())
    logits = outputs(again, stripes.labeled, np.arange(200))
    assert float((logits.argmax(1) == stripes.y[:200]).mean()) > 0.8
    assert [row[0] for row in found.table()] == ["parameters", "MACs", "file", "items/s", "log_loss"]


def test_a_step_that_loses_too_much_is_undone_with_the_reason(run: Run, stripes: Stripes) -> None:
    """The step before it stays."""
    losses = [step.found.loss for step in run.found.steps]
    assert losses[0] < losses[1]
    found = _pruned(stripes, run.folder, tolerance=sum(losses) / 2)
    assert found.tuned is not None
    assert found.tuned.widths["head"] == [48, 2]
    assert not found.verdict.accepted
    assert "25% of the channels were cut: Log loss" in found.verdict.reason
    assert "50% of the channels were refused: Log loss" in found.verdict.reason


def test_what_is_refused_at_once_leaves_the_model_and_shows_what_was_refused(run: Run, stripes: Stripes) -> None:
    """Its cost, and the metric; here a gain is demanded that there cannot be."""
    found = _pruned(stripes, run.folder, tolerance=-10.0)
    assert found.tuned is None
    assert len(found.steps) == 1
    assert "Not pruned: 25% of the channels were refused: Log loss" in found.verdict.reason
    assert found.after.macs < found.before.macs


def test_a_pruning_that_was_killed_goes_on_and_gives_the_same_bytes(run: Run, stripes: Stripes, tmp_path: Path) -> None:
    """Killed in the middle of the imitation of a fold, and after the gate."""
    seen: list[str] = []

    def killed(text: str) -> None:
        seen.append(text)
        if (len(seen) == 2 and "imitation, epoch 1" in text) or text.startswith("50%"):
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            _pruned(stripes, tmp_path, say=killed)
    found = _pruned(stripes, tmp_path)
    assert found.tuned is not None
    assert run.found.tuned is not None
    assert found.tuned.to_bytes() == run.found.tuned.to_bytes()


def test_trained_last_blocks_are_pruned_with_the_network_in_front_of_them(stripes: Stripes, tmp_path: Path) -> None:
    """Once: what is pruned is not pruned again."""
    module = Tail(stripes.network.chain, "block0", *stripes.head.weights.shape)
    module.wear(stripes.head)
    model = Tuned("blocks", "small", 16, "block0", 1.5, {}, arrays(module))
    recipe = Recipe(steps=1, plan=Plan(epochs=0))
    found = _pruned(stripes, tmp_path, model, recipe=recipe, budget=Budget(channels=0.75), taps=["block0"])
    assert found.tuned is not None
    assert found.tuned.tap is None, "what was trained is not dropped"
    assert (found.tuned.rung, found.tuned.start, found.tuned.temperature) == ("whole", None, 1.0)
    with pytest.raises(ModelError, match="must not be so already"):
        _pruned(stripes, tmp_path, found.tuned)


def test_texts_and_too_few_labels_are_refused_with_what_to_do(stripes: Stripes, tmp_path: Path) -> None:
    """Before anything is computed."""
    texts = replace(stripes, network=replace(stripes.network, data="text"))
    with pytest.raises(ModelError, match="Choose an earlier tap instead"):
        _pruned(texts, tmp_path)
    with pytest.raises(ModelError, match=r"The second most frequent class has 3\."):
        _pruned(stripes, tmp_path, groups=[f"{label}, {at % 3}" for at, label in enumerate(stripes.y[:200])])
    few = replace(stripes, y=np.array([1] * 7 + [0] * 233))
    with pytest.raises(ModelError, match=r"needs 8 labels of each of two classes.* has 7\."):
        _pruned(few, tmp_path)


TAPS = ("stem", "block0", "block1")


def test_blocks_that_do_not_help_are_dropped_and_that_may_be_enough(stripes: Stripes, tmp_path: Path) -> None:
    """The network then ends at the earliest tap that is good enough; no channel is taken."""
    said: list[str] = []
    found = _pruned(stripes, tmp_path, taps=TAPS, tolerance=0.05, budget=Budget(macs=0.5), say=said.append)
    assert found.verdict.accepted
    assert "Cut behind block0: Log loss lost" in found.verdict.reason
    assert said == [found.verdict.reason]
    assert [(step.ratio, step.tap) for step in found.steps] == [(0.0, "block0")]
    assert found.after.macs < 0.5 * found.before.macs
    assert found.tuned is not None
    assert (found.tuned.tap, found.tuned.widths) == ("block0", {})
    again = tail(Tuned.from_bytes(found.tuned.to_bytes()), small().upto("block0"))
    logits = outputs(again, stripes.labeled, np.arange(200, 240))
    assert float((logits.argmax(1) == stripes.y[200:240]).mean()) > 0.8


def test_channels_are_cut_out_of_the_shorter_network_and_compared_with_the_whole_one(
    stripes: Stripes, tmp_path: Path
) -> None:
    """The budget is a share of what the whole one costs. Refused channels leave the shorter network."""
    how = {"taps": ["block0"], "budget": Budget(macs=0.05), "recipe": Recipe(steps=1, plan=Plan(epochs=0)), "seed": 1}
    thin = _pruned(stripes, tmp_path, tolerance=0.5, **how)
    assert thin.tuned is not None
    assert (thin.tuned.tap, [step.tap for step in thin.steps]) == ("block0", ["block0", None])
    assert thin.after.macs <= 0.05 * thin.before.macs
    short = _pruned(stripes, tmp_path, tolerance=0.05, **how)
    assert short.tuned is not None
    assert (short.tuned.tap, short.tuned.widths, short.verdict.accepted) == ("block0", {}, False)
    assert short.verdict.reason.startswith("Cut behind block0: Log loss ")
    assert "% of the channels were refused: Log loss lost" in short.verdict.reason
    assert 0.4 * short.before.macs < short.after.macs < 0.5 * short.before.macs


def test_blocks_that_help_stay_and_it_is_said(stripes: Stripes, tmp_path: Path) -> None:
    """With the loss of the best earlier tap; then channels are taken out of the whole network, here in vain."""
    said: list[str] = []
    recipe = Recipe(steps=1, plan=Plan(epochs=0))
    found = _pruned(stripes, tmp_path, taps=TAPS, tolerance=-10.0, recipe=recipe, say=said.append)
    assert said[0].startswith("No blocks are dropped. Cut behind ")
    assert "at most -10 may be lost" in said[0]
    assert (found.tuned, [step.tap for step in found.steps]) == (None, [None])


def test_the_teacher_of_a_fold_is_trained_as_long_as_the_model_was(stripes: Stripes, tmp_path: Path) -> None:
    """For the epochs that its version chose, not for all of the plan."""
    module = Tail(stripes.network.chain, "block1", *stripes.head.weights.shape)
    model = Tuned("blocks", "small", 16, "block1", 1.0, {}, arrays(module))
    seen: list[int] = []
    without(
        model, stripes.network, stripes.labeled, stripes.x, stripes.y, rows=np.arange(60), epochs=2, seed=0,
        checkpoint=tmp_path / "teacher", report=lambda epoch, *_: seen.append(epoch),
    )  # fmt: skip
    assert seen == [1, 2]


def test_a_gallery_shows_every_view_of_the_chosen_items_of_several_inputs() -> None:
    """First all items as they are, then all of them mirrored."""
    first, second = (np.random.default_rng(seed).integers(0, 256, (5, 4, 4, 3), dtype=np.uint8) for seed in (0, 1))
    gallery = Gallery((Pictures(first, 2), np.array([3, 1])), (Pictures(second, 2), np.array([4])))
    assert (len(gallery), gallery.items) == (6, 3)
    (found,) = gallery.take(np.array([2, 0, 4, 1]))
    wanted = [second[4], first[3], first[1][:, ::-1], first[1]]
    assert np.array_equal(found.numpy(), np.stack(wanted))
