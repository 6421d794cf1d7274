"""Items that are like no other: far from their nearest neighbours, measured against how far items usually are.

Invariant: rows may be mapped from a file; a block of them is in memory at once, and the rows they are compared with.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 5
BLOCK = 4096


def neighbour_distance(
    x: NDArray[np.floating[Any]], among: NDArray[np.intp], k: int = NEIGHBOURS
) -> NDArray[np.float32]:
    """How far each row is from its k nearest of the rows `among`, on the average: (n,), >= 0; higher = farther.

    `x` (n, D), finite; Euclidean, which finds more strange items than the cosine. A row is no neighbour of itself. Of
    fewer others than k all count; without any the distance is 0.
    Source: Ramaswamy, Rastogi & Shim, Efficient Algorithms for Mining Outliers from Large Data Sets, 2000, with the
    mean distance of Angiulli & Pizzuti, Fast Outlier Detection in High Dimensional Spaces, 2002.
    """
    others, found = np.asarray(x[among], dtype=np.float32), np.zeros(len(x), dtype=np.float32)
    middle = others.mean(axis=0) if len(others) else np.float32(0)
    others = others - middle  # squares of small numbers lose less
    lengths, place = (others**2).sum(axis=1), np.full(len(x), -1, dtype=np.intp)
    place[among] = np.arange(len(among))
    for start in range(0, len(x), BLOCK):
        rows = np.asarray(x[start : start + BLOCK], dtype=np.float32) - middle
        squares = np.maximum((rows**2).sum(axis=1)[:, None] + lengths - 2 * rows @ others.T, 0)
        own = place[start : start + BLOCK]
        inside = np.flatnonzero(own >= 0)
        squares[inside, own[inside]] = np.inf
        found[start : start + len(rows)] = _mean_distance(squares, k)
    return found


def _mean_distance(squares: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    count = min(k, squares.shape[1])
    if not count:
        return np.zeros(len(squares), dtype=np.float32)
    least = np.partition(squares, count - 1, axis=1)[:, :count]
    there = np.isfinite(least)
    total = np.sqrt(np.where(there, least, 0)).sum(axis=1)
    found: NDArray[np.float32] = (total / np.maximum(there.sum(axis=1), 1)).astype(np.float32)
    return found


def outlyingness(distance: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """By how many robust standard deviations these distances (n,) are above the median, (n,) float64.

    Higher = less like the others; 3.5 is the usual limit. The deviation is 1.4826 times the median absolute deviation;
    where that is 0, nothing is an outlier.
    Source: Iglewicz & Hoaglin, How to Detect and Handle Outliers, 1993.
    """
    if not len(distance):
        return np.empty(0)
    off: NDArray[np.float64] = np.asarray(distance, dtype=np.float64) - np.median(distance)
    deviation = 1.4826 * np.median(np.abs(off))
    return off / deviation if deviation > 0 else np.zeros_like(off)
