"""A pruned network is stored as a plan and a state dict, and built again from them."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from alearn.errors import ModelError
from alearn.models.networks.widths import reshaped, widths_of


def _network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3),
        nn.BatchNorm2d(16),
        nn.Conv2d(16, 16, 3, groups=16, bias=False),
        nn.BatchNorm2d(16, affine=False),
        nn.Flatten(),
        nn.Linear(16 * 4, 8),
        nn.LayerNorm(8),
    ).eval()


def _narrow() -> nn.Sequential:
    """The same network as it is after pruning, with weights of its own."""
    torch.manual_seed(1)
    narrow = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 8, 3, groups=8, bias=False),
        nn.BatchNorm2d(8, affine=False),
        nn.Flatten(),
        nn.Linear(8 * 4, 6),
        nn.LayerNorm(6),
    )
    narrow(torch.randn(8, 3, 6, 6))
    return narrow.eval()


def test_a_pruned_network_is_built_again_from_numbers_and_gives_the_same_outputs_bit_for_bit() -> None:
    """The plan survives JSON, the weights safetensors; depthwise convolutions and norms without weights included."""
    narrow, x = _narrow(), torch.randn(4, 3, 6, 6)
    plan, weights = json.dumps(widths_of(narrow)), save(narrow.state_dict())
    again = reshaped(_network(), json.loads(plan))
    again.load_state_dict(load(weights))
    assert torch.equal(again(x), narrow(x))
    assert widths_of(again) == widths_of(narrow)


def test_a_plan_of_the_same_widths_leaves_the_weights_as_they_are() -> None:
    """So that a network that was not pruned needs no special case."""
    network = _network()
    before = deepcopy(network.state_dict())
    reshaped(network, widths_of(network))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_layer_whose_widths_are_unknown_is_refused_by_name() -> None:
    """With what can be done instead."""
    with pytest.raises(ModelError, match=r"Its layer '1' is GroupNorm\. Choose an earlier tap"):
        widths_of(nn.Sequential(nn.Conv2d(3, 8, 1), nn.GroupNorm(2, 8)))


def test_a_plan_of_another_network_is_refused() -> None:
    """By the layer that is not there."""
    with pytest.raises(ModelError, match="names 'head', which is no layer"):
        reshaped(_network(), {"head": [8, 2]})
