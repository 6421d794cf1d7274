"""A query strategy with what it needs, what it costs and where it comes from.

Invariant: whatever the function behind it does, `select` returns unique selectable rows, as many as asked for or as
there are, or raises StrategyError.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from alearn.core.pool import Pool, Select
from alearn.errors import StrategyError

Need = Literal["proba", "embeddings", "votes", "labels", "annotations"]
Score = Callable[[Pool, NDArray[np.intp]], NDArray[np.float64]]


@dataclass(frozen=True)
class Strategy:
    """`function` chooses; `needs` names the arrays of the pool that it cannot do without, and only these are computed.

    `cost` is what it computes, in the size N of the pool, the picks B, the dimension D, the classes C and the members M
    of a committee. `source` is the publication, or the module, that it is from. `score`, where each item is judged for
    itself, is the utility of rows, (n,) float64 >= 0, higher = ask first: what stochastic batches are drawn by.
    """

    name: str
    function: Select
    needs: frozenset[Need]
    cost: str
    source: str
    score: Score | None = None

    def select(self, pool: Pool, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Choose n rows of the pool, or all selectable ones if these are fewer: (min(n, selectable),), best first.

        Of rows that the pool knows to be near copies one is selectable at most.
        The same pool, n and state of `rng` give the same rows.

        Raises:
            StrategyError: the pool lacks what the strategy needs, holds numbers that are not finite, or the strategy
                returned something else than unique selectable rows.
        """
        lacking = sorted(need for need in self.needs if not pool.has(need))
        if lacking:
            raise StrategyError(
                f"Query strategy {self.name!r} needs {' and '.join(lacking)}, which the pool does not have. "
                "Choose one that needs less, such as max_herding or random, until there is a model."
            )
        pool = pool.without_twins()
        count = min(n, int(pool.selectable.sum()))
        if count <= 0:
            return np.empty(0, np.intp)
        return self._checked(np.asarray(self.function(pool, count, rng)), pool, count)

    def _checked(self, rows: NDArray[np.intp], pool: Pool, count: int) -> NDArray[np.intp]:
        fault = _fault(rows, pool, count)
        if fault:
            raise StrategyError(
                f"Query strategy {self.name!r} must return {count} unique selectable rows of the pool. "
                f"It returned {fault}. Correct it, or choose another strategy. Its source: {self.source}."
            )
        return rows.astype(np.intp, copy=False)


def _fault(rows: NDArray[np.intp], pool: Pool, count: int) -> str | None:
    """What is wrong with what a strategy returned, in words."""
    if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer):
        return f"an array of {rows.dtype} of shape {rows.shape}"
    if len(rows) != count:
        return f"{len(rows)} rows"
    if rows.min() < 0 or rows.max() >= len(pool.selectable):
        return f"rows outside 0 … {len(pool.selectable) - 1}"
    if len(np.unique(rows)) < count:
        return "some rows twice"
    return None if pool.selectable[rows].all() else "rows that are not selectable"
