"""k-means over embeddings that may be larger than memory: centers from a sample, then one pass to assign all.

Invariant: the same rows and `rng` give the same clusters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alearn.core.geometry import NOISE, Floats, Matrix, blocks, nearest, squared_norms, take
from alearn.core.seeding import Rows, plus_plus

SAMPLE = 64
"""Rows per cluster that centers are computed from, at most."""
STEPS = 8
"""Of Lloyd's algorithm, at most."""


class _Points:
    """The rows of a matrix in memory, as `plus_plus` takes them."""

    def __init__(self, x: Floats) -> None:
        self._x, self._norms = x, squared_norms(x)

    def __len__(self) -> int:
        return len(self._x)

    def apart(self, some: Rows, others: Rows) -> Floats:
        """Squared distances, (some, others)."""
        found = -2 * (self._x[some] @ self._x[others].T)
        found += self._norms[some][:, None]
        found += self._norms[others]
        found[found < NOISE * self._norms[some][:, None]] = 0
        return found

    def nearest(self, centers: Rows) -> Floats:
        """Squared distance of each to the nearest of the centers."""
        return nearest(self._x, self._x[centers])


def kmeans(x: Floats, k: int, rng: np.random.Generator, weights: Floats | None = None) -> Floats:
    """At most k centers (k, D) of the rows of `x` (n, D), by Lloyd's algorithm from k-means++ draws.

    `weights` (n,) say how much each row counts; none: all the same. Fewer centers where fewer rows differ. Not
    scikit-learn's, which took ten times as long for 500 clusters of 1,280 numbers.
    """
    first = int(rng.integers(len(x)))
    centers = np.unique(x[plus_plus(_Points(x), first, min(k, len(x)), rng)], axis=0)
    heft = np.ones(len(x), np.float32) if weights is None else weights
    before = None
    for _ in range(STEPS):
        of_row = closest(x, centers)
        if before is not None and (before == of_row).all():
            break
        before = of_row
        centers = _means(x, heft, of_row, centers)
    return centers


def _means(x: Floats, heft: Floats, of_row: NDArray[np.intp], before: Floats) -> Floats:
    """The weighted mean of each cluster's rows; its center `before` where it has none."""
    found, order = before.copy(), np.argsort(of_row, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(of_row[order])) + 1):
        mass = heft[rows].sum()
        if mass > 0:
            found[of_row[rows[0]]] = heft[rows] @ x[rows] / mass
    return found


def clusters(
    x: Matrix, rows: NDArray[np.intp], k: int, rng: np.random.Generator, *, directions: bool = True
) -> tuple[NDArray[np.intp], Floats]:
    """The cluster of each of the rows (increasing) of `x` (N, D), (rows,) in [0, k), and the centers (k, D).

    `directions`: of the rows scaled to length 1.

    Raises:
        StrategyError: an embedding is not finite.
    """
    some = rows if len(rows) <= SAMPLE * k else np.sort(rng.choice(rows, SAMPLE * k, replace=False))
    sample = take(x, some)
    centers = kmeans(scaled(sample) if directions else sample, k, rng)
    found = np.empty(len(rows), np.intp)
    for part, block in blocks(x, rows):
        found[part] = closest(scaled(block.copy()) if directions else block, centers)
    return found, centers


def closest(x: Floats, centers: Floats) -> NDArray[np.intp]:
    """The number of the center (m, D) nearest to each row of `x` (n, D)."""
    products = x @ centers.T
    products -= squared_norms(centers) / 2
    found: NDArray[np.intp] = products.argmax(axis=1)
    return found


def scaled(x: Floats) -> Floats:
    """The rows scaled to length 1, in place; a zero vector stays one."""
    lengths = np.sqrt(squared_norms(x))
    x /= np.where(lengths > 0, lengths, 1)[:, None]
    return x
