"""One epoch of gradient descent, with its two dangers met: a loss that is no number, and a memory that is full.

Invariant: an epoch is a function of the weights, the optimiser's state, the seed and the epoch's number. It goes on
where the module is; the examples are on the CPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from alearn.errors import ModelError
from alearn.models.training import device
from alearn.models.training.examples import Batch, Examples
from alearn.models.training.inputs import Rows
from alearn.models.training.tail import Tail

HALVINGS = 6
"""How often the rate is halved because the loss is no number."""

WARM = 0.1
"""The share of the epochs over which the rate rises: at once, it would undo the head that training begins with."""


@dataclass(frozen=True)
class Plan:
    """How a module is trained.

    The rate rises over WARM of the `epochs`, and falls along a cosine to the last; training ends after `stop` of them,
    none: all. `rate` is the head's; each part before it learns at `decay` times the rate of the part behind it. `clip`
    bounds the norm of a gradient. `patience`: the epochs without a better validation loss after which training ends;
    none: never.
    """

    epochs: int = 8
    batch: int = 32
    rate: float = 1e-3
    decay: float = 0.8
    weight_decay: float = 1e-2
    clip: float = 5.0
    patience: int | None = None
    stop: int | None = None

    @property
    def most(self) -> int:
        """The number of epochs at most."""
        return self.epochs if self.stop is None else min(self.stop, self.epochs)


class Descent:
    """A module, its optimiser, and the examples that it is trained on.

    `halvings` says how often the rate was halved, `together` how many items go through the module at once.
    """

    def __init__(self, module: nn.Module, examples: Examples, plan: Plan, seed: int) -> None:
        self.module, self.examples, self.plan, self.seed = module, examples, plan, seed
        self.device = device.home(module)
        self.optimiser = torch.optim.AdamW(
            [{"params": one, "pace": pace} for pace, one in paces(module, plan.decay)],
            lr=plan.rate,
            weight_decay=plan.weight_decay,
        )
        self.halvings, self.together = 0, plan.batch

    def epoch(self, rows: Rows, number: int) -> float:
        """Go through the rows once, and return the mean loss.

        Raises:
            ModelError: an input, or at every rate the loss, is no number; or one item is too much for the memory.
        """
        before = self.state()
        while not math.isfinite(loss := self._once(rows, number)):
            self.restore(before)
            self.halvings += 1
            if self.halvings > HALVINGS:
                raise ModelError(
                    "Training must give losses that are numbers. They are not, even at a rate of "
                    f"{self.plan.rate / 2**HALVINGS:.2g}. Keep the linear head, or choose another network."
                )
        return loss

    def state(self) -> dict[str, Tensor]:
        """A copy of the weights and of the optimiser's memory."""
        memory = self.optimiser.state_dict()["state"]
        found = {f"now/{name}": value for name, value in self.module.state_dict().items()}
        found |= {f"optimiser/{at}/{name}": value for at, one in memory.items() for name, value in one.items()}
        return {name: value.detach().clone() for name, value in found.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to what `state` gave."""
        self.module.load_state_dict(under(state, "now"))
        whole = self.optimiser.state_dict()
        memory: dict[int, dict[str, Tensor]] = {}
        for name, value in under(state, "optimiser").items():
            at, _, entry = name.partition("/")
            memory.setdefault(int(at), {})[entry] = value.clone()
        self.optimiser.load_state_dict({**whole, "state": memory})

    def _once(self, rows: Rows, number: int) -> float:
        """The epoch at the present rate; not finite as soon as a loss is."""
        rng = np.random.default_rng([self.seed, number])
        order = rng.permutation(rows)
        kinds = self.examples.inputs.views
        views = rng.integers(0, kinds, len(order)) if kinds > 1 else None
        _train(self.module)
        total = 0.0
        # Dropout draws from torch's own generator.
        with device.steady(self.device, int(rng.integers(2**31))):
            for at, batch in enumerate(self._batches(order, views)):
                self._set_rate(number + at * self.plan.batch / len(order))
                total += self._step(batch)
                if not math.isfinite(total):
                    break
        return total / len(order)

    def _batches(self, order: Rows, views: Rows | None) -> Iterator[Batch]:
        """The rows in this order, as many as make a step."""

        def taken(start: int) -> Batch:
            part = slice(start, start + self.plan.batch)
            return self.examples.batch(order[part], None if views is None else views[part], self.device)

        return device.early(taken, range(0, len(order), self.plan.batch), self.device)

    def _set_rate(self, epochs: float) -> None:
        """Up, then down along the cosine; slower in the parts further from the head."""
        gone = epochs / self.plan.epochs
        share = min(gone / WARM, 1) * (1 + math.cos(math.pi * gone)) / 2
        rate = self.plan.rate * share * 0.5**self.halvings
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["pace"]

    def _step(self, batch: Batch) -> float:
        """One step down; the sum of the rows' losses, or NaN without a step."""
        while (loss := self._gradient(batch)) is None:
            device.free(self.device)
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), self.plan.clip)
        # Asked together: each question makes the processor wait for a GPU.
        found, steep = torch.stack([loss, norm]).tolist()
        if not (math.isfinite(found) and math.isfinite(steep)):
            return math.nan
        self.optimiser.step()
        return float(found)

    def _gradient(self, batch: Batch) -> Tensor | None:
        """Add up the gradient of the mean loss, as many rows at once as the memory takes; returns the sum of losses.

        None: it was full, and half as many are taken at once from now on.
        """
        try:
            self.optimiser.zero_grad()
            losses = []
            for part in batch.parts(self.together, self.device):
                loss = part.losses(self.module(*part.given)).sum()
                (loss / len(batch)).backward()  # type: ignore[no-untyped-call]
                losses.append(loss.detach())
            return torch.stack(losses).sum()
        except (MemoryError, RuntimeError) as error:
            self._shrink(error)
        return None

    def _shrink(self, error: Exception) -> None:
        """Take half as many at once where the memory was full; raise what has another reason."""
        if not device.full(error):
            raise error
        if self.together == 1:
            raise ModelError(
                "Training must fit into the memory of this machine. A single item does not. Choose a smaller "
                "`model.size`, or a later tap."
            ) from error
        self.together = math.ceil(self.together / 2)


def paces(module: nn.Module, decay: float) -> list[tuple[float, list[nn.Parameter]]]:
    """The parameters that are trained, part by part from the head back, and the share of the rate at which each is."""
    parts = module.parts() if isinstance(module, Tail) else [module]
    trained = [[one for one in part.parameters() if one.requires_grad] for part in parts]
    return [(decay**depth, one) for depth, one in enumerate(one for one in trained if one)]


def under(state: Mapping[str, Tensor], folder: str) -> dict[str, Tensor]:
    """The entries whose names begin with `folder/`, by the rest of their names."""
    return {name.removeprefix(f"{folder}/"): value for name, value in state.items() if name.startswith(f"{folder}/")}


def _train(module: nn.Module) -> None:
    """To training mode, but for the batch norms."""
    module.train()
    for part in module.modules():
        if isinstance(part, _BatchNorm):
            part.eval()
