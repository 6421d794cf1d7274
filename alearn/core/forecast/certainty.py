"""What has to be measured until a lower bound passes a target: a loop stops by the bound, not by the metric.

A metric is taken for a share of independent items: of as many as explain its bound today, and of more in proportion as
the hold-out has more labels. For the accuracy of single items these are the items, and the bound is the exact one; for
items in groups, or a metric that few items decide, they are fewer. So a width shrinks about with the root of the
labels, and towards 1 as the width of a share does.

Invariant: what has to be measured is not below the target, and more hold-out labels never ask for more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alearn.core.estimation import Interval, labels_to_pass, lower_bound

Floats = NDArray[np.float64]

MOST = 1e7
"""Independent items that no metric is worth more than."""
STEPS = 32


def worth(interval: Interval, *, confidence: float) -> float:
    """How many independent items explain a metric's bound: a share of `value` of them has the exact bound `low`.

    `confidence` is that of `low`, one-sided, in [0.5, 1). The number of labels where value or bound say nothing: not
    known, or at an end.
    """
    value, low = interval.value, interval.low
    if not interval.known or not 0 < low < value:
        return float(interval.n)
    found = _least(lambda m: _bound(value, np.exp(m), confidence) >= low, math.log(0.1), math.log(MOST))
    return math.exp(float(found))


def level_to_pass(interval: Interval, target: float, holdout: ArrayLike, *, confidence: float) -> Floats:
    """What a metric has to measure on `holdout` labels, of any shape, so that its lower bound is at least `target`.

    In [target, 1]; infinite where even a metric of 1 would not do on so few labels. `interval` is what was measured
    last, on `interval.n` labels, with the one-sided `confidence` of its bound.
    """
    items = np.asarray(holdout, dtype=np.float64) * (worth(interval, confidence=confidence) / max(interval.n, 1))
    level = _least(lambda value: _bound(value, items, confidence) >= target, np.full(items.shape, target), 1.0)
    found: Floats = np.where(_bound(1.0, items, confidence) >= target, level, math.inf)
    return found


def holdout_to_pass(interval: Interval, value: float, target: float, *, confidence: float) -> int | None:
    """About how many hold-out labels, those there are included, it takes until `value` is certain; None: no number.

    `interval` and `confidence` as in `level_to_pass`. None where `value` is not above the target.
    """
    items = labels_to_pass(value, target, confidence=confidence)
    return None if items is None else math.ceil(items * interval.n / worth(interval, confidence=confidence))


@dataclass(frozen=True)
class Growth:
    """A hold-out that grows with the labels that are trained on: `rate` of all labels, in [0, 1], up to `most`.

    `interval` is what it measured last, with the one-sided `confidence` of its bound.
    """

    interval: Interval
    confidence: float
    rate: float
    most: int

    def labels(self, training: ArrayLike) -> Floats:
        """Its labels when there are so many, at least one, to train on; never fewer than now."""
        share = self.rate / (1 - self.rate) if self.rate < 1 else math.inf
        grown = np.maximum(np.asarray(training, dtype=np.float64), 1) * share
        found: Floats = np.clip(np.floor(grown), self.interval.n, max(self.most, self.interval.n))
        return found

    def level(self, target: float, training: ArrayLike) -> Floats:
        """What has to be measured when there are so many labels to train on; see `level_to_pass`."""
        sizes, where = np.unique(self.labels(training), return_inverse=True)
        found = level_to_pass(self.interval, target, sizes, confidence=self.confidence)
        return found[where].reshape(np.shape(training))

    def missing(self, value: float, target: float, training: float) -> int:
        """How many labels more it takes until a metric of `value` is certain, at most those that it grows to now."""
        now, most = self.interval.n, int(self.labels(training))
        enough = holdout_to_pass(self.interval, value, target, confidence=self.confidence)
        return (most if enough is None else min(max(enough, now), most)) - now


def _bound(value: ArrayLike, items: ArrayLike, confidence: float) -> Floats:
    return lower_bound(np.multiply(value, items), items, confidence=confidence)


def _least(enough: Callable[[Floats], NDArray[np.bool_]], low: ArrayLike, high: float) -> Floats:
    """The least number in [low, high] that is enough, as every larger one is, and as `high` is taken to be."""
    below: Floats = np.asarray(low, dtype=np.float64)
    above: Floats = np.full(below.shape, high)
    for _ in range(STEPS):
        middle = (below + above) / 2
        fine = enough(middle)
        below, above = np.where(fine, below, middle), np.where(fine, middle, above)
    return above
