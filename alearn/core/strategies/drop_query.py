"""DropQuery: of the items whose answer does not survive dropout, one from each cluster.

The passes are members of a committee, whether they differ by dropout on the features or by what they were trained on.
An item on which they contradict the model is unsure; clusters of such items make the batch diverse.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alearn.core import uncertainty
from alearn.core.clustering import closest, kmeans
from alearn.core.geometry import Floats, squared_norms, take
from alearn.core.pool import Pool
from alearn.core.strategies import uncertain
from alearn.core.strategies.disagreement import ballots
from alearn.core.strategies.uncertain import by_blocks, highest, probabilities

DISSENT = 0.5
"""The share of the members that must contradict the model, at least."""
CANDIDATES = 32_768
"""Rows that are clustered, at most; eight times the picks if that is more."""


def drop_query(pool: Pool, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The unsure item nearest to the center of each of n clusters of unsure items, the largest margins first.

    Where fewer items are unsure, or fewer clusters found, the items of the largest margins follow. With costs, the
    nearest item is the one of least squared distance times seconds.

    Raises:
        StrategyError: an embedding, a probability or a vote is not finite.
    Source: Gupte et al., Revisiting Active Learning in the Era of Vision Foundation Models, TMLR 2024.
    """
    rows = pool.rows
    margins = pool.per_second(uncertain.scores(pool, rows, uncertainty.margin), rows)
    unsure = np.flatnonzero(dissent(pool, rows) >= DISSENT)
    found: NDArray[np.intp] = unsure if len(unsure) <= n else _one_of_each(pool, rows, unsure, n, rng)
    found = found[np.argsort(-margins[found], kind="stable")]
    if len(found) == n:
        return rows[found]
    left = np.setdiff1d(np.arange(len(rows)), found)
    picks: NDArray[np.intp] = rows[np.concatenate([found, left[highest(margins[left], n - len(found), rng)]])]
    return picks


def dissent(pool: Pool, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """The share of the members that name another class than the model, (n,) float64 in [0, 1]; higher = ask first."""
    assert pool.votes is not None
    members, _, classes = pool.votes.shape

    def share(some: NDArray[np.intp]) -> NDArray[np.float64]:
        named = probabilities(pool, some).argmax(axis=1)
        others: NDArray[np.float64] = np.mean(ballots(pool, some).argmax(axis=2) != named, axis=0)
        return others

    return by_blocks(rows, members * classes, share)


def _one_of_each(
    pool: Pool, rows: NDArray[np.intp], unsure: NDArray[np.intp], n: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """At most n of the positions `unsure`: of each cluster the one nearest to its center."""
    assert pool.embeddings is not None
    most = max(CANDIDATES, 8 * n)
    unsure = unsure if len(unsure) <= most else np.sort(rng.choice(unsure, most, replace=False))
    x = take(pool.embeddings, rows[unsure])
    centers = kmeans(x, n, rng)
    own = closest(x, centers)
    return unsure[_first_of_each(own, _gaps(x, centers, own), _seconds(pool, rows[unsure]))]


def _gaps(x: Floats, centers: Floats, own: NDArray[np.intp]) -> Floats:
    """The squared distance of each row to its own center."""
    return np.concatenate([squared_norms(x[i : i + 4096] - centers[own[i : i + 4096]]) for i in range(0, len(x), 4096)])


def _seconds(pool: Pool, rows: NDArray[np.intp]) -> Floats:
    return np.ones(len(rows), np.float32) if pool.costs is None else pool.costs[rows].astype(np.float32)


def _first_of_each(own: NDArray[np.intp], gaps: Floats, seconds: Floats) -> NDArray[np.intp]:
    """Of each cluster the position of least gap times seconds, and of equal ones the cheapest."""
    order = np.lexsort((seconds, gaps * seconds, own))
    _, first = np.unique(own[order], return_index=True)
    nearest: NDArray[np.intp] = order[first]
    return nearest
