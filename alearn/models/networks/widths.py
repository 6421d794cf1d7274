"""The widths of a network's layers as plain numbers, so that a pruned network is stored as a plan beside its weights.

A pickle would run code when it is read, and an architecture knows only its unpruned shapes. Invariant: an architecture
as it was built, reshaped after a plan, takes the state dict of the network that the plan was taken of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from alearn.errors import ModelError

Plan = Mapping[str, Sequence[int]]
"""By the path of a layer: Conv2d [inputs, outputs, groups], Linear [inputs, outputs], norms [features]."""


def widths_of(module: nn.Module) -> dict[str, list[int]]:
    """The plan of a network: the widths of each layer that has weights, as JSON can hold them.

    Raises:
        ModelError: a layer whose widths cannot be written down, with its name.
    """
    return {path: _widths(path, layer) for path, layer in module.named_modules() if _has_tensors(layer)}


def reshaped(module: nn.Module, plan: Plan) -> nn.Module:
    """Give the layers of a network the widths of a plan, in place, their weights empty; returns the network.

    Layers that have their widths already, and those that the plan does not name, keep their weights.

    Raises:
        ModelError: the plan is of another network.
    """
    layers = dict(module.named_modules())
    for path, widths in plan.items():
        if path not in layers or not isinstance(layers[path], _LAYERS):
            raise ModelError(
                f"A pruning plan must be of the network that it is used on. It names {path!r}, which is no layer of "
                "this one. Prune this network again."
            )
        layer = layers[path]
        if _widths(path, layer) == list(widths):
            continue
        with torch.no_grad():
            _reshape(layer)(layer, list(widths))
    return module


def _has_tensors(layer: nn.Module) -> bool:
    """Whether a layer has weights of its own; buffers alone, such as the mean of the pixels, are not pruned."""
    return isinstance(layer, _LAYERS) or next(layer.parameters(recurse=False), None) is not None


def _widths(path: str, layer: nn.Module) -> list[int]:
    if isinstance(layer, nn.Conv2d):
        return [layer.in_channels, layer.out_channels, layer.groups]
    if isinstance(layer, nn.Linear):
        return [layer.in_features, layer.out_features]
    if isinstance(layer, nn.BatchNorm2d):
        return [layer.num_features]
    if isinstance(layer, nn.LayerNorm):
        return list(layer.normalized_shape)
    raise ModelError(
        f"A network that is pruned must be made of Conv2d, BatchNorm2d, Linear and LayerNorm. Its layer {path!r} is "
        f"{type(layer).__name__}. Choose an earlier tap instead, or another network."
    )


def _reshape(layer: nn.Module) -> Callable[[Any, list[int]], None]:
    return next(change for kind, change in _CHANGES.items() if isinstance(layer, kind))


def _conv(layer: nn.Conv2d, widths: list[int]) -> None:
    layer.in_channels, layer.out_channels, layer.groups = widths
    _resize(layer, "weight", (layer.out_channels, layer.in_channels // layer.groups, *layer.kernel_size))
    _resize(layer, "bias", (layer.out_channels,))


def _linear(layer: nn.Linear, widths: list[int]) -> None:
    layer.in_features, layer.out_features = widths
    _resize(layer, "weight", (layer.out_features, layer.in_features))
    _resize(layer, "bias", (layer.out_features,))


def _batch_norm(layer: nn.BatchNorm2d, widths: list[int]) -> None:
    (layer.num_features,) = widths
    for name in ("weight", "bias", "running_mean", "running_var"):
        _resize(layer, name, tuple(widths))


def _layer_norm(layer: nn.LayerNorm, widths: list[int]) -> None:
    layer.normalized_shape = tuple(widths)
    for name in ("weight", "bias"):
        _resize(layer, name, tuple(widths))


def _resize(layer: nn.Module, name: str, shape: tuple[int, ...]) -> None:
    """An empty tensor of another shape in the place of one that the layer has."""
    old = getattr(layer, name)
    if isinstance(old, nn.Parameter):
        setattr(layer, name, nn.Parameter(old.new_empty(shape), requires_grad=old.requires_grad))
    elif old is not None:
        setattr(layer, name, old.new_empty(shape))


_CHANGES: Mapping[type[nn.Module], Callable[[Any, list[int]], None]] = {
    nn.Conv2d: _conv,
    nn.Linear: _linear,
    nn.BatchNorm2d: _batch_norm,
    nn.LayerNorm: _layer_norm,
}
_LAYERS = tuple(_CHANGES)
