"""Distances over embeddings that may be larger than memory.

Invariant: a memory-mapped matrix is read in blocks of increasing rows, as float32, and never copied as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.errors import StrategyError

Floats = NDArray[np.float32]
Matrix = NDArray[np.floating[Any]]

BLOCK = 1 << 23
"""Numbers in a block: 32 MiB of float32."""
TILE = (4096, 1024)
"""Rows and centers whose products are held at once: 16 MiB of float32."""
NOISE = 4e-6
"""Squared distances below this share of the squared norm are rounding: the points are taken for the same."""


def blocks(x: Matrix, rows: NDArray[np.intp]) -> Iterator[tuple[slice, Floats]]:
    """The rows of `x` (N, D), block by block: (which of `rows`, their values as float32).

    `rows` must be increasing. A run without gaps is read as a view, without a copy where `x` is float32 already.

    Raises:
        StrategyError: a value is not finite.
    """
    size = max(1, BLOCK // max(x.shape[1], 1))
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        whole = some[-1] - some[0] + 1 == len(some)
        block = np.asarray(x[some[0] : some[-1] + 1] if whole else x[some], dtype=np.float32)
        _check(block, some)
        yield slice(start, start + len(some)), block


def _check(block: Floats, rows: NDArray[np.intp]) -> None:
    """One cheap sum tells whether anything is not finite; only then is it looked for."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.einsum("ij->", block)):
            return
    bad = rows[~np.isfinite(block).all(axis=1)]
    if len(bad):
        raise StrategyError(
            f"Embeddings must be finite numbers. Row {bad[0]} of the pool, and {len(bad) - 1} more, are not. "
            "Embed these items again, or quarantine them."
        )


def take(x: Matrix, rows: NDArray[np.intp]) -> Floats:
    """The rows of `x` as a float32 copy, in the order of `rows`."""
    order = np.argsort(rows, kind="stable")
    out = np.empty((len(rows), x.shape[1]), np.float32)
    for part, block in blocks(x, rows[order]):
        out[order[part]] = block
    return out


def spread(count: int, most: int) -> NDArray[np.intp]:
    """At most `most` numbers spread evenly over range(count), increasing."""
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).astype(np.intp)


def squared_norms(x: Floats) -> Floats:
    """(n, D) -> (n,) squared Euclidean norms."""
    norms: Floats = np.einsum("ij,ij->i", x, x)
    return norms


def nearest(x: Floats, centers: Floats) -> Floats:
    """Squared Euclidean distance from each row of `x` (n, D) to the nearest of `centers` (m, D); inf when m = 0.

    Computed from inner products, so it is only as exact as the norms are small: centre the data first. What is below
    rounding comes out as 0.
    """
    own, found = squared_norms(x), np.full(len(x), np.inf, np.float32)
    norms, doubled = squared_norms(centers), -2 * centers
    for i, j in product(range(0, len(x), TILE[0]), range(0, len(centers), TILE[1])):
        tile = x[i : i + TILE[0]] @ doubled[j : j + TILE[1]].T
        tile += norms[j : j + TILE[1]]
        found[i : i + TILE[0]] = np.minimum(found[i : i + TILE[0]], tile.min(axis=1))
    found += own
    found[found < NOISE * own] = 0
    return found
