"""k-means++ draws: points far apart, each drawn with a probability proportional to its distance to those before.

The squared distances to the nearest point drawn only shrink. So old ones are an upper bound: a point proposed by them,
and accepted with the probability new / old, is a draw by the new ones, exactly, and the new distance of the proposed
points alone has to be computed. All are brought up to date, one pass, when as much was spent on proposals as that
costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

PROPOSALS = 256
"""Points proposed at once."""

Rows = NDArray[np.intp]
Distances = NDArray[np.floating[Any]]


class Points(Protocol):
    """Points between which squared distances can be told, those below rounding as 0."""

    def __len__(self) -> int: ...

    def apart(self, some: Rows, others: Rows) -> Distances:
        """Squared distances between some points and others, (some, others)."""
        ...

    def nearest(self, centers: Rows) -> Distances:
        """The squared distance of every point to the nearest of the centers, (n,): a pass over all of them."""
        ...


def plus_plus(points: Points, first: int, n: int, rng: np.random.Generator, worth: Distances | None = None) -> Rows:
    """`first`, and n - 1 points drawn after it; n <= len(points), shape (n,), in the order of drawing.

    A point's probability is proportional to its squared distance to the nearest point drawn before, times its `worth`
    (len(points),), none: 1. Points that coincide with one that was drawn come last, in random order.

    Source: Arthur & Vassilvitskii, k-means++, SODA 2007; the rejection: Cohen-Addad et al., NeurIPS 2020.
    """
    chosen, bounds = [first], _bounds(points, None, [first])
    while len(chosen) < n and bounds.any():
        drawn = _drawn(points, bounds, bounds if worth is None else bounds * worth, n - len(chosen), rng)
        chosen += drawn
        if len(chosen) < n:
            bounds = _bounds(points, bounds, drawn)
    left = np.setdiff1d(np.arange(len(points)), chosen) if len(chosen) < n else np.empty(0, np.intp)
    return np.concatenate([np.array(chosen, np.intp), rng.permutation(left)[: n - len(chosen)]])


def _bounds(points: Points, before: Distances | None, centers: Sequence[int]) -> Distances:
    """The squared distances to the nearest center, those to the centers before given."""
    found = points.nearest(np.array(centers, np.intp)).astype(np.float64)
    if before is not None:
        np.minimum(found, before, out=found)
    found[list(centers)] = 0
    return found


def _drawn(points: Points, bounds: Distances, weights: Distances, wanted: int, rng: np.random.Generator) -> list[int]:
    """Draws, at least one and at most `wanted`: until as much was spent as a pass for them would cost."""
    upto = np.cumsum(weights)
    drawn, spent = list[int](), 0
    while len(drawn) < wanted and spent <= len(points) * len(drawn):
        rows = np.searchsorted(upto, rng.random(PROPOSALS) * upto[-1], side="right")
        bar = rng.random(PROPOSALS) * bounds[rows]
        gaps = bounds[rows]
        if drawn:
            gaps = np.minimum(gaps, points.apart(rows, np.array(drawn)).min(axis=1))
            gaps[np.isin(rows, drawn)] = 0
        among, at = points.apart(rows, rows), -1
        while len(drawn) < wanted and (at := _next(bar < gaps, at)) >= 0:
            drawn.append(int(rows[at]))
            gaps = np.minimum(gaps, among[:, at])
            gaps[rows == rows[at]] = 0
        spent += PROPOSALS * (len(drawn) + PROPOSALS)
    return drawn


def _next(passes: NDArray[np.bool_], after: int) -> int:
    """The first place behind `after` that passes; -1: none."""
    rest = passes[after + 1 :]
    at = int(rest.argmax()) if len(rest) else 0
    return after + 1 + at if len(rest) and rest[at] else -1
