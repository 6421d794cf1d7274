"""How sure we can be of a metric that was measured on few items.

The interval is a Bayesian bootstrap over groups (each resample weights the groups by exponential draws), with one
imagined group more: the worst that could come for the lower bound, the best for the upper. For the accuracy of single
items this is exactly the interval of Clopper and Pearson, so a hold-out of 30 right answers yields 0.905 and not 1.000;
for F1, AUROC and the rest it gives the same prudence where a percentile or BCa bootstrap, which can only repeat what it
has seen, certifies a target on luck. Weights that are never 0 also keep every class in every resample.

Invariant: low <= value <= high, or all three are NaN; items of a group are never taken for independent evidence.

Source: Rubin, The Bayesian Bootstrap, 1981; Gaffke 2005 and Learned-Miller & Thomas 2019 for the imagined observation;
Clopper & Pearson 1934.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alearn.core.metrics import METRICS, Labels, Metric, Proba, Values, Weights

CELLS = 1 << 22
"""Weights held at once."""
RARE = 4
"""Classes among which the worst and the best imagined item are looked for: one item weighs most in a rare class."""


@dataclass(frozen=True)
class Interval:
    """A metric on `n` items with its central interval; NaN where the items cannot decide it."""

    value: float
    low: float
    high: float
    n: int


def bootstrap(
    y: ArrayLike,
    proba: ArrayLike,
    groups: Sequence[Any] | NDArray[Any],
    metric: str,
    *,
    positive: int | None = None,
    confidence: float = 0.95,
    rng: np.random.Generator,
    resamples: int = 1000,
) -> Interval:
    """The metric of labels `y` (n,) in [0, C) and `proba` (n, C), with an interval that holds at `confidence` in [0, 1).

    `groups` (n,) name what was drawn together: items of a group count as one piece of evidence. Each bound leaves
    (1 - confidence) / 2 outside, so `low` alone is a lower bound at confidence (1 + confidence) / 2.

    Raises:
        KeyError: `metric` is not in METRICS.
    """
    rule, labels, p = METRICS[metric], np.asarray(y, dtype=np.intp), np.asarray(proba)
    value = rule.compute(labels, p, positive)
    if math.isnan(value):
        return Interval(math.nan, math.nan, math.nan, len(labels))
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    tail = (1 - confidence) / 2
    worst, best = _extremes(rule, labels, p, positive, group) if rule.bounded else (None, None)
    lows = _resampled(rule, labels, p, positive, group, worst, rng, resamples)
    highs = _resampled(rule, labels, p, positive, group, best, rng, resamples)
    low, high = np.quantile(lows, tail, method="lower"), np.quantile(highs, 1 - tail, method="higher")
    return Interval(value, min(float(low), value), max(float(high), value), len(labels))


Imagined = tuple[int, int]
"""An item that was not seen: its label, and the class it is predicted as with probability 1."""


def _extremes(
    rule: Metric, y: Labels, proba: Proba, positive: int | None, group: NDArray[np.intp]
) -> tuple[Imagined, Imagined]:
    """The imagined items that would lower, and raise, the metric most."""
    size = len(y) / (group.max() + 1)
    weights = np.append(np.ones(len(y)), size)[None]
    moved = {
        one: float(rule.weighted(*_with(one, y, proba), weights, positive)[0])
        for one in _imaginable(y, proba.shape[1], positive)
    }
    known = {one: value for one, value in moved.items() if not math.isnan(value)}
    return min(known, key=known.__getitem__), max(known, key=known.__getitem__)


def _imaginable(y: Labels, classes: int, positive: int | None) -> Iterator[Imagined]:
    """Every pair among the rarest classes that are labels, and the positive one."""
    counts = np.bincount(y, minlength=classes)
    order = np.argsort(np.where(counts > 0, counts, len(y) + 1), kind="stable")
    rare = dict.fromkeys([*order[:RARE].tolist(), *([] if positive is None else [positive])])
    return product(rare, rare)


def _with(one: Imagined, y: Labels, proba: Proba) -> tuple[Labels, Proba]:
    """The items and an imagined one after them."""
    row = np.zeros((1, proba.shape[1]), proba.dtype)
    row[0, one[1]] = 1
    return np.append(y, one[0]), np.concatenate([proba, row])


def _resampled(
    rule: Metric,
    y: Labels,
    proba: Proba,
    positive: int | None,
    group: NDArray[np.intp],
    imagined: Imagined | None,
    rng: np.random.Generator,
    resamples: int,
) -> Values:
    """The metric in each resample, (resamples,); in pieces, so that the weights of a large hold-out fit in memory."""
    size = len(y) / (group.max() + 1)
    if imagined is not None:
        y, proba = _with(imagined, y, proba)
    at_once = max(1, CELLS // len(y))
    counts = [min(at_once, resamples - start) for start in range(0, resamples, at_once)]
    values = [
        rule.weighted(y, proba, _weights(count, group, len(y) > len(group), size, rng), positive) for count in counts
    ]
    return np.concatenate(values)


def _weights(
    count: int, group: NDArray[np.intp], imagined: bool, size: float, rng: np.random.Generator
) -> Weights:
    """(count, items): an exponential draw for each group, shared by its items; the imagined item is a group of `size`."""
    draws = rng.standard_exponential((count, int(group.max()) + 1))
    weights = draws[:, group]
    if not imagined:
        return weights
    return np.concatenate([weights, size * rng.standard_exponential((count, 1))], axis=1)
