"""LCMD: each pick is the farthest item of the cluster with the largest spread. For regression.

An item belongs to the cluster of the labeled or picked item nearest to it. k-center asks about the farthest item of
all, however lonely; here the sum of squared distances decides which cluster is asked about, so dense regions count.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alearn.core.geometry import NOISE, TILE, Floats, squared_norms, take
from alearn.core.pool import Pool

SAMPLE = 50_000
"""Rows that take part, at least; eight times the picks if that is more."""


def lcmd(pool: Pool, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The largest cluster's farthest item, again and again, by Euclidean distance over `embeddings`.

    Of a linear head these are the gradient features. With nothing labeled the first pick is the item nearest to the
    mean. Items that coincide with a labeled or picked one come last, in random order. With costs, the farthest item of
    a cluster is the one of most squared distance for a second.

    Raises:
        StrategyError: an embedding is not finite.
    Source: Holzmüller et al., A Framework and Benchmark for Deep Batch Active Learning for Regression, JMLR 2023.
    """
    assert pool.embeddings is not None
    rows = _some(pool.rows, max(SAMPLE, 8 * n), rng)
    x = take(pool.embeddings, rows)
    origin = x.mean(axis=0)
    x -= origin
    clusters, known = _Clusters(x), np.flatnonzero(pool.labeled)
    for start in range(0, len(known), TILE[1]):
        clusters.join(take(pool.embeddings, known[start : start + TILE[1]]) - origin)
    worth = pool.per_second(np.ones(len(rows), np.float32), rows)
    chosen = [] if pool.labeled.any() else [int(squared_norms(x).argmin())]
    for at in chosen:
        clusters.add(at)
    while len(chosen) < n and clusters.gaps.max() > 0:
        chosen.append(clusters.widest(worth))
        clusters.add(chosen[-1])
    left = np.setdiff1d(np.arange(len(rows)), chosen)
    return rows[np.concatenate([chosen, rng.choice(left, n - len(chosen), replace=False)]).astype(np.intp)]


def _some(rows: NDArray[np.intp], most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))


class _Clusters:
    """The items (m, D) by their nearest center: `gaps` are the squared distances to it."""

    def __init__(self, x: Floats) -> None:
        self._x, self._norms, self._count = x, squared_norms(x), 0
        self.gaps, self._of = np.full(len(x), np.inf, np.float32), np.zeros(len(x), np.intp)

    def join(self, centers: Floats) -> None:
        """Each item goes to the nearest of these new centers (k, D), if that is nearer than its own."""
        half = squared_norms(centers) / 2
        for start in range(0, len(self._x), TILE[0]):
            part = slice(start, start + TILE[0])
            tile = half - self._x[part] @ centers.T
            nearest = tile.argmin(axis=1)
            reach = 2 * tile[np.arange(len(tile)), nearest] + self._norms[part]
            reach[reach < NOISE * self._norms[part]] = 0
            nearer = reach < self.gaps[part]
            self.gaps[part][nearer], self._of[part][nearer] = reach[nearer], self._count + nearest[nearer]
        self._count += len(centers)

    def add(self, at: int) -> None:
        """Item `at` is a center from now on."""
        self.gaps[at], self._of[at] = 0, self._count
        self.join(self._x[at : at + 1])

    def widest(self, worth: Floats) -> int:
        """The item of most `gaps * worth` in the cluster with the largest sum of gaps."""
        sums = np.bincount(self._of, weights=self.gaps)
        inside = np.flatnonzero(self._of == sums.argmax())
        return int(inside[(self.gaps[inside] * worth[inside]).argmax()])
