"""What each item adds to a metric, so that two looks at the same items can be compared item by item.

Invariant: the mean of what all items add is the metric, as far as it is smooth in their weights.

Source: Hampel, The Influence Curve and Its Role in Robust Estimation, 1974; Efron's infinitesimal jackknife, 1982.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alearn.core.metrics import METRICS, Metric

STEP = 1e-4
"""By how much of itself an item's weight is moved."""
CELLS = 1 << 22
"""Weights held at once."""


def contributions(
    y: ArrayLike,
    proba: ArrayLike,
    metric: str | Metric,
    *,
    positive: int | None = None,
    weights: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """What each of the labels `y` (n,) in [0, C) adds to the metric of `proba` (n, C), (n,); NaN where it has none.

    For accuracy 1 where the likeliest class is the label, and 0 where it is not. `positive` is the class that a metric
    about one class is about. `weights` (n,), mean 1, say for how much each item counts; none: all the same.

    Raises:
        KeyError: `metric` is not in METRICS.
    """
    rule = METRICS[metric] if isinstance(metric, str) else metric
    labels, p = np.asarray(y, dtype=np.intp), np.asarray(proba)
    count = len(labels)
    each = np.ones(count) if weights is None else np.asarray(weights, dtype=np.float64)
    value = rule.compute(labels, p, positive, each)
    found = np.empty(count)
    at_once = max(1, CELLS // max(count, 1))
    for start in range(0, count, at_once):
        some = np.arange(start, min(start + at_once, count))
        moved = np.repeat(each[:, None], len(some), axis=1)
        moved[some, np.arange(len(some))] *= 1 + STEP
        found[some] = value + count * (rule.weighted(labels, p, moved, positive) - value) / STEP
    return found
