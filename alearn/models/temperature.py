"""Calibration: one number that makes a model's probabilities as sure as it is right.

Invariant: a temperature changes no answer and no order within an item, only how sure the answer is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BOUNDS = (0.25, 4.0)
"""What a temperature may be: outside, the labels are too few or too strange to be believed."""

LEAST = 200
"""Labels below which nothing is calibrated: measured, fewer make the calibration error larger as often as smaller."""

LEAST_PER_CLASS = 3


def fit_temperature(logits: NDArray[np.floating[Any]], y: NDArray[np.integer[Any]]) -> float:
    """The temperature T at which softmax(logits / T) has the least log loss; in BOUNDS, above 1 = less sure.

    `logits` (n, C) must be those of items that the model was not trained on, `y` (n,) are their class numbers. 1 where
    there are fewer than LEAST labels or LEAST_PER_CLASS for a class, labels of one class only, or a logit that is not
    finite.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """
    if len(y) < max(LEAST, LEAST_PER_CLASS * logits.shape[1]) or len(np.unique(y)) < 2 or not np.isfinite(logits).all():
        return 1.0
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    own = wide[np.arange(len(y)), y].mean()
    # The loss is convex in 1 / T: its slope rises, and is zero where the loss is least.
    low, high = 1 / BOUNDS[1], 1 / BOUNDS[0]
    for _ in range(30):
        middle = (low + high) / 2
        p = np.exp(wide * middle)
        slope = ((p * wide).sum(axis=1) / p.sum(axis=1)).mean() - own
        low, high = (low, middle) if slope > 0 else (middle, high)
    return float(2 / (low + high))
