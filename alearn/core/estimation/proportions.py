"""Intervals of a share of independent items: how many of n were right.

`exact` never promises too much: its bounds hold at least as often as they say, and more often where n is small.
`wilson` is right on the average over shares, so it is the one to look at and not the one to stop by.

Invariant: 0 <= low <= value <= high <= 1; no item at all is NaN.

Source: Clopper & Pearson 1934; Wilson 1927; Brown, Cai & DasGupta, Interval Estimation for a Binomial Proportion, 2001.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alearn.core.estimation.interval import Interval, unknown


def exact(right: int, n: int, *, confidence: float = 0.95) -> Interval:
    """The share `right` / `n` with the interval of Clopper and Pearson at `confidence` in [0, 1)."""
    if n == 0:
        return unknown(0)
    one_sided = (1 + confidence) / 2
    low, low_of_wrong = lower_bound([right, n - right], n, confidence=one_sided).tolist()
    return Interval(right / n, min(low, right / n), max(1 - low_of_wrong, right / n), n)


def wilson(right: int, n: int, *, confidence: float = 0.95) -> Interval:
    """The share `right` / `n` with Wilson's score interval at `confidence` in [0, 1)."""
    if n == 0:
        return unknown(0)
    z, share = NormalDist().inv_cdf((1 + confidence) / 2), right / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(share, max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share)), n)


def lower_bound(right: ArrayLike, n: ArrayLike, *, confidence: float = 0.95) -> NDArray[np.float64]:
    """The exact one-sided lower bound of shares `right` / `n`, of any shapes that go together; [0, 1].

    The true share is below it with probability at most 1 - `confidence`. 0 where nothing was right, or seen.
    """
    from scipy.special import betaincinv

    hits, total = np.broadcast_arrays(np.asarray(right, dtype=np.float64), np.asarray(n, dtype=np.float64))
    bound = betaincinv(np.where(hits > 0, hits, 1), np.maximum(total - hits, 0) + 1, 1 - confidence)
    found: NDArray[np.float64] = np.where(hits > 0, bound, 0.0)
    return found
