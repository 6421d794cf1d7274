"""ProbCover: each pick covers as many items as possible that nothing covers yet. For a cold start.

A labeled or picked item covers what is within `delta` of it, on the unit sphere. `delta` is as large as it can be with
95 % of all such balls holding items of one k-means cluster only, which stand in for the classes nobody knows yet.

Beyond a size, the candidates are a sample, and so is the rest of the pool that is to be covered: each of these counts
for its share. What covers what is then a matrix of bits that is bounded, however dense. What a candidate adds only
shrinks as picks are made, so an old gain is an upper bound, and few have to be computed anew for each pick.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from alearn.core.clustering import closest, kmeans, scaled
from alearn.core.geometry import TILE, Floats, nearest, squared_norms, take
from alearn.core.pool import Pool

CANDIDATES = 8192
"""Rows that may be picked at a time, at least; eight times the picks if that is more."""
OTHERS = 8192
"""Rows that stand for the rest of the pool."""
SLICE = 1024
"""Picks at a time: bounds the matrix of what covers what to 8 * SLICE by 8 * SLICE + OTHERS, 128 MiB."""
TRIES = 32
"""Candidates whose gain is computed at once."""
MEASURED = 4096
"""Rows that `delta` is measured on."""
CLUSTERS = 10
"""How many classes to expect where there is no model to tell."""
PURITY = 0.95
"""The share of the balls that should hold items of one cluster only."""
ROUNDING = 1e-5
"""Squared distances of unit vectors below this are rounding."""


def prob_cover(pool: Pool, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The greedy maximum cover of the items by balls around the labeled and picked ones.

    When all is covered the rest is drawn at random. The radius is sensitive: with many labels prefer another strategy.

    Raises:
        StrategyError: an embedding is not finite.
    Source: Yehuda et al., Active Learning Through a Covering Lens, NeurIPS 2022.
    """
    assert pool.embeddings is not None
    known, left = pool.labeled.copy(), pool.selectable.copy()
    chosen: NDArray[np.intp] = np.empty(0, np.intp)
    classes = CLUSTERS if pool.proba is None else max(2, pool.proba.shape[1])
    some = _some(np.arange(len(left)), MEASURED, rng)
    squared = pure_radius(scaled(take(pool.embeddings, some)), classes, rng)
    while len(chosen) < n:
        picks = _slice(pool, known, left, squared, n=min(n - len(chosen), SLICE), rng=rng)
        known[picks], left[picks] = True, False
        chosen = np.concatenate([chosen, picks])
    return chosen


def pure_radius(x: Floats, k: int, rng: np.random.Generator) -> float:
    """The largest squared radius for which PURITY of the balls around `x` (n, D) hold one of k clusters only.

    A ball is pure as long as it does not reach the nearest item of another cluster. With one cluster, 0.
    """
    own = closest(x, kmeans(x, k, rng))
    reach = np.full(len(x), np.inf, np.float32)
    for cluster in np.unique(own):
        reach[own == cluster] = nearest(x[own == cluster], x[own != cluster])
    impure = np.sort(reach)[int((1 - PURITY) * len(x))]
    return float(np.nextafter(impure, np.float32(0))) if np.isfinite(impure) else 0.0


def _slice(
    pool: Pool, known: NDArray[np.bool_], left: NDArray[np.bool_], squared: float, *, n: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """At most SLICE picks among the rows that are `left`, given those that are `known`."""
    assert pool.embeddings is not None
    candidates = rng.permutation(_some(np.flatnonzero(left), max(CANDIDATES, 8 * n), rng))
    outside = np.setdiff1d(np.arange(len(left)), candidates)
    others = _some(outside, OTHERS, rng)
    a, b = (scaled(take(pool.embeddings, rows)) for rows in (candidates, others))
    labeled = scaled(take(pool.embeddings, np.flatnonzero(known)))
    points = np.concatenate([a, b])
    heft = np.repeat(np.array([1, len(outside) / max(len(others), 1)], np.float32), [len(a), len(b)])
    heft[nearest(points, labeled) <= max(squared, ROUNDING)] = 0
    worth = pool.per_second(np.ones(len(candidates), np.float32), candidates)
    return candidates[_greedy(covers(a, points, squared), heft, worth, n)]


def _some(rows: NDArray[np.intp], most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))


def covers(a: Floats, b: Floats, squared: float) -> NDArray[np.bool_]:
    """Which of `a` (m, D) covers which of `b` (r, D): (m, r) bool. Both are unit vectors, or zero."""
    own, bar = squared_norms(a)[:, None], max(squared, ROUNDING) - squared_norms(b)
    out = np.empty((len(a), len(b)), bool)
    for i, j in product(range(0, len(a), TILE[0]), range(0, len(b), TILE[1])):
        part = np.s_[i : i + TILE[0], j : j + TILE[1]]
        tile = a[part[0]] @ b[part[1]].T
        tile *= -2
        tile += own[part[0]]
        np.less_equal(tile, bar[part[1]], out=out[part])
    return out


def _greedy(near: NDArray[np.bool_], heft: Floats, worth: Floats, n: int) -> NDArray[np.intp]:
    """n rows of `near` (m, r), each the one that covers most of `heft` per second, best first. Changes `heft`."""
    bounds, fresh, chosen = _gains(near, heft) * worth, np.ones(len(near), bool), list[int]()
    while len(chosen) < n:
        at = int(bounds.argmax())
        if not fresh[at] and bounds[at] > 0:
            some = np.argpartition(bounds, -TRIES)[-TRIES:] if len(bounds) > TRIES else np.arange(len(bounds))
            some = np.union1d(some[bounds[some] >= 0], at)
            bounds[some], fresh[some] = _gains(near[some], heft) * worth[some], True
            continue
        chosen.append(at)
        heft[near[at]] = 0
        bounds[at], fresh[:] = -1, False
    return np.array(chosen, dtype=np.intp)


def _gains(near: NDArray[np.bool_], heft: Floats) -> Floats:
    out = np.empty(len(near), np.float32)
    for start in range(0, len(near), TRIES):
        out[start : start + TRIES] = near[start : start + TRIES].astype(np.float32) @ heft
    return out
