"""Pruning end to end: accepted or refused with a reason, the same after a kill, and stored without a pickle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alearn.errors import ModelError
from alearn.models.head import Head
from alearn.models.pruning import Budget, Pruned, Recipe, prune
from alearn.models.pruning.imitation import Gallery
from alearn.models.pruning.running import outputs
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
        "metric": "accuracy",
        "tolerance": 0.1,
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


@pytest.fixture(scope="module")
def accepted(stripes: Stripes, tmp_path_factory: pytest.TempPathFactory) -> Pruned:
    return _pruned(stripes, tmp_path_factory.mktemp("accepted"))


def test_a_network_that_keeps_the_metric_is_accepted_at_a_lower_cost(accepted: Pruned, stripes: Stripes) -> None:
    """In two steps; what is stored builds the same network again, and a table says what was gained."""
    assert accepted.verdict.accepted
    assert [step.ratio for step in accepted.steps] == [0.25, 0.5]
    assert accepted.after.macs < 0.5 * accepted.before.macs
    assert accepted.after.parameters < accepted.before.parameters
    assert accepted.tuned is not None
    again = tail(Tuned.from_bytes(accepted.tuned.to_bytes()), small())
    logits = outputs(again, stripes.labeled, np.arange(200))
    assert float((logits.argmax(1) == stripes.y[:200]).mean()) > 0.8
    assert [row[0] for row in accepted.table()] == ["parameters", "MACs", "file", "items/s", "accuracy"]


def test_a_network_that_loses_too_much_is_refused_with_the_reason(stripes: Stripes, tmp_path: Path) -> None:
    """The model stays, and the cost of what was refused is shown."""
    found = _pruned(stripes, tmp_path, metric="log_loss", tolerance=0.0, budget=Budget(channels=0.1))
    assert not found.verdict.accepted
    assert found.tuned is None
    assert "Not pruned: Log loss lost" in found.verdict.reason
    assert found.after.macs < found.before.macs


def test_a_pruning_that_was_killed_goes_on_and_gives_the_same_bytes(
    accepted: Pruned, stripes: Stripes, tmp_path: Path
) -> None:
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
    assert accepted.tuned is not None
    assert found.tuned.to_bytes() == accepted.tuned.to_bytes()


def test_trained_last_blocks_are_pruned_with_the_network_in_front_of_them(stripes: Stripes, tmp_path: Path) -> None:
    """And a pruned network can be pruned again."""
    module = Tail(stripes.network.chain, "block0", *stripes.head.weights.shape)
    module.wear(stripes.head)
    model = Tuned("blocks", "small", 16, "block0", 1.5, {}, arrays(module))
    recipe = Recipe(steps=1, plan=Plan(epochs=0))
    found = _pruned(stripes, tmp_path, model, recipe=recipe, budget=Budget(channels=0.75), tolerance=1.0)
    assert found.tuned is not None
    assert (found.tuned.rung, found.tuned.start, found.tuned.temperature) == ("whole", None, 1.0)
    thinner = replace(stripes, head=stripes.head)
    again = _pruned(thinner, tmp_path / "again", found.tuned, recipe=recipe, budget=Budget(macs=0.5), tolerance=1.0)
    assert again.tuned is not None
    assert again.after.macs < found.after.macs


def test_texts_and_too_few_labels_are_refused_with_what_to_do(stripes: Stripes, tmp_path: Path) -> None:
    """Before anything is computed."""
    texts = replace(stripes, network=replace(stripes.network, data="text"))
    with pytest.raises(ModelError, match="Choose an earlier tap instead"):
        _pruned(texts, tmp_path)
    few = replace(stripes, y=np.array([1] * 7 + [0] * 233))
    with pytest.raises(ModelError, match=r"needs 8 labels of each of two classes.* has 7\."):
        _pruned(few, tmp_path)


def test_a_gallery_shows_every_view_of_the_chosen_items_of_several_inputs() -> None:
    """First all items as they are, then all of them mirrored."""
    first, second = (np.random.default_rng(seed).integers(0, 256, (5, 4, 4, 3), dtype=np.uint8) for seed in (0, 1))
    gallery = Gallery((Pictures(first, 2), np.array([3, 1])), (Pictures(second, 2), np.array([4])))
    assert (len(gallery), gallery.items) == (6, 3)
    (found,) = gallery.take(np.array([2, 0, 4, 1]))
    wanted = [second[4], first[3], first[1][:, ::-1], first[1]]
    assert np.array_equal(found.numpy(), np.stack(wanted))
