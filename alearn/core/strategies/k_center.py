"""k-center: each pick is the item farthest from everything that is labeled or picked.

The greedy picks are exact, yet most of them do not read the pool. The few thousand farthest items are set apart, and
the distance `bar` of the nearest of these is kept. Distances only shrink as picks are made, so nothing outside can be
farther than `bar`: as long as the farthest item set apart is, it is the farthest of all. When none is left, one pass
of matrix products brings the whole pool up to date.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alearn.core.geometry import NOISE, Floats, Matrix, blocks, nearest, spread, squared_norms, take
from alearn.core.pool import Pool

APART = 2048
"""Items set apart: more of them mean fewer passes over the pool, and more work for each pick."""
SAMPLE = 16_384
"""Rows from which the mean of the pool is taken."""


def k_center(pool: Pool, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The greedy 2-approximation of the k-center problem over `embeddings`, by Euclidean distance.

    With nothing labeled the first pick is the item nearest to the mean. Items that coincide with a labeled or picked
    one come last, in random order. Good with many labels; with few it asks about outliers.

    Raises:
        StrategyError: an embedding is not finite.
    Source: Gonzalez 1985; Sener & Savarese, ICLR 2018.
    """
    assert pool.embeddings is not None
    x, rows = pool.embeddings, pool.rows
    origin = take(x, rows[spread(len(rows), SAMPLE)]).mean(axis=0)
    gaps = np.full(len(rows), np.inf, np.float32)
    chosen: NDArray[np.intp] = np.empty(0, np.intp)
    centers: NDArray[np.intp] = np.flatnonzero(pool.labeled)
    if not len(centers):
        chosen = centers = np.array([_central(x, rows, origin)])
    while len(chosen) < n:
        _shrink(gaps, x, rows, origin, take(x, centers) - origin)
        gaps[np.searchsorted(rows, chosen)] = -1
        picks = _farthest(gaps, x, rows, origin, n - len(chosen))
        if not len(picks):
            picks = rng.choice(rows[gaps >= 0], n - len(chosen), replace=False)
        chosen, centers = np.concatenate([chosen, picks]), picks
    return chosen


def _central(x: Matrix, rows: NDArray[np.intp], origin: Floats) -> int:
    """The row nearest to the origin."""
    gaps = np.concatenate([squared_norms(block - origin) for _, block in blocks(x, rows)])
    return int(rows[gaps.argmin()])


def _shrink(gaps: Floats, x: Matrix, rows: NDArray[np.intp], origin: Floats, centers: Floats) -> None:
    """Bring `gaps`, squared distances to the nearest center, up to date with new centers: one pass over the pool."""
    for part, block in blocks(x, rows):
        gaps[part] = np.minimum(gaps[part], nearest(block - origin, centers))


def _farthest(gaps: Floats, x: Matrix, rows: NDArray[np.intp], origin: Floats, n: int) -> NDArray[np.intp]:
    """The next greedy picks, best first: at most `n`, and as many as can be told without another pass.

    None when every row coincides with a center.
    """
    apart = np.argpartition(gaps, -APART)[-APART:] if len(gaps) > APART else np.arange(len(gaps))
    near, left = take(x, rows[apart]) - origin, gaps[apart]
    bar = max(float(left.min()), 0.0) if len(gaps) > APART else 0.0
    norms, chosen = squared_norms(near), list[int]()
    while len(chosen) < n and left[at := int(left.argmax())] >= bar and left[at] > 0:
        chosen.append(at)
        reach = norms + norms[at] - 2 * (near @ near[at])
        reach[reach < NOISE * norms] = 0
        np.minimum(left, reach, out=left)
        left[at] = -1
    return rows[apart[chosen]]
