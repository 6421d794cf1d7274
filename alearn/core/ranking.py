"""The order of the queue that annotators work through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


def queue_scores(n: int) -> NDArray[np.float64]:
    """The scores of n places of a queue, (n,) float64 in [0, 1), increasing in equal steps; 0 = ask first."""
    return np.arange(n) / max(n, 1)


def interleave(rows_a: Sequence[T], rows_b: Sequence[T], rng: np.random.Generator) -> list[T]:
    """All of `rows_a` and `rows_b`, each in its own order, mixed so that every mixture is equally likely.

    Whoever works from the front meets both in proportion, wherever they stop.
    """
    count = len(rows_a) + len(rows_b)
    is_b = np.zeros(count, dtype=bool)
    is_b[rng.choice(count, len(rows_b), replace=False)] = True
    a, b = iter(rows_a), iter(rows_b)
    return [next(b) if flag else next(a) for flag in is_b]
