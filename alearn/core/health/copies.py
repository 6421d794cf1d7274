"""Near copies among rows: which pairs are closer than a threshold, and the families that they make.

Few rows are compared all with all. Of many, those are compared that fall on the same side of so many random planes
(Charikar, Similarity Estimation Techniques from Rounding Algorithms, 2002), in so many tables that a pair at the
threshold is missed once in a thousand; closer ones are missed less, and equal rows never.

Invariant: a pair is told only when its own cosine reaches the threshold, and in whatever order rows come, the pairs are
the same. Rows may be mapped from a file: no more than a block of them is in memory at once.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.floating[Any]]
Pairs = NDArray[np.intp]

EXACT = 4096
"""Up to so many rows are compared all with all."""
BLOCK = 4096
"""Rows that are in memory at once."""
MISSED = 1e-3
"""Of the pairs at the threshold, how many may fall into no common bucket."""
TABLES = 96
"""At most."""
SHORT = 48
"""Buckets of at most so many rows are compared by shifting; longer ones block by block."""
ONES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint8)
"""The bits that are set in each byte."""
FARTHER = 20.0
"""So many times closer than any two items, at least, are copies."""


def near_pairs(x: Rows, threshold: float, *, kinds: NDArray[np.integer[Any]] | None = None, seed: int = 0) -> Pairs:
    """The pairs of rows whose cosine is at least `threshold`: (m, 2), i < j, ordered, each once.

    `x` (n, D) of any float type; rows of zeros, and rows that are not finite, are in no pair. Of rows that are equal in
    every number, each is paired with the first of them alone. `kinds` (n,): only rows of the same number are pairs.
    Source: up to 4,096 rows exact; above, random planes as the module says (recall at the threshold 0.999).

    Raises:
        ValueError: the threshold is not in (0, 1], or there are not n kinds.
    """
    n = len(x)
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold {threshold}, which must be in (0, 1]")
    if kinds is not None and kinds.shape != (n,):
        raise ValueError(f"kinds of shape {kinds.shape} for {n} rows")
    kinds = np.zeros(n, dtype=np.intp) if kinds is None else kinds
    equal, left = _equal(x, kinds)
    some = _all_with_all(x, left, threshold) if len(left) <= EXACT else _in_buckets(x, left, threshold, seed)
    pairs = np.concatenate([equal, *(one[kinds[one[:, 0]] == kinds[one[:, 1]]] for one in some)])
    found: Pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    return found


def families(n: int, pairs: Pairs) -> NDArray[np.intp]:
    """The number of each row's family, (n,): the least row that it is tied to by any chain of pairs (m, 2)."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    if not n:
        return np.empty(0, dtype=np.intp)
    ones = np.ones(len(pairs), dtype=np.int8)
    ties = coo_matrix((ones, (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, part = connected_components(ties, directed=False)
    first = np.full(int(part.max()) + 1, n, dtype=np.intp)
    np.minimum.at(first, part, np.arange(n))
    found: NDArray[np.intp] = first[part]
    return found


def strict(x: Rows, threshold: float) -> float:
    """The cosine from which on rows like these (n, D) are copies: `threshold`, or more where any two are that close.

    Where a camera sees the same scene all day, every picture is nearly every other. So a copy must be 20 times closer
    than the rows in the first half are to those in the second at the median. Of fewer than 8 rows nothing is known.
    """
    half = len(x) // 2
    if half < 4:
        return threshold
    usual = float(np.median(np.einsum("nd,nd->n", _unit(x[:half]), _unit(x[half : 2 * half]))))
    return max(threshold, min(1 - (1 - usual) / FARTHER, 1 - 1e-6))


def _unit(x: Rows) -> NDArray[np.float32]:
    """The rows at length 1; zeros, and what is not finite, become zeros."""
    rows = np.asarray(x, dtype=np.float32)
    rows = np.where(np.isfinite(rows).all(axis=1, keepdims=True), rows, np.float32(0))
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0)
    rows = rows / np.where(largest > 0, largest, 1)  # first, so that no square overflows or vanishes
    found: NDArray[np.float32] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return found


def _equal(x: Rows, kinds: NDArray[np.integer[Any]]) -> tuple[Pairs, NDArray[np.intp]]:
    """Pairs of rows that are equal, each with the first of them; and the rows that are left, without zeros."""
    first, pairs, left = dict[tuple[int, bytes], int](), list[tuple[int, int]](), list[int]()
    for start in range(0, len(x), BLOCK):
        block = np.ascontiguousarray(x[start : start + BLOCK]) + 0.0  # so that -0 is 0
        usable = np.isfinite(block).all(axis=1) & block.any(axis=1)
        for at in np.flatnonzero(usable):
            row = start + int(at)
            before = first.setdefault((int(kinds[row]), _digest(block[at])), row)
            if before == row:
                left.append(row)
            else:
                pairs.append((before, row))
    return np.array(pairs, dtype=np.intp).reshape(-1, 2), np.array(left, dtype=np.intp)


def _digest(row: Rows) -> bytes:
    return hashlib.blake2b(row.tobytes(), digest_size=16).digest()


def _all_with_all(x: Rows, rows: NDArray[np.intp], threshold: float) -> Iterator[Pairs]:
    unit, step = _unit(x[rows]), BLOCK // 4
    for start in range(0, len(rows), step):
        i, j = np.nonzero(unit[start : start + step] @ unit[start:].T >= threshold)
        ahead = j > i
        yield np.stack([rows[start + i[ahead]], rows[start + j[ahead]]], axis=1)


def _in_buckets(x: Rows, rows: NDArray[np.intp], threshold: float, seed: int) -> Iterator[Pairs]:
    """Compare what is in a common bucket in any table, and on the same side of nearly all planes of all tables."""
    codes, apart = _codes(x, rows, threshold, seed)
    for code in codes:
        order = np.argsort(code, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(code[order]) != 0])
        sizes = np.diff(np.r_[starts, len(order)])
        size = np.repeat(sizes, sizes)
        for shift in range(1, min(int(sizes.max()), SHORT)):
            same = (code[order[:-shift]] == code[order[shift:]]) & (size[:-shift] <= SHORT)
            at = np.flatnonzero(same)
            i, j = order[at], order[at + shift]
            likely = _between(codes[:, i], codes[:, j]) <= apart
            yield _reaching(x, rows[i[likely]], rows[j[likely]], threshold)
        for start, length in zip(starts[sizes > SHORT], sizes[sizes > SHORT], strict=True):
            yield from _all_with_all(x, np.sort(rows[order[start : start + length]]), threshold)


def _between(some: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.intp]:
    """How many planes lie between the rows of each pair: (tables, m) twice to (m,)."""
    differ = np.ascontiguousarray((some ^ others).T).view(np.uint8)
    found: NDArray[np.intp] = ONES[differ].sum(axis=1, dtype=np.intp)
    return found


def _reaching(x: Rows, i: NDArray[np.intp], j: NDArray[np.intp], threshold: float) -> Pairs:
    """Those of the pairs whose cosine is large enough."""
    kept = [np.empty((0, 2), dtype=np.intp)]
    for start in range(0, len(i), BLOCK):
        some, others = i[start : start + BLOCK], j[start : start + BLOCK]
        near = np.einsum("nd,nd->n", _unit(x[some]), _unit(x[others])) >= threshold
        kept.append(np.stack([some[near], others[near]], axis=1))
    return np.concatenate(kept)


def _codes(x: Rows, rows: NDArray[np.intp], threshold: float, seed: int) -> tuple[NDArray[np.int64], int]:
    """The bucket of each of the rows in each table, (tables, n): on which side of planes through their middle it lies.

    And the number of planes, of all, that lie between a pair at the threshold at most: five deviations above the mean.
    Planes through the middle tell rows apart that all point one way. Seen from there, an angle is larger; how much, the
    rows themselves say, of which a tenth are closer to it than is reckoned with.
    """
    blocks = [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]
    middle = sum(_unit(x[block]).sum(axis=0, dtype=np.float64) for block in blocks) / len(rows)
    middle = np.asarray(middle, dtype=np.float32)
    away = np.concatenate([((_unit(x[block]) - middle) ** 2).sum(axis=1) for block in blocks])
    bits, tables, between = _size(len(rows), threshold, max(float(np.quantile(away, 0.1)), 1e-6))
    planes = np.random.default_rng(seed).standard_normal((x.shape[1], bits * tables)).astype(np.float32)
    weights, codes = 2 ** np.arange(bits, dtype=np.int64), np.empty((tables, len(rows)), dtype=np.int64)
    for at, block in enumerate(blocks):
        sides = ((_unit(x[block]) - middle) @ planes > 0).reshape(len(block), tables, bits)
        codes[:, at * BLOCK : at * BLOCK + len(block)] = (sides @ weights).T
    mean = bits * tables * between
    return codes, math.ceil(mean + 5 * math.sqrt(mean * (1 - between)) + 1)


def _size(n: int, threshold: float, away: float) -> tuple[int, int, float]:
    """For n rows at a squared distance `away`: the planes of a table, the tables, and how likely a plane is between a
    pair at the threshold.
    """
    between = math.acos(max(1 - (1 - threshold) / away, 0.0)) / math.pi
    bits = math.ceil(math.log2(n)) + 2
    together = (1 - between) ** bits
    if together >= 1:
        return bits, 1, 0.0
    return bits, min(max(math.ceil(math.log(MISSED) / math.log1p(-together)), 1), TABLES), between
