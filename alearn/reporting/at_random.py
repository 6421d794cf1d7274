"""What the labels would have taught that were drawn at random, beside those that the loop chose.

Random labels are there: the hold-out, and what the guard drew. Heads learn from nested draws of them, five folds of the
hold-out each judged by heads that saw nothing of it, and from the loop's own labels in the order in which they were
asked for. Both kinds answer the same hold-out items, on the same features, so that the difference is the choice alone.

Invariant: no head is judged on an item of a group that it saw; nothing that is trained here outlives the comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from alearn.core.metrics import METRICS
from alearn.models import fit_head
from alearn.models.folds import deal

Floats = NDArray[np.float64]

FOLDS = 5
DRAWS = 2
"""Random orders of the random labels, to be averaged."""
SIZES = 8
RESAMPLES = 1000
FEWEST = 40
"""Hold-out labels below which a comparison tells nothing."""
SMALLEST = 20
"""Labels from which on the curves are compared, and of which there must be more."""


@dataclass(frozen=True, eq=False)
class Lot:
    """Labeled items: features (n, D), classes (n,), and the group of each."""

    x: NDArray[np.float32]
    y: NDArray[np.intp]
    groups: Sequence[str]


@dataclass(frozen=True, eq=False)
class Curves:
    """The metric at `labels` (S,) after `chosen` and after `random` labels, each (S, 1 + R): as it is, and resampled.

    `whole` (1 + R,) is the metric after all `spent` chosen labels.
    """

    labels: NDArray[np.intp]
    chosen: Floats
    random: Floats
    whole: Floats
    spent: int


@dataclass(frozen=True)
class Question:
    """What the heads are asked: so many `classes`, judged by a metric, about the class `positive`."""

    classes: int
    metric: str
    positive: int | None
    seed: int
    tell: Callable[[int, int], None] = field(default=lambda done, total: None)


def compared(chosen: Lot, drawn: Lot, more: Lot, question: Question, rng: np.random.Generator) -> Curves | None:
    """Both curves on the hold-out `drawn`; `more` are other random labels. None: there are too few labels to tell.

    `chosen` come in the order in which they were asked for.
    """
    top = min(len(chosen.y), (FOLDS - 1) * len(drawn.y) // FOLDS + len(more.y))
    if len(drawn.y) < FEWEST or top <= SMALLEST:
        return None
    sizes = np.unique(np.geomspace(SMALLEST, top, SIZES).round().astype(np.intp))
    total = len(sizes) * (1 + DRAWS * FOLDS) + 1
    fit = _Fits(question, drawn, total)
    weights = _weights(drawn.groups, rng)
    ours = [fit(chosen, np.arange(size))(drawn.x) for size in [*sizes, len(chosen.y)]]
    curve = np.array([fit.judged(proba, weights) for proba in ours])
    theirs = np.zeros_like(curve[:-1])
    for _ in range(DRAWS):
        fold, order = deal(drawn.y, drawn.groups, FOLDS, rng), rng.permutation(len(drawn.y) + len(more.y))
        theirs += np.array([fit.judged(fit.crossed(more, fold, order, size), weights) for size in sizes]) / DRAWS
    return Curves(sizes, curve[:-1], theirs, curve[-1], len(chosen.y))


class _Fits:
    """Fits heads and counts them."""

    def __init__(self, question: Question, drawn: Lot, total: int) -> None:
        self._asked, self._drawn, self._total, self._done = question, drawn, total, 0
        self._strength: dict[int, float] = {}

    def __call__(self, lot: Lot, rows: NDArray[np.intp]) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
        """A head of these rows; the L2 strength is chosen once for each number of them."""
        strength = self._strength.get(len(rows))
        temperature = None if strength is None else 1.0
        asked = self._asked
        head = fit_head(
            lot.x[rows], lot.y[rows], asked.classes, seed=asked.seed, strength=strength, temperature=temperature
        )
        self._strength[len(rows)] = head.strength
        self._done += 1
        asked.tell(self._done, self._total)
        return head.proba

    def crossed(self, more: Lot, fold: NDArray[np.intp], order: NDArray[np.intp], size: int) -> NDArray[np.float32]:
        """What heads on so many random labels say of the hold-out, each fold by one that did not see it: (n, C)."""
        drawn = self._drawn
        both = Lot(np.concatenate([drawn.x, more.x]), np.concatenate([drawn.y, more.y]), [])
        found = np.empty((len(drawn.y), self._asked.classes), dtype=np.float32)
        for held in (np.flatnonzero(fold == number) for number in range(FOLDS)):
            seen = order[~np.isin(order, held)]
            found[held] = self(both, seen[:size])(drawn.x[held])
        return found

    def judged(self, proba: NDArray[np.float32], weights: Floats) -> Floats:
        """The metric under each weighting of the hold-out, (R,)."""
        return METRICS[self._asked.metric].weighted(self._drawn.y, proba, weights, self._asked.positive)


def _weights(groups: Sequence[str], rng: np.random.Generator) -> Floats:
    """A column of ones, and Bayesian bootstrap weights over groups: (n, 1 + R)."""
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    draws = rng.standard_exponential((int(group.max()) + 1, RESAMPLES))
    return np.concatenate([np.ones((len(group), 1)), draws[group]], axis=1)


@dataclass(frozen=True, eq=False)
class Saved:
    """The labels that chosen and random ones take to the same `level`, each (1 + R,): as it is, and resampled."""

    level: Floats
    chosen: Floats
    random: Floats


def saved(curves: Curves) -> Saved:
    """How many labels each kind takes to the highest level that both reach."""
    ours, theirs = rising(curves.chosen), rising(curves.random)
    level = np.minimum(ours[-1], theirs[-1])
    return Saved(level, reached(curves.labels, ours, level), reached(curves.labels, theirs, level))


def rising(values: Floats) -> Floats:
    """The nearest curves that never fall, (S, R) -> (S, R): isotonic regression, by its min-max formula.

    Source: Barlow et al., Statistical Inference under Order Restrictions, 1972.
    """
    count = len(values)
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(np.nan_to_num(values), axis=0)])
    found = np.empty_like(values)
    for at in range(count):
        lowest = [
            np.min([(sums[end + 1] - sums[start]) / (end + 1 - start) for end in range(at, count)], axis=0)
            for start in range(at + 1)
        ]
        found[at] = np.max(lowest, axis=0)
    return found


def reached(labels: NDArray[np.intp], curves: Floats, level: Floats) -> Floats:
    """At how many labels (R,) curves (S, R) that never fall reach their level (R,), between points by a straight line.

    The first number of labels where a curve begins above its level.
    """
    first = (curves >= level - 1e-12).argmax(axis=0)
    before, column = np.maximum(first - 1, 0), np.arange(curves.shape[1])
    low, high = curves[before, column], curves[first, column]
    part = np.divide(level - low, high - low, out=np.ones_like(level), where=high - low > 1e-12)
    found: Floats = labels[before] + np.where(first > 0, part, 0.0) * (labels[first] - labels[before])
    return found
