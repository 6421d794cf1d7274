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
    """How far each row is from its k nearest of the rows `among`, on the average: (n,), in [0, 2]; higher = farther.

    `x` (n, D); the distance is 1 minus the cosine of the rows as seen from their middle. A row is no neighbour of
    itself. Of fewer others than k, all count; without any the distance is 0.
    Source: Ramaswamy, Rastogi & Shim, Efficient Algorithms for Mining Outliers from Large Data Sets, 2000 (the mean
    in place of the k-th); Kuan & Mueller, Back to the Basics: Revisiting Out-of-Distribution Detection, 2022.
    """
    others = np.asarray(x[among], dtype=np.float32)
    middle = others.mean(axis=0) if len(others) else np.zeros(x.shape[1], dtype=np.float32)
    others, found = _unit(others - middle), np.zeros(len(x), dtype=np.float32)
    place = np.full(len(x), -1, dtype=np.intp)
    place[among] = np.arange(len(among))
    for start in range(0, len(x), BLOCK):
        near = _unit(np.asarray(x[start : start + BLOCK], dtype=np.float32) - middle) @ others.T
        own = place[start : start + BLOCK]
        inside = np.flatnonzero(own >= 0)
        near[inside, own[inside]] = -np.inf
        found[start : start + len(near)] = _mean_distance(near, k)
    return found


def _mean_distance(near: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    count = min(k, near.shape[1])
    if not count:
        return np.zeros(len(near), dtype=np.float32)
    best = -np.partition(-near, count - 1, axis=1)[:, :count]
    there = np.isfinite(best)
    total = np.where(there, 1 - best, 0).sum(axis=1)
    found: NDArray[np.float32] = np.clip(total / np.maximum(there.sum(axis=1), 1), 0, 2).astype(np.float32)
    return found


def outlyingness(distance: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """By how many robust standard deviations of their logarithm these distances (n,) are above the median, (n,).

    Higher = less like the others; 3.5 is the usual limit. The deviation is 1.4826 times the median absolute deviation;
    where that is 0, nothing is an outlier.
    Source: Iglewicz & Hoaglin, How to Detect and Handle Outliers, 1993.
    """
    logs = np.log(np.maximum(np.asarray(distance, dtype=np.float64), 1e-6))
    if not len(logs):
        return logs
    off = logs - np.median(logs)
    deviation = 1.4826 * np.median(np.abs(off))
    found: NDArray[np.float64] = off / deviation if deviation > 0 else np.zeros_like(off)
    return found


def _unit(x: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    return found
