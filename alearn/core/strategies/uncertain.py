"""The items a model is least sure of, one by one: the best rule with many labels, blind to near copies in a batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from alearn.core import uncertainty
from alearn.core.pool import Pool
from alearn.core.uncertainty import Measure, Proba, Scores
from alearn.errors import StrategyError

BLOCK = 1 << 20
"""Numbers read at once."""


def scores(pool: Pool, rows: NDArray[np.intp], measure: Measure) -> Scores:
    """The measure of the given rows, increasing, (n,) float64: reads a memory-mapped `proba` block by block.

    Raises:
        StrategyError: a probability is not finite.
    """
    assert pool.proba is not None
    return by_blocks(rows, pool.proba.shape[1], lambda some: measure(probabilities(pool, some)))


def by_blocks(rows: NDArray[np.intp], width: int, score: Callable[[NDArray[np.intp]], Scores]) -> Scores:
    """The scores of rows, (n,) float64, which `score` finds for some of them at once; a row is `width` numbers."""
    out = np.empty(len(rows))
    size = max(1, BLOCK // max(width, 1))
    for start in range(0, len(rows), size):
        out[start : start + size] = score(rows[start : start + size])
    return out


def probabilities(pool: Pool, rows: NDArray[np.intp]) -> Proba:
    """The class probabilities of the given rows, (n, C); raises StrategyError where one is not a finite number."""
    assert pool.proba is not None
    proba: Proba = pool.proba[rows]
    refuse_unreal(proba[None], rows)
    return proba


def refuse_unreal(votes: Proba, rows: NDArray[np.intp]) -> None:
    """Raises StrategyError that names the first of the rows of which a probability (members, n, C) is not finite."""
    finite = np.logical_and.reduce(np.isfinite(votes), axis=(0, 2))
    if not finite.all():
        raise StrategyError(
            f"Class probabilities must be finite numbers. Row {rows[~finite][0]} of the pool, "
            f"and {(~finite).sum() - 1} more, are not. Train again, or choose a strategy that needs no probabilities."
        )


def highest(values: Scores, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The positions of the n highest values, highest first; equal ones in random order."""
    if n < len(values):
        bar = np.partition(values, -n)[-n]
        above, level = np.flatnonzero(values > bar), np.flatnonzero(values == bar)
        top = np.concatenate([above, rng.choice(level, n - len(above), replace=False)])
    else:
        top = np.arange(len(values))
    order: NDArray[np.intp] = top[np.lexsort((rng.random(len(top)), -values[top]))]
    return order


def most(pool: Pool, n: int, rng: np.random.Generator, measure: Measure) -> NDArray[np.intp]:
    """The n selectable rows of which the measure is highest."""
    rows = pool.rows
    return rows[highest(pool.per_second(scores(pool, rows, measure), rows), n, rng)]


def margin(pool: Pool, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The items whose two likeliest classes are closest."""
    return most(pool, n, rng, uncertainty.margin)


def entropy(pool: Pool, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The items whose class distribution has the largest entropy; often worse than random with many classes."""
    return most(pool, n, rng, uncertainty.entropy)


def least_confidence(pool: Pool, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The items whose likeliest class is least likely."""
    return most(pool, n, rng, uncertainty.least_confidence)
