"""Items with what is to be said of them, taken a batch at a time.

Invariant: what leaves as a batch are finite numbers; examples are on the CPU, a part of a batch where it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from alearn.errors import ModelError
from alearn.models.training import device
from alearn.models.training.inputs import Inputs, Rows


@dataclass(frozen=True, eq=False)
class Batch:
    """Some items: what the module takes of each, its target (n,) or (n, C), and its weight (n,)."""

    given: tuple[Tensor, ...]
    targets: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return len(self.weights)

    def parts(self, together: int, where: torch.device) -> Iterator[Batch]:
        """So many items at once, on a device."""
        for start in range(0, len(self), together):
            some = [one[start : start + together] for one in (*self.given, self.targets, self.weights)]
            *given, targets, weights = device.moved(some, where)
            yield Batch(tuple(given), targets, weights)

    def losses(self, logits: Tensor) -> Tensor:
        """The weighted loss of each item by its logits (n, C), (n,)."""
        return functional.cross_entropy(logits.float(), self.targets, reduction="none") * self.weights


@dataclass(frozen=True, eq=False)
class Examples:
    """Items with what is to be said of them: class numbers (N,), int64, or probabilities (N, C), float32.

    `weights` (N,), float32, say how much each counts.
    """

    inputs: Inputs
    targets: Tensor
    weights: Tensor

    def batch(self, rows: Rows, views: Rows | None, where: torch.device) -> Batch:
        """These items, each seen as `views` (rows,) says, ready to leave for a device.

        Raises:
            ModelError: an input is no finite number.
        """
        given = self.inputs.take(rows, views)
        _refuse_unreal(given, rows)
        *inputs, targets, weights = device.pinned((*given, self.targets[rows], self.weights[rows]), where)
        return Batch(tuple(inputs), targets, weights)

    def losses(self, logits: Tensor, rows: Rows) -> Tensor:
        """The weighted loss of each row by its logits (rows, C), (rows,)."""
        return Batch((), self.targets[rows], self.weights[rows]).losses(logits)


def _refuse_unreal(given: tuple[Tensor, ...], rows: Rows) -> None:
    for tensor in given:
        if not tensor.is_floating_point():
            continue
        real = torch.isfinite(tensor).flatten(1).all(1)
        if not real.all():
            raise ModelError(
                f"What a tail is trained on must be finite numbers. Item {rows[int((~real).nonzero()[0])]}, and "
                f"{int((~real).sum()) - 1} more, are not. Embed the items again, or in float32."
            )
