"""Herding: each pick covers as much as possible of what is not covered yet, so a batch is diverse and typical at once.

The coverage of an item is its similarity to the nearest labeled or picked item; the aim is the weighted sum of all
coverages. It is submodular: what a candidate adds only shrinks as picks are made, so an old gain is an upper bound, and
few have to be computed anew for each pick.

Beyond a size, the candidates are a sample, and so is the rest of the pool that they should stand for. Each candidate
stands for itself, each sampled other for its share of the others: the estimate of the coverage is unbiased, and its
limit for a small radius is exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alearn.core.geometry import NOISE, Floats, Matrix, nearest, squared_norms, take
from alearn.core.pool import Pool

CANDIDATES = 4096
"""Rows that may be picked at a time, at least; four times the picks if that is more."""
OTHERS = 4096
"""Rows that stand for the rest of the pool."""
SLICE = 1024
"""Picks at a time: bounds the similarity matrix to 4 * SLICE by 4 * SLICE + OTHERS, 128 MiB."""
TRIES = 32
"""Candidates whose gain is computed at once."""


def max_herding(pool: Pool, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Items that together represent the pool best: diverse and typical. For a cold start, and for few labels.

    Raises:
        StrategyError: an embedding is not finite.
    Source: Bae, Noh & Sutherland, Generalized Coverage for More Robust Low-Budget Active Learning, ECCV 2024.
    """
    return herd(pool, n, rng, np.ones(len(pool.selectable), np.float32))


def herd(pool: Pool, n: int, rng: np.random.Generator, weights: Floats) -> NDArray[np.intp]:
    """The greedy maximum of the weighted coverage. `weights` (N,) are not negative: how much each item matters."""
    assert pool.embeddings is not None
    known, left = pool.labeled.copy(), pool.selectable.copy()
    chosen: NDArray[np.intp] = np.empty(0, np.intp)
    while len(chosen) < n:
        picks = _slice(pool.embeddings, known, left, weights, n=min(n - len(chosen), SLICE), rng=rng)
        known[picks], left[picks] = True, False
        chosen = np.concatenate([chosen, picks])
    return chosen


def _slice(
    x: Matrix,
    known: NDArray[np.bool_],
    left: NDArray[np.bool_],
    weights: Floats,
    *,
    n: int,
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """At most SLICE picks among the rows that are `left`, given those that are `known`."""
    candidates = _candidates(left, weights, max(CANDIDATES, 4 * n), rng)
    others, share = _others(candidates, len(left), rng)
    a, b = (_directions(take(x, rows)) for rows in (candidates, others))
    labeled = _directions(take(x, np.flatnonzero(known)))
    gaps = np.concatenate([nearest(a, labeled), nearest(b, labeled)])
    radius = _radius(gaps if len(labeled) else _expected_gaps(np.concatenate([a, b]), a, n, rng))
    heft = np.concatenate([weights[candidates], share * weights[others]]).astype(np.float32)
    picks = _greedy(_similarities(a, np.concatenate([a, b]), radius), _similar(gaps, radius), heft, n, rng)
    return candidates[picks]


def _candidates(left: NDArray[np.bool_], weights: Floats, most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """All rows that are left, or half of them the heaviest and half drawn at random from the rest."""
    rows = np.flatnonzero(left)
    if len(rows) <= most:
        return rows
    order = rng.permutation(len(rows))
    heavy = order[np.argpartition(weights[rows][order], -(most // 2))[-(most // 2) :]]
    rest = np.delete(np.arange(len(rows)), heavy)
    return np.sort(rows[np.concatenate([heavy, rng.choice(rest, most - most // 2, replace=False)])])


def _others(candidates: NDArray[np.intp], size: int, rng: np.random.Generator) -> tuple[NDArray[np.intp], float]:
    """A sample of the rows that are no candidates, and how many rows each of them stands for."""
    outside = np.delete(np.arange(size), candidates)
    if len(outside) <= OTHERS:
        return outside, 1.0
    return np.sort(rng.choice(outside, OTHERS, replace=False)), len(outside) / OTHERS


def _directions(x: Floats) -> Floats:
    """The rows scaled to length 1; a zero vector stays one."""
    lengths = np.sqrt(squared_norms(x))
    x /= np.where(lengths > 0, lengths, 1)[:, None]
    return x


def _expected_gaps(x: Floats, candidates: Floats, n: int, rng: np.random.Generator) -> Floats:
    """How far the rows of `x` would be from the nearest of n random candidates: the gaps that a cold start is about."""
    return nearest(x, candidates[rng.choice(len(candidates), min(n, len(candidates)), replace=False)])


def _radius(gaps: Floats) -> float:
    """The median distance to the nearest label, so that the reach of a label shrinks as labels are added."""
    apart = gaps[gaps > 0]
    return float(np.sqrt(np.median(apart))) if len(apart) else 1.0


def _similar(squared: Floats, radius: float) -> Floats:
    """exp(-(distance / radius)^2), in place."""
    squared /= -(radius**2)
    return np.exp(squared, out=squared)


def _similarities(a: Floats, b: Floats, radius: float) -> Floats:
    """(m, D) and (r, D) of unit vectors -> (m, r) similarities; a vector has similarity 1 to itself."""
    squared = a @ b.T
    squared *= -2
    squared += squared_norms(a)[:, None] - NOISE
    squared += squared_norms(b)
    return _similar(np.maximum(squared, 0, out=squared), radius)


def _greedy(near: Floats, covered: Floats, heft: Floats, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """n rows of `near` (m, r), each the one that adds most to sum(heft * coverage), best first."""
    bounds, fresh, chosen = _gains(near, covered, heft), np.ones(len(near), bool), list[int]()
    while len(chosen) < n:
        at = int(bounds.argmax())
        if not fresh[at]:
            some = np.argpartition(bounds, -TRIES)[-TRIES:] if len(bounds) > TRIES else np.arange(len(bounds))
            some = some[np.isfinite(bounds[some])]
            bounds[some], fresh[some] = _gains(near[some], covered, heft), True
        elif bounds[at] > 0:
            chosen.append(at)
            covered = np.maximum(covered, near[at])
            bounds[at], fresh[:] = -np.inf, False
        else:
            left = np.flatnonzero(np.isfinite(bounds))
            order = np.lexsort((rng.random(len(left)), -heft[left]))
            chosen.extend(left[order[: n - len(chosen)]])
    return np.array(chosen, dtype=np.intp)


def _gains(near: Floats, covered: Floats, heft: Floats) -> Floats:
    out = np.empty(len(near), np.float32)
    for start in range(0, len(near), TRIES):
        more = near[start : start + TRIES] - covered
        out[start : start + TRIES] = np.maximum(more, 0, out=more) @ heft
    return out
