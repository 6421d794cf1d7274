"""How evenly labels are spread over classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FEW = 10
"""Labels of a class below which a model learns little of it."""


@dataclass(frozen=True)
class Balance:
    """`ratio` of the largest class's labels to the smallest's that has any, 1: even; None while there are none. `few`
    are the places of classes with labels, but fewer than 10; `none` of those without.
    """

    ratio: float | None
    few: tuple[int, ...]
    none: tuple[int, ...]


def balance(counts: Sequence[int]) -> Balance:
    """How the labels of each class, `counts` (C,) >= 0, compare."""
    there = [one for one in counts if one]
    return Balance(
        ratio=max(there) / min(there) if there else None,
        few=tuple(at for at, one in enumerate(counts) if 0 < one < FEW),
        none=tuple(at for at, one in enumerate(counts) if not one),
    )
