"""Channels are cut, and the layers fitted again, so that little is lost."""

from __future__ import annotations

import sys
from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from alearn.errors import ModelError
from alearn.models.networks.widths import widths_of
from alearn.models.pruning import Budget
from alearn.models.pruning.budget import ratio_for
from alearn.models.pruning.channels import outputs_of, target, thin
from alearn.models.pruning.cost import costs, macs, parameters
from alearn.models.pruning.refitting import refit
from alearn.models.pruning.teacher import whole

from .conftest import Stripes


@given(width=st.integers(1, 2000), ratio=st.floats(0, 0.99), block=st.sampled_from([1, 4, 8]))
def test_a_width_becomes_a_multiple_of_the_block_near_to_what_was_asked(width: int, ratio: float, block: int) -> None:
    """At least one block, never more than there was; narrow layers stay."""
    left = target(width, ratio, block)
    assert 0 < left <= width
    if width >= 2 * block and left != width:
        assert left % block == 0
        assert left == block or abs(left - width * (1 - ratio)) <= block / 2 + 1e-6


def test_half_of_the_channels_are_cut_in_steps_as_at_once(stripes: Stripes) -> None:
    """The ratio is of the first widths, and the head's outputs stay."""
    example = [torch.from_numpy(stripes.pixels[:32])]
    once, twice = (whole(stripes.head, stripes.network) for _ in range(2))
    thin(once, example, 0.5, keep=[once.head])
    widths, left = outputs_of(twice), None
    for ratio in (0.25, 0.5):
        left = thin(twice, example, ratio, keep=[twice.head], left=left, widths=widths)
    assert widths_of(once) == widths_of(twice)
    assert widths_of(once)["suffix.stages.1.body.3"] == [48, 48, 48]
    assert widths_of(once)["head"] == [32, 2]
    assert left is not None
    assert {path: len(channels) for path, channels in left.items()} == outputs_of(twice)


def test_fitting_the_layers_again_brings_back_what_the_cut_took(stripes: Stripes) -> None:
    """At most a third of the cut's error remains on pictures that were not fitted on, though the weights are random."""
    teacher, pixels = whole(stripes.head, stripes.network), torch.from_numpy(stripes.pixels)
    student = deepcopy(teacher)
    left = thin(student, [pixels[:32]], 0.5, keep=[student.head])
    seen = pixels[200:]
    with torch.no_grad():
        before = float((student(seen) - teacher(seen)).square().mean())
        refit(student, teacher, left, pixels[:200], seed=0)
        after = float((student(seen) - teacher(seen)).square().mean())
    assert after < before / 3


def test_the_cost_counts_every_convolution(stripes: Stripes) -> None:
    """Subclasses too, which Torch-Pruning's own counter misses; a thinner network costs less."""

    class Odd(nn.Conv2d):
        pass

    module = nn.Sequential(Odd(3, 8, 3, bias=False), nn.Conv2d(8, 8, 1, groups=8))
    assert macs(module, {"x": torch.zeros(2, 3, 10, 10)}) == 8 * 8 * (27 * 8 + 8)
    full = whole(stripes.head, stripes.network)
    cut = deepcopy(full)
    example = {"pixels": torch.from_numpy(stripes.pixels[:32])}
    thin(cut, list(example.values()), 0.5, keep=[cut.head])
    before, after = costs([full, cut], example)
    assert (after.parameters, before.parameters) == (parameters(cut), parameters(full))
    assert after.macs < 0.5 * before.macs
    assert after.megabytes < before.megabytes
    assert after.latency_ms > 0
    assert after.engine == before.engine


def test_a_budget_is_met_by_the_least_cut_that_meets_it(stripes: Stripes) -> None:
    """In sixteenths; one that cannot be met is refused."""
    full = whole(stripes.head, stripes.network)
    example = {"pixels": torch.from_numpy(stripes.pixels[:32])}

    def left(ratio: float) -> float:
        cut = deepcopy(full)
        thin(cut, list(example.values()), ratio, keep=[cut.head])
        return macs(cut, example) / macs(full, example)

    ratio = ratio_for(Budget(macs=0.5), full, example, "head")
    assert left(ratio) <= 0.5 < left(ratio - 1 / 16)
    assert ratio_for(Budget(channels=0.25), full, example, "head") == 0.75
    with pytest.raises(ModelError, match="must be within reach"):
        ratio_for(Budget(macs=1e-4), full, example, "head")


@pytest.mark.parametrize("given_", [{}, {"macs": 0.5, "channels": 0.5}, {"channels": 1.0}, {"megabytes": 0.0}])
def test_a_budget_is_one_number_in_its_range(given_: dict[str, float]) -> None:
    """Nothing, two, or one out of range is refused."""
    with pytest.raises(ModelError, match="A pruning budget must be one of"):
        Budget(**given_)


def test_what_cannot_be_thinned_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A convolution of two groups; and a missing package, with the command that installs it."""
    x = [torch.zeros(4, 8, 6, 6)]
    with pytest.raises(ModelError, match="layer '0' has 2 groups"):
        thin(nn.Sequential(nn.Conv2d(8, 8, 3, groups=2)), x, 0.5)
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    with pytest.raises(ModelError, match=r"pip install 'alearn\[prune\]'"):
        thin(nn.Sequential(nn.Conv2d(8, 8, 3)), x, 0.5)


def test_channels_that_say_nothing_go_first() -> None:
    """A channel that is constant is cut although its weights are the largest."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 16, 1, bias=False), nn.ReLU(), nn.Conv2d(16, 4, 1))
    with torch.no_grad():
        module[0].weight[:8] = -9.0
        module[0].weight[8:].abs_()
    left = thin(module, [torch.rand(4, 3, 5, 5)], 0.5, keep=[module[2]])
    assert np.array_equal(left["0"], np.arange(8, 16))
