"""Labels dealt into folds, so that each is judged by a model that did not see it, nor anything of its group.

Invariant: items of a group are in one fold; near copies of what was trained on would flatter the model that judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Groups = Sequence[Any] | NDArray[Any] | None
"""What ties items together, one value an item; none: each item is a group of its own."""


def numbered(groups: Groups, items: int) -> NDArray[np.intp]:
    """The number of each item's group, (n,), from 0."""
    if groups is None:
        return np.arange(items)
    found: NDArray[np.intp] = np.unique(np.asarray(groups), return_inverse=True)[1]
    return found


def deal(y: NDArray[np.intp], groups: Groups, folds: int, rng: np.random.Generator | None = None) -> NDArray[np.intp]:
    """The fold (n,), in [0, folds), of each of the labels `y` (n,), class numbers: whole groups, each class evenly.

    A group counts for the class of its first item. Within a class the groups are dealt in an order of `rng`, none: in
    their own.
    """
    _, first, group = np.unique(numbered(groups, len(y)), return_index=True, return_inverse=True)
    order = np.arange(len(first)) if rng is None else rng.permutation(len(first))
    order = order[np.argsort(y[first[order]], kind="stable")]
    fold = np.empty(len(first), dtype=np.intp)
    fold[order] = np.arange(len(first)) % folds
    return np.asarray(fold[group], dtype=np.intp)


def pieces(y: NDArray[np.intp], groups: Groups) -> NDArray[np.intp]:
    """How many groups each class has, which is how many pieces of evidence, from the most to the fewest."""
    _, first = np.unique(numbered(groups, len(y)), return_index=True)
    return np.sort(np.bincount(y[first]))[::-1]
