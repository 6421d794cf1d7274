"""Training a module over epochs: the same arguments give the same weights, whether the run was killed or not.

Invariant: what a run has reached is on disk after each epoch, under a key that names all that the result depends on.
Where it is computed is not among that: a run that was begun on a GPU goes on without one, and the other way round.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from alearn.core.keys import fingerprint
from alearn.models.serving import threads
from alearn.models.training import checkpoints, device
from alearn.models.training.answers import answers
from alearn.models.training.descent import Descent, Plan, under
from alearn.models.training.examples import Examples
from alearn.models.training.inputs import Inputs, Rows

__all__ = ["Fit", "Plan", "Report", "fit", "logits_of"]

Report = Callable[[int, float, float | None], None]
"""(epochs done, mean loss, mean loss of the validation rows)."""


@dataclass(frozen=True, eq=False)
class Fit:
    """What came of a run; the module holds the weights of epoch `epoch`: the best by validation, without one the last.

    `losses` and `validation` are means per epoch; `logits` those of the validation rows after each, (n, C) float32.
    """

    epoch: int
    losses: Sequence[float]
    validation: Sequence[float]
    logits: Sequence[NDArray[np.float32]]


def fit(
    module: nn.Module,
    inputs: Inputs,
    targets: NDArray[Any],
    *,
    rows: Rows,
    validation: Rows | None = None,
    weights: NDArray[np.floating[Any]] | None = None,
    plan: Plan,
    seed: int,
    where: torch.device = device.CPU,
    checkpoint: Path | None = None,
    report: Report | None = None,
) -> Fit:
    """Train a module in place so that `module(*inputs.take(rows))` are the logits (n, C) of the targets.

    `targets` are class numbers (N,), or probabilities (N, C) to be imitated; `weights` (N,) say how much an item
    counts; both are of all inputs, of which `rows` are trained on. With `checkpoint`, the state is written there after
    each epoch, and a run with the same arguments goes on from it. `where` is the device that trains; the module comes
    back to the CPU.

    Raises:
        ModelError: an input is no number, the loss is none at any rate, or one item is too much for the memory.
    """
    torch.set_num_threads(threads())
    with device.lent(module, where):
        descent = Descent(module, _examples(inputs, targets, weights), plan, seed)
        key = _key(descent, rows, validation) if checkpoint else ""
        past = _resumed(descent, checkpoints.read(checkpoint, key) if checkpoint else None)
        while not past.over(plan):
            past.losses.append(descent.epoch(rows, past.done))
            if validation is not None:
                past.judge(descent, validation)
            if checkpoint:
                checkpoints.write(checkpoint, key, descent.state() | past.tensors(), past.facts(descent))
            if report:
                report(past.done, past.losses[-1], past.validation[-1] if past.validation else None)
        if past.best:
            module.load_state_dict(past.best)
    module.eval()
    return Fit(past.epoch, past.losses, past.validation, [one.numpy() for one in past.logits])


def logits_of(
    module: nn.Module, inputs: Inputs, rows: Rows, batch: int = 64, where: torch.device = device.CPU
) -> NDArray[np.float32]:
    """What a module says of these items as they are, (n, C) float32, computed on a device."""
    parts = answers(module.eval(), inputs, rows, where=where, batch=batch)
    return np.concatenate([logits.float().numpy() for (logits,) in parts])


def _examples(inputs: Inputs, targets: NDArray[Any], weights: NDArray[np.floating[Any]] | None) -> Examples:
    wanted = np.asarray(targets, np.int64 if np.ndim(targets) == 1 else np.float32)
    counts = np.ones(len(wanted), np.float32) if weights is None else np.asarray(weights, np.float32)
    return Examples(inputs, torch.from_numpy(wanted), torch.from_numpy(counts))


@dataclass
class _Past:
    """What a run has been through; `best` are the weights of the best epoch where there is a validation."""

    losses: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    logits: list[Tensor] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)

    @property
    def done(self) -> int:
        return len(self.losses)

    @property
    def epoch(self) -> int:
        """The epoch whose weights count, from 1."""
        return int(np.argmin(self.validation)) + 1 if self.validation else self.done

    def over(self, plan: Plan) -> bool:
        patience = plan.most if plan.patience is None else plan.patience
        return self.done >= plan.most or self.done - self.epoch > patience

    def judge(self, descent: Descent, rows: Rows) -> None:
        """Look how good the weights are on these rows, and keep them if they are the best."""
        logits = torch.from_numpy(logits_of(descent.module, descent.examples.inputs, rows, where=descent.device))
        self.logits.append(logits)
        self.validation.append(float(descent.examples.losses(logits, rows).mean()))
        if self.epoch == self.done:
            self.best = {name: value.detach().clone() for name, value in descent.module.state_dict().items()}

    def tensors(self) -> dict[str, Tensor]:
        found = {f"best/{name}": value for name, value in self.best.items()}
        return found | {f"logits/{at}": value for at, value in enumerate(self.logits)}

    def facts(self, descent: Descent) -> dict[str, Any]:
        return {
            "losses": self.losses,
            "validation": self.validation,
            "halvings": descent.halvings,
            "together": descent.together,
        }


def _resumed(descent: Descent, saved: tuple[dict[str, Tensor], dict[str, Any]] | None) -> _Past:
    """What was saved, put back into the descent; without it, the beginning."""
    if saved is None:
        return _Past()
    tensors, facts = saved
    descent.restore(tensors)
    descent.halvings, descent.together = facts["halvings"], facts["together"]
    logits = under(tensors, "logits")
    ordered = [logits[str(at)] for at in range(len(logits))]
    return _Past(facts["losses"], facts["validation"], ordered, under(tensors, "best"))


def _key(descent: Descent, rows: Rows, validation: Rows | None) -> str:
    """A hash of all that the result depends on; of the inputs, their number and the first item trained on."""
    examples, digest = descent.examples, hashlib.sha256()
    tensors = [examples.targets, examples.weights, *(one.cpu() for one in descent.module.state_dict().values())]
    arrays = [rows, rows[:0] if validation is None else validation, *(one.detach().numpy() for one in tensors)]
    for array in (*arrays, *(one.numpy() for one in examples.inputs.take(rows[:1]))):
        digest.update(f"{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    seen = [len(examples.inputs), examples.inputs.views]
    return fingerprint([asdict(descent.plan), descent.seed, *seen, digest.hexdigest()])
