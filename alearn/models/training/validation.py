"""What models say of labels that they did not see: the linear head's and a tail's, on the same folds.

Invariant: no label of a held fold reaches the model that judges it, not even through the head that a tail begins with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from alearn.models.folds import Groups, deal
from alearn.models.head import Head, fit_head, item_weights
from alearn.models.networks import Network
from alearn.models.temperature import fit_temperature
from alearn.models.training import device
from alearn.models.training.answers import answers
from alearn.models.training.fitting import Plan, fit
from alearn.models.training.inputs import Inputs
from alearn.models.training.tail import Embedding, Tail
from alearn.models.tuned import Rung

Floats = NDArray[np.float32]

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, how much of it is, and of how much."""

CLOSE = 0.02
"""How far embeddings may be apart, relative to the largest number, and still be taken for the same: float16."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """What there is to learn: embeddings (n, D), class numbers (n,), and the fold (n,) in which each label is held.

    `strength` is that of linear heads, as in `fit_head`.
    """

    x: Floats
    y: NDArray[np.intp]
    classes: int
    fold: NDArray[np.intp]
    seed: int
    strength: float | None = None

    @property
    def folds(self) -> int:
        """The number of folds."""
        return int(self.fold.max()) + 1

    def heads(self) -> list[Head]:
        """For each fold, the linear head of the labels outside it."""
        outside = (np.flatnonzero(self.fold != number) for number in range(self.folds))
        return [self.head(rows) for rows in outside]

    def head(self, rows: NDArray[np.intp]) -> Head:
        """The linear head of these labels."""
        return fit_head(self.x[rows], self.y[rows], self.classes, seed=self.seed, strength=self.strength)

    def linear(self) -> Floats:
        """What the linear heads say of the labels that they did not see, (n, C)."""
        found = np.empty((len(self.y), self.classes), np.float32)
        for number, head in enumerate(self.heads()):
            found[self.fold == number] = head.proba(self.x[self.fold == number])
        return found


def lesson(
    x: Floats,
    y: NDArray[np.intp],
    classes: int,
    *,
    groups: Groups = None,
    folds: int,
    seed: int,
    strength: float | None = None,
) -> Lesson:
    """Deal the labels out over folds: whole groups, each class evenly, otherwise at random."""
    return Lesson(x, y, classes, deal(y, groups, folds, np.random.default_rng(seed)), seed, strength)


@dataclass(frozen=True, eq=False)
class Attempt:
    """What is trained for a rung: the tail of a network behind `start`, on `inputs`, row i the label i; and where."""

    rung: Rung
    network: Network
    start: str | None
    inputs: Inputs
    plan: Plan
    where: torch.device = device.CPU

    @property
    def name(self) -> str:
        """For a person, and for files: the same for what is trained in the same place."""
        return self.rung if self.start is None else f"{self.rung} behind {self.start}"

    def standing_on(self, given: Lesson) -> Lesson:
        """The lesson with the embeddings that the tail's head stands on: the same ones where they are the same."""
        fresh = Tail(self.network.chain, self.start, 1, 1)
        some = np.arange(min(8, len(given.y)))
        probe = self._embeddings(fresh, some)
        wanted = given.x[some]
        if probe.shape == wanted.shape and np.abs(probe - wanted).max() <= CLOSE * np.abs(wanted).max():
            return given
        return replace(given, x=self._embeddings(fresh, np.arange(len(given.y))))

    def tail(self, head: Head) -> Tail:
        """A tail that says what the head says, as long as it is not trained."""
        found = Tail(self.network.chain, self.start, *head.weights.shape)
        found.wear(head)
        return found

    def _embeddings(self, tail: Tail, rows: NDArray[np.intp]) -> Floats:
        parts = answers(Embedding(tail), self.inputs, rows, where=self.where)
        return np.concatenate([found.numpy() for (found,) in parts])


@dataclass(frozen=True, eq=False)
class Unseen:
    """What the tails said of labels that they did not see: after the epochs chosen, and calibrated.

    `epochs` is the number that is best for all folds together. `proba` (n, C) is honest: the epochs and the temperature
    of a fold are chosen by the others. `temperature` is for a tail that is trained on all labels for `epochs`.
    """

    proba: Floats
    epochs: int
    temperature: float


def cross_validated(attempt: Attempt, given: Lesson, folder: Path, report: Progress | None = None) -> Unseen:
    """Train a tail for each fold on the labels outside it, and ask it about those inside.

    The state of each is kept in `folder`: a run that was killed goes on.
    """
    weights, runs = item_weights(given.y, given.classes), []
    for number, head in enumerate(given.heads()):
        runs.append(
            fit(
                attempt.tail(head),
                attempt.inputs,
                given.y,
                rows=np.flatnonzero(given.fold != number),
                validation=np.flatnonzero(given.fold == number),
                weights=weights,
                plan=attempt.plan,
                seed=given.seed,
                where=attempt.where,
                checkpoint=folder / f"{attempt.name}, fold {number}.safetensors",
                report=told(report, f"Training {attempt.name}, fold {number + 1} of {given.folds}", attempt.plan),
            ).logits
        )
    return chosen(runs, given)


def chosen(runs: Sequence[Sequence[Floats]], given: Lesson) -> Unseen:
    """Choose the epochs and the temperature; `runs` are the logits of each fold's labels after each epoch."""
    held = [np.flatnonzero(given.fold == number) for number in range(given.folds)]
    losses = np.array([[_loss(one, given.y[rows]) for one in run] for run, rows in zip(runs, held, strict=True)])
    every = int(losses.sum(axis=0).argmin())
    found = np.empty((len(given.y), given.classes), np.float32)
    for number, rows in enumerate(held):
        epoch = int(np.delete(losses, number, axis=0).sum(axis=0).argmin())
        others = [at for at in range(given.folds) if at != number]
        heat = _temperature([runs[at][epoch] for at in others], [given.y[held[at]] for at in others])
        found[rows] = softmax(runs[number][epoch] / heat)
    heat = _temperature([run[every] for run in runs], [given.y[rows] for rows in held])
    return Unseen(found, every + 1, heat)


def softmax(logits: Floats) -> Floats:
    """(n, C) -> (n, C), rows sum to 1."""
    found = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(found / found.sum(axis=1, keepdims=True))


def _loss(logits: Floats, y: NDArray[np.intp]) -> float:
    """The mean log loss, calibrated: an epoch is not to blame for what a temperature mends."""
    of_label = softmax(logits / fit_temperature(logits, y))[np.arange(len(y)), y]
    return float(-np.log(np.maximum(of_label, 1e-9)).mean())


def _temperature(logits: Sequence[Floats], y: Sequence[NDArray[np.intp]]) -> float:
    return fit_temperature(np.concatenate(logits), np.concatenate(y))


def told(report: Progress | None, what: str, plan: Plan) -> Callable[[int, float, float | None], None] | None:
    """What tells a person how far a run is, in epochs."""
    return None if report is None else lambda done, _loss, _held: report(what, done, plan.most)
