"""How small a network is to become, said in one of four ways, and the share of channels that this takes."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, fields

from torch import Tensor, nn

from alearn.errors import ModelError
from alearn.models.pruning.channels import thin
from alearn.models.pruning.cost import Cost, costs, macs

GRID = 16
"""Ratios are tried in steps of 1 / GRID."""


@dataclass(frozen=True)
class Budget:
    """One of: the share of each layer's `channels` that is left, which is the usual meaning of a pruning ratio; the
    share of the `macs` that is left, about its square; milliseconds per item; megabytes of the exported file.
    """

    channels: float | None = None
    macs: float | None = None
    latency_ms: float | None = None
    megabytes: float | None = None

    def __post_init__(self) -> None:
        given = {one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name) is not None}
        shares = {name: value for name, value in given.items() if name in {"channels", "macs"}}
        if len(given) != 1 or min(given.values()) <= 0 or any(value >= 1 for value in shares.values()):
            raise ModelError(
                "A pruning budget must be one of channels or macs, in (0, 1), latency_ms or megabytes, above 0. "
                f"Got {given or 'none'}. Give one."
            )

    def met(self, before: Cost, after: Cost) -> bool:
        """Whether a cost is within it; `channels` is no cost, and always met by what was cut after it."""
        if self.macs is not None:
            return after.macs <= self.macs * before.macs
        if self.latency_ms is not None:
            return after.latency_ms <= self.latency_ms
        return self.megabytes is None or after.megabytes <= self.megabytes


def ratio_for(
    budget: Budget, module: nn.Module, example: Mapping[str, Tensor], keep: str, *, of: nn.Module | None = None
) -> float:
    """The least share of channels to take out, in steps of 1 / GRID, by which a network meets a budget.

    Weights matter to no cost, so that cut copies are measured, untrained. `keep` is the path of the head. `of` is the
    longer network that this one was cut out of, if it was: the share of `macs` is one of that network's, and where the
    cut was enough it takes no channels, 0.

    Raises:
        ModelError: not even the thinnest meets it.
    """
    if budget.channels is not None:
        return 1 - budget.channels
    full = macs(of or module, example)
    if of is not None and _met(budget, module, full, example):
        return 0.0
    low, high = 0, GRID
    while high - low > 1:
        middle = (low + high) // 2
        enough = _met(budget, _thinned(module, example, keep, middle / GRID), full, example)
        low, high = (low, middle) if enough else (middle, high)
    if high == GRID:
        raise ModelError(
            f"A pruning budget must be within reach of this network. {budget} is not, even with "
            f"1/{GRID} of its channels. Raise it, choose a smaller network, or smaller images."
        )
    return high / GRID


def _thinned(module: nn.Module, example: Mapping[str, Tensor], keep: str, ratio: float) -> nn.Module:
    copy = deepcopy(module)
    thin(copy, list(example.values()), ratio, keep=[copy.get_submodule(keep)])
    return copy


def _met(budget: Budget, module: nn.Module, full: int, example: Mapping[str, Tensor]) -> bool:
    """Whether a module is within a budget, whose share of the multiplications is one of `full`."""
    if budget.macs is not None:
        return macs(module, example) <= budget.macs * full
    (after,) = costs([module], example)
    return budget.met(after, after)
