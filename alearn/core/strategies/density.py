"""Information density: what the model is unsure of counts as much as it is like the rest of the pool.

The mean cosine similarity of an item to a pool is its direction times the mean of the pool's directions. So it costs
two passes over the embeddings, exactly, and no item is compared with another.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alearn.core import uncertainty
from alearn.core.geometry import Floats, blocks, squared_norms
from alearn.core.pool import Pool
from alearn.core.strategies import uncertain
from alearn.core.strategies.uncertain import highest
from alearn.core.uncertainty import Scores

FLOOR = 1e-6
"""The least density: items that are like nothing come last, in the order of their margins."""


def information_density(pool: Pool, n: int, rng: np.random.Generator, *, beta: float = 1.0) -> NDArray[np.intp]:
    """The unsure items in the dense parts of the pool; `beta` >= 0 is how much density counts.

    Raises:
        StrategyError: an embedding or a probability is not finite.
    Source: Settles & Craven, An Analysis of Active Learning Strategies for Sequence Labeling Tasks, EMNLP 2008.
    """
    rows = pool.rows
    return rows[highest(pool.per_second(scores(pool, rows, beta), rows), n, rng)]


def scores(pool: Pool, rows: NDArray[np.intp], beta: float = 1.0) -> Scores:
    """The margin of rows (increasing) times their density to the power of `beta`.

    (n,) float64 in [0, 1]; higher = ask first: unsure, and like the rest of the pool.
    """
    return uncertain.scores(pool, rows, uncertainty.margin) * np.maximum(densities(pool, rows), FLOOR) ** beta


def densities(pool: Pool, rows: NDArray[np.intp]) -> Scores:
    """The mean cosine similarity of rows (increasing) to all items without a label, themselves included.

    (n,) float64 in [-1, 1]; 0 for a zero vector. Where everything is labeled, to all items.
    """
    assert pool.embeddings is not None
    others = np.flatnonzero(~pool.labeled)
    others = others if len(others) else np.arange(len(pool.labeled))
    total = np.zeros(pool.embeddings.shape[1])
    for _, block in blocks(pool.embeddings, others):
        total += _shrinkage(block) @ block
    mean, found = (total / len(others)).astype(np.float32), np.empty(len(rows))
    for part, block in blocks(pool.embeddings, rows):
        found[part] = (block @ mean) * _shrinkage(block)
    return found


def _shrinkage(x: Floats) -> Floats:
    """What each row has to be multiplied by to have the length 1; 0 for a zero vector."""
    lengths = np.sqrt(squared_norms(x))
    found: Floats = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return found
