"""Drawing a sample with unequal odds, a little at a time, and what each of the drawn then stands for.

Every item has a place in [0, top), drawn once and for ever (from a hash). With odds o it is drawn as soon as the
sample reaches so far that place <= reach * o. The odds may change while the sample grows: what the odds of before have
reached stays reached, so an item's chance is the largest that it ever had. Drawn evenly all the time, this is a simple
random sample.

Invariant: a chance follows from odds and reaches alone, never from the item's own place or label, so that weighting by
its inverse is unbiased; a sample that is let grow keeps what it has.

Source: Duffield, Lund & Thorup, Priority Sampling for Estimation of Arbitrary Subset Sums, JACM 2007; Ohlsson,
Sequential Poisson Sampling, 1998, for permanent random numbers; Horvitz & Thompson 1952 and Hájek 1971 for the weights.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

NEAR = 1e-9
"""What is so close to a limit, as a share of it, lies on it: place / odds * odds need not be the place again."""


def reached(order: ArrayLike, drawn: ArrayLike) -> float:
    """How far a sample has reached: to the first item behind the last drawn; > 0, infinite where there is none.

    `order` (n,) are place / odds, `drawn` (n,) says which are in the sample. 0 where nothing is drawn. Of items with
    the last drawn's place, those of its group, some may be left: then it has reached no further than there.
    """
    at, taken = np.asarray(order, dtype=np.float64), np.asarray(drawn, dtype=bool)
    if not taken.any():
        return 0.0
    behind = at[~taken & (at >= at[taken].max())]
    return float(behind.min()) if len(behind) else math.inf


def limits(odds: ArrayLike, reach: float, before: ArrayLike = 0.0, *, top: float = 1.0) -> Floats:
    """Up to which place each item is drawn, in [0, top]: (n,), of `odds` (n,) and the limits of `before` (n,)."""
    now = np.asarray(odds, dtype=np.float64)
    far = np.full(now.shape, top) if math.isinf(reach) else np.minimum(reach * now, top)
    found: Floats = np.maximum(np.asarray(before, dtype=np.float64), far)
    return found


def passed(place: ArrayLike, limit: ArrayLike) -> NDArray[np.bool_]:
    """Whether the drawing has gone past these places, (n,), so that what was there is drawn; not where it stopped."""
    at, far = np.asarray(place, dtype=np.float64), np.asarray(limit, dtype=np.float64)
    found: NDArray[np.bool_] = at < far * (1 - NEAR)
    return found


def weights(place: ArrayLike, limit: ArrayLike, *, top: float = 1.0) -> Floats:
    """For how much each of a sample (n,) counts, mean 1: the inverse of its chance, `limit` / `top`.

    What lies beyond its limit was not drawn but is there for some other reason; it stands for itself alone.
    """
    at, far = np.asarray(place, dtype=np.float64), np.asarray(limit, dtype=np.float64)
    if not len(at):
        return np.empty(0)
    inverse = np.where(at <= far * (1 + NEAR), top / np.maximum(far, np.finfo(np.float64).tiny), 1.0)
    found: Floats = inverse / inverse.mean()
    return found


def worth(contributions: ArrayLike, weights: ArrayLike) -> float:
    """As many evenly drawn items as one of these tells as much as; > 0, 1 for equal weights, NaN where that is unknown.

    The variance of a mean of `contributions` (n,) (see `influence.contributions`) under `weights` (n,), mean 1, beside
    that of an even sample of the same size. Below 1: the odds were wrong about what decides the metric.
    """
    added, weight = np.asarray(contributions, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    apart = (added - added.mean()) / weight if len(added) else added
    even, ours = float(weight @ apart**2), float((weight * apart) @ (weight * apart))
    return even / ours if ours > 0 else math.nan
