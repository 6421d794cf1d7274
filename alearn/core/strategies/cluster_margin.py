"""Cluster-Margin: the items with the smallest margins, dealt out over clusters; the cheapest diverse rule."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alearn.core.clustering import closest, kmeans, scaled
from alearn.core.geometry import take
from alearn.core.pool import Pool
from alearn.core.strategies.uncertain import highest, scores
from alearn.core.uncertainty import margin

CANDIDATES = 10
"""Times the picks: how many of the smallest margins are clustered."""


def cluster_margin(pool: Pool, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The smallest margins in turn from each cluster, the smallest cluster first, until there are n.

    The publication clusters the whole pool once, by average linkage. Here the 10 n candidates are clustered in each
    round, by k-means into n / 2 clusters, which asks nothing of a pool of any size.

    Raises:
        StrategyError: an embedding or a probability is not finite.
    Source: Citovsky et al., Batch Active Learning at Scale, NeurIPS 2021.
    """
    assert pool.embeddings is not None
    rows = pool.rows
    unsure = pool.per_second(scores(pool, rows, margin), rows)
    best = rows[highest(unsure, min(CANDIDATES * n, len(rows)), rng)]
    x = scaled(take(pool.embeddings, best))
    of_row = closest(x, kmeans(x, max(2, n // 2), rng))
    sizes = np.bincount(of_row)
    turn = _turns(of_row)
    picks: NDArray[np.intp] = best[np.lexsort((sizes[of_row], turn))[:n]]
    return picks


def _turns(of_row: NDArray[np.intp]) -> NDArray[np.intp]:
    """How many rows of its cluster come before each row."""
    order = np.argsort(of_row, kind="stable")
    ranks = np.arange(len(order)) - np.searchsorted(of_row[order], of_row[order])
    found = np.empty_like(of_row)
    found[order] = ranks
    return found
