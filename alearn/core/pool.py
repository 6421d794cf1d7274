"""What a query strategy is handed: arrays, row by row, and two masks over them.

Invariant: row i of every array is the same item (of `votes`, along its second axis). `embeddings`, `proba` and `votes`
may be memory-mapped; nothing here copies them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.errors import StrategyError


@dataclass(frozen=True, eq=False)
class Pool:
    """The items a strategy chooses from, and those it should keep away from.

    `proba` (N, C): class probabilities, each row sums to 1; None while there is no model. `embeddings` (N, D): any
    float type; None where the strategy needs none. `selectable` (N,) bool: rows that may be chosen. `labeled` (N,)
    bool: rows that are known, or are being asked about already: what a diverse batch keeps away from. A row may be in
    neither mask; it still counts as one of the items that the batch should stand for. `votes` (members, N, C): the
    class probabilities of each member of a committee, each row sums to 1; None where the strategy needs none. `costs`
    (N,): what an answer is expected to cost, in seconds, positive; a strategy then asks for utility per second; None:
    all cost the same. `twins` (N,) integers: rows of the same number are near copies, of which one is asked at most.
    `labels` (N,) integers: the number of the class of each row, -1 where it is not known; None where the strategy needs
    none. `annotations` (N, annotators) integers: the number of the class that each annotator named, -1 where they did
    not; None where nobody has, or the strategy needs none.

    Raises:
        StrategyError: the arrays disagree about N, or a mask is not boolean.
    """

    proba: NDArray[np.floating[Any]] | None
    embeddings: NDArray[np.floating[Any]] | None
    selectable: NDArray[np.bool_]
    labeled: NDArray[np.bool_]
    votes: NDArray[np.floating[Any]] | None = None
    costs: NDArray[np.floating[Any]] | None = None
    twins: NDArray[np.integer[Any]] | None = None
    labels: NDArray[np.integer[Any]] | None = None
    annotations: NDArray[np.integer[Any]] | None = None

    def __post_init__(self) -> None:
        size = len(self.selectable)
        for name in ("selectable", "labeled"):
            mask = getattr(self, name)
            if mask.dtype != np.bool_ or mask.shape != (size,):
                raise StrategyError(
                    f"`{name}` of a pool must be boolean, of shape ({size},). Got {mask.dtype} {mask.shape}."
                )
        for name in ("proba", "embeddings"):
            array = getattr(self, name)
            if array is not None and (array.ndim != 2 or len(array) != size):
                raise StrategyError(f"`{name}` of a pool of {size} items must have {size} rows. Got {array.shape}.")
        if self.votes is not None and (self.votes.ndim != 3 or self.votes.shape[1] != size or not len(self.votes)):
            raise StrategyError(
                f"`votes` of a pool of {size} items must have the shape (members, {size}, classes), with at least one "
                f"member. Got {self.votes.shape}."
            )
        for name in ("costs", "twins", "labels"):
            array = getattr(self, name)
            if array is not None and array.shape != (size,):
                raise StrategyError(
                    f"`{name}` of a pool of {size} items must have the shape ({size},). Got {array.shape}."
                )
        said = self.annotations
        if said is not None and (said.ndim != 2 or len(said) != size or not np.issubdtype(said.dtype, np.integer)):
            raise StrategyError(
                f"`annotations` of a pool of {size} items must be integers of the shape ({size}, annotators). "
                f"Got {said.dtype} {said.shape}."
            )
        if self.costs is not None and not (np.isfinite(self.costs).all() and (self.costs > 0).all()):
            raise StrategyError(
                "`costs` of a pool must be positive, finite seconds. Some are not. Estimate them again."
            )

    @property
    def rows(self) -> NDArray[np.intp]:
        """The selectable rows, increasing."""
        return np.flatnonzero(self.selectable)

    def has(self, need: str) -> bool:
        """Is what a strategy calls `need` there?"""
        return getattr(self, need) is not None

    def per_second(self, utility: NDArray[Any], rows: NDArray[np.intp]) -> NDArray[Any]:
        """The utility (n,) of these rows for a second of an annotator's time; as it is where all cost the same."""
        return utility if self.costs is None else utility / self.costs[rows].astype(utility.dtype)

    def without_twins(self) -> Pool:
        """The pool in which one row at most of each number in `twins` is selectable; none beside a labeled one."""
        if self.twins is None:
            return self
        rows = self.rows
        rows = rows[self.labeled[rows] | ~np.isin(self.twins[rows], self.twins[self.labeled])]
        _, first = np.unique(self.twins[rows], return_index=True)
        left = np.zeros_like(self.selectable)
        left[rows[first]] = True
        return replace(self, selectable=left)


Select = Callable[[Pool, int, np.random.Generator], NDArray[np.intp]]
"""Chooses n rows: best first, unique, all selectable. Called with 1 <= n <= pool.selectable.sum()."""
