"""TypiClust: the most typical item of each cluster that has no label yet. For a cold start, and for few labels.

A cluster larger than SAMPLE is represented by a random part of it: how dense a place is shows in a sample, too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alearn.core.clustering import clusters, scaled
from alearn.core.geometry import Matrix, squared_norms, take
from alearn.core.pool import Pool

CLUSTERS = 500
"""Clusters at most."""
NEIGHBOURS = 20
SMALLEST = 5
"""Clusters with fewer rows are noise: they come last."""
SAMPLE = 512
"""Rows of a cluster that are compared with each other."""


def typiclust(pool: Pool, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """One typical row from each cluster with the fewest labels, the largest first, and again, until there are n.

    There are as many clusters as labels and picks together, CLUSTERS at most. Typical: one over the mean distance to
    the NEIGHBOURS nearest in the cluster; with costs, by the second.

    Raises:
        StrategyError: an embedding is not finite.
    Source: Hacohen, Dekel & Weinshall, Active Learning on a Budget, ICML 2022.
    """
    assert pool.embeddings is not None
    rows = np.flatnonzero(pool.selectable | pool.labeled)
    count = min(int(pool.labeled.sum()) + n, CLUSTERS, len(rows))
    of_row, centers = clusters(pool.embeddings, rows, count, rng)
    members = np.split(np.argsort(of_row, kind="stable"), np.cumsum(np.bincount(of_row, minlength=len(centers)))[:-1])
    queues = [_typical(pool, rows[one], rng) if pool.selectable[rows[one]].any() else [] for one in members]
    labeled = np.bincount(of_row[pool.labeled[rows]], minlength=len(centers))
    chosen = _in_turn(queues, labeled.tolist(), [len(one) for one in members], n)
    return np.array(chosen, dtype=np.intp)


def _typical(pool: Pool, rows: NDArray[np.intp], rng: np.random.Generator) -> list[int]:
    """The selectable rows of a cluster, the most typical first, those that were not compared last."""
    assert pool.embeddings is not None
    some = rows if len(rows) <= SAMPLE else np.sort(rng.choice(rows, SAMPLE, replace=False))
    typical = pool.per_second(_typicality(pool.embeddings, some), some)
    compared = some[np.argsort(-typical, kind="stable")]
    rest = rng.permutation(np.setdiff1d(rows, some, assume_unique=True))
    order = np.concatenate([compared, rest])
    found: list[int] = order[pool.selectable[order]].tolist()
    return found


def _typicality(x: Matrix, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """One over the mean distance of each row to its nearest neighbours among the rows."""
    some = scaled(take(x, rows))
    norms = squared_norms(some)
    squared = np.maximum(norms[:, None] + norms - 2 * (some @ some.T), 0)
    count = min(NEIGHBOURS, len(rows) - 1)
    if count == 0:
        return np.ones(1)
    np.fill_diagonal(squared, np.inf)
    near = np.sqrt(np.partition(squared, count - 1, axis=1)[:, :count]).mean(axis=1)
    found: NDArray[np.float64] = 1 / np.maximum(near.astype(np.float64), 1e-6)
    return found


def _in_turn(queues: list[list[int]], labeled: list[int], sizes: list[int], n: int) -> list[int]:
    """n rows: each the first that is left of the cluster with the fewest labels, among those of the largest."""
    import heapq

    heap = [
        (size < SMALLEST, known, -size, at)
        for at, (known, size) in enumerate(zip(labeled, sizes, strict=True))
        if queues[at]
    ]
    heapq.heapify(heap)
    chosen, taken = list[int](), [0] * len(queues)
    while len(chosen) < n:
        small, known, size, at = heapq.heappop(heap)
        chosen.append(queues[at][taken[at]])
        taken[at] += 1
        if taken[at] < len(queues[at]):
            heapq.heappush(heap, (small, known + 1, size, at))
    return chosen
