"""k-center: each pick is the item farthest from everything that is labeled or picked.

The greedy picks are exact, yet few distances are computed. The distance of an item to the nearest center only shrinks
as centers are added, so the distance to the nearest of *some* centers is an upper bound. Every item has such a bound,
from a few labeled items that lie far apart; those with the largest bounds are brought up to date, until the largest
distance that is known exactly is not below any bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alearn.core.geometry import NOISE, Floats, Matrix, blocks, nearest, spread, squared_norms, take
from alearn.core.pool import Pool

PIVOTS = 256
"""Labeled items from which every row's first bound is."""
HAND = 2048
"""Rows at hand, at most: more of them mean fewer passes over the bounds, and more work for each pick."""
LEAST = 256
"""Rows at hand, at least."""
WIDE = 4
"""Times the rows at hand: how many are brought up to date at once."""
SAMPLE = 16_384
"""Rows from which the mean of the pool is taken."""


def k_center(pool: Pool, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The greedy 2-approximation of the k-center problem over `embeddings`, by Euclidean distance.

    With nothing labeled the first pick is the item nearest to the mean. Items that coincide with a labeled or picked
    one come last, in random order. With costs, squared distances count by the second. Good with many labels; with few
    it asks about outliers.

    Raises:
        StrategyError: an embedding is not finite.
    Source: Gonzalez 1985; Sener & Savarese, ICLR 2018.
    """
    assert pool.embeddings is not None
    x, rows = pool.embeddings, pool.rows
    origin = take(x, rows[spread(len(rows), SAMPLE)]).mean(axis=0)
    labeled = np.flatnonzero(pool.labeled)
    chosen = list[int]()
    if not len(labeled):
        chosen = [_central(x, rows, origin)]
        labeled = rows[chosen]
    worth = pool.per_second(np.ones(len(rows), np.float32), rows)
    centers = _far_apart(take(x, labeled) - origin, min(PIVOTS, len(labeled)))
    front = _Front(_Rows(x, rows, origin, worth), centers, n)
    front.bounds[chosen] = -1
    while len(chosen) < n and (at := front.farthest()) >= 0:
        chosen.append(at)
    left = np.setdiff1d(np.arange(len(rows)), chosen) if len(chosen) < n else np.empty(0, np.intp)
    order = np.concatenate([np.array(chosen, np.intp), rng.permutation(left)[: n - len(chosen)]])
    picks: NDArray[np.intp] = rows[order]
    return picks


def _central(x: Matrix, rows: NDArray[np.intp], origin: Floats) -> int:
    """The place among the rows of the one nearest to the origin."""
    return int(np.concatenate([squared_norms(block - origin) for _, block in blocks(x, rows)]).argmin())


def _far_apart(centers: Floats, count: int) -> Floats:
    """The centers, `count` of them that lie far apart first: the farthest each time."""
    first, norms = [0], squared_norms(centers)
    gaps = np.full(len(centers), np.inf, np.float32)
    while len(first) < count:
        gaps = np.minimum(gaps, norms + norms[first[-1]] - 2 * (centers @ centers[first[-1]]))
        gaps[first] = -1
        first.append(int(gaps.argmax()))
    rest = np.setdiff1d(np.arange(len(centers)), first)
    return np.concatenate([centers[first], centers[rest]])


@dataclass(frozen=True, eq=False)
class _Rows:
    """The `rows` of `x` that may be picked, seen from an `origin`, and what a squared distance is worth for each."""

    x: Matrix
    rows: NDArray[np.intp]
    origin: Floats
    worth: Floats

    def reach(self, some: NDArray[np.intp], centers: Floats) -> Floats:
        """Squared distance times worth from some of the rows (their places, increasing) to the nearest center."""
        found = np.empty(len(some), np.float32)
        for part, block in blocks(self.x, self.rows[some]):
            found[part] = nearest(block - self.origin, centers)
        found *= self.worth[some]
        return found


class _Front:
    """How far the rows are from the nearest center: bounds for all, exactly for a few thousand at hand.

    `bounds` (rows,), squared distances times worth, take into account the first `seen` (rows,) centers; -1: picked.
    """

    def __init__(self, of: _Rows, centers: Floats, picks: int) -> None:
        self._of, size = of, len(of.rows)
        self._centers = np.concatenate([centers, np.empty((picks, of.x.shape[1]), np.float32)])
        self._count, pivots = len(centers), min(PIVOTS, len(centers))
        self._seen = np.full(size, pivots)
        self.bounds = of.reach(np.arange(size), centers[:pivots])
        self._few = min(size, max(LEAST, min(HAND, 4 * picks)))
        self._refill()

    def farthest(self) -> int:
        """The place of the farthest row, which becomes a center; -1: every row coincides with one."""
        if float(self._left.max()) < self._bar:
            self.bounds[self._hand], self._seen[self._hand] = self._left, self._count
            self._refill()
        at = int(self._left.argmax())
        if self._left[at] <= 0:
            return -1
        reach = self._norms + self._norms[at] - 2 * (self._near @ self._near[at])
        reach[reach < NOISE * self._norms] = 0
        np.minimum(self._left, reach * self._of.worth[self._hand], out=self._left)
        self._left[at] = -1
        self._centers[self._count] = self._near[at]
        self._count += 1
        return int(self._hand[at])

    def _refill(self) -> None:
        """Take the farthest rows into the hand, after so many were brought up to date that these are known exactly."""
        while True:
            wide = _largest(self.bounds, WIDE * self._few)
            behind = wide[self._seen[wide] < self._count]
            hand = wide[_largest(self.bounds[wide], self._few)]
            if not np.isin(hand, behind).any():
                break
            self._update(np.sort(behind))
        self._hand = np.sort(hand)
        self._near = take(self._of.x, self._of.rows[self._hand]) - self._of.origin
        self._norms, self._left = squared_norms(self._near), self.bounds[self._hand]
        self._bar = float(self._left.min()) if len(hand) < len(self.bounds) else 0.0

    def _update(self, behind: NDArray[np.intp]) -> None:
        """Bring the bounds of some rows, increasing, up to date."""
        centers = self._centers[int(self._seen[behind].min()) : self._count]
        self.bounds[behind] = np.minimum(self.bounds[behind], self._of.reach(behind, centers))
        self._seen[behind] = self._count


def _largest(values: Floats, count: int) -> NDArray[np.intp]:
    """The places of the largest values, in any order; all where there are not so many."""
    if count >= len(values):
        return np.arange(len(values))
    found: NDArray[np.intp] = np.argpartition(values, -count)[-count:]
    return found
