"""Whether one strategy is better than another: statistics over runs that differ in nothing else.

What is compared are tables (blocks, strategies): a block is one seed of one setting, so that all strategies of a row
had the same items, the same test and the same annotators. Higher values are better throughout.

Invariant: what cannot be decided (too few blocks, NaN) is NaN or a tie, never a win.

Source: Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 2006; Holm 1979.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alearn.core.curves import Curve

Table = NDArray[np.float64]


@dataclass(frozen=True)
class Paired:
    """A paired comparison: `n` blocks in which both are known, the median of the differences, and the p-value."""

    n: int
    difference: float
    p: float


def paired(ours: ArrayLike, theirs: ArrayLike) -> Paired:
    """Wilcoxon's signed-rank test of two columns (blocks,), two-sided; a positive difference speaks for `ours`.

    Blocks in which either is NaN are left out. Without a block p is NaN; without any difference it is 1.
    """
    from scipy.stats import wilcoxon

    apart = np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)
    apart = apart[np.isfinite(apart)]
    if not len(apart):
        return Paired(0, math.nan, math.nan)
    p = float(wilcoxon(apart).pvalue) if np.any(apart) else 1.0
    return Paired(len(apart), float(np.median(apart)), 1.0 if math.isnan(p) else p)


def least_p(blocks: int) -> float:
    """The smallest p-value that so many blocks can give, when one of the two wins them all; 1 without a block."""
    return min(1.0, 2.0 ** (1 - blocks))


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Holm's correction of several p-values (m,): how surely each holds where all were tested; NaN stays NaN."""
    raw = np.asarray(p, dtype=np.float64)
    out, known = np.full(raw.shape, np.nan), np.flatnonzero(~np.isnan(raw))
    order = known[np.argsort(raw[known], kind="stable")]
    factors = len(order) - np.arange(len(order))
    out[order] = np.minimum(np.maximum.accumulate(raw[order] * factors), 1.0)
    return out


def pairwise(table: ArrayLike) -> Table:
    """The corrected p-value of each pair of columns of (blocks, k): (k, k), symmetric, NaN on the diagonal."""
    values = np.asarray(table, dtype=np.float64)
    first, second = np.triu_indices(values.shape[1], 1)
    found = np.full((values.shape[1], values.shape[1]), np.nan)
    found[first, second] = holm([paired(values[:, a], values[:, b]).p for a, b in zip(first, second, strict=True)])
    found[second, first] = found[first, second]
    return found


def wins(table: ArrayLike, *, tie: float = 0.0) -> NDArray[np.intp]:
    """In how many blocks of (blocks, k) column i beats column j by more than `tie`: (k, k)."""
    values = np.asarray(table, dtype=np.float64)
    beats = values[:, :, None] - values[:, None, :] > tie
    found: NDArray[np.intp] = beats.sum(axis=0)
    return found


def mean_ranks(table: ArrayLike) -> NDArray[np.float64]:
    """The mean rank of each column over the blocks that are whole, (k,); 1 is best, equal values share their ranks."""
    from scipy.stats import rankdata

    values = _whole(table)
    if not len(values):
        return np.full(values.shape[1], np.nan)
    ranks: NDArray[np.float64] = rankdata(-values, axis=1).mean(axis=0)
    return ranks


def friedman(table: ArrayLike) -> float:
    """Friedman's p-value that the columns of (blocks, k) do not differ; NaN below 3 columns or 2 whole blocks."""
    from scipy.stats import friedmanchisquare

    values = _whole(table)
    if values.shape[1] < 3 or len(values) < 2:
        return math.nan
    if np.all(values == values[:, :1]):
        return 1.0
    return float(friedmanchisquare(*values.T).pvalue)


def critical_difference(columns: int, blocks: int, *, alpha: float = 0.05) -> float:
    """How far two mean ranks must be apart to differ, by Nemenyi's test; NaN below 2 columns or without a block."""
    from scipy.stats import studentized_range

    if columns < 2 or blocks < 1:
        return math.nan
    q = float(studentized_range.ppf(1 - alpha, columns, np.inf)) / math.sqrt(2)
    return q * math.sqrt(columns * (columns + 1) / (6 * blocks))


def cliques(ranks: ArrayLike, difference: float) -> list[tuple[int, ...]]:
    """The largest groups of columns whose ranks lie within `difference`: those that cannot be told apart.

    Groups of one are left out; columns are ordered by rank, and so are the groups.
    """
    values = np.asarray(ranks, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    found: list[tuple[int, ...]] = []
    reach = 0
    for at in range(len(order)):
        end = int(np.searchsorted(values[order], values[order[at]] + difference, side="right"))
        if end - at > 1 and end > reach:
            found.append(tuple(int(one) for one in order[at:end]))
            reach = end
    return found


@dataclass(frozen=True, eq=False)
class Band:
    """A mean curve with its band: `labels`, `mean`, `low` and `high`, each (points,)."""

    labels: NDArray[np.float64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def band(curves: Sequence[Curve], *, rng: np.random.Generator, confidence: float = 0.9, resamples: int = 1000) -> Band:
    """The mean of several curves on a common grid of labels, with a bootstrap interval of the mean at each point.

    The grid holds the labels of all curves where every curve is known; between its points a curve is a line. It is
    empty where the curves do not overlap. One curve is its own band.
    """
    points = [np.array([(x, y) for x, y in curve if not math.isnan(y)]).reshape(-1, 2) for curve in curves]
    points = [one for one in points if len(one)]
    if not points:
        return Band(*(np.empty(0) for _ in range(4)))
    start, end = max(one[0, 0] for one in points), min(one[-1, 0] for one in points)
    grid = np.unique(np.concatenate([one[:, 0] for one in points]))
    grid = grid[(grid >= start) & (grid <= end)]
    heights = np.array([np.interp(grid, one[:, 0], one[:, 1]) for one in points])
    draws = rng.integers(len(points), size=(resamples, len(points)))
    means, tail = heights[draws].mean(axis=1), (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    mean = heights.mean(axis=0)
    return Band(grid, mean, np.minimum(low, mean), np.maximum(high, mean))


def _whole(table: ArrayLike) -> Table:
    """The blocks in which every column is known."""
    values: Table = np.asarray(table, dtype=np.float64)
    return values[np.isfinite(values).all(axis=1)]
