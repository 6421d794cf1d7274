"""modAL's query functions, by name, over what is already computed.

They expect a fitted classifier and the items; they are given a stand-in that knows the probabilities, and the
embeddings. Nothing of modAL is imported before one of them is used: its import takes seconds. Its disagreement
functions need a committee and its multilabel functions another kind of labels, so they are not offered.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.core.geometry import Floats, Matrix, take
from alearn.core.pool import Pool
from alearn.core.strategies.strategy import Need, Strategy
from alearn.core.strategies.uncertain import probabilities
from alearn.errors import StrategyError

PREFIX = "modal:"
MOST = 10_000
"""Items up to which what compares each item with each other is tried: 800 MB of distances."""


@dataclass(frozen=True)
class Function:
    """Where a function of modAL lives, and whether a higher returned score means ask first (None: already ranked)."""

    module: str
    needs: frozenset[Need]
    higher_first: bool | None
    cost: str


FUNCTIONS = {
    "uncertainty_sampling": Function("modAL.uncertainty", frozenset({"proba"}), True, "O(NC)"),
    "margin_sampling": Function("modAL.uncertainty", frozenset({"proba"}), False, "O(NC)"),
    "entropy_sampling": Function("modAL.uncertainty", frozenset({"proba"}), True, "O(NC)"),
    "uncertainty_batch_sampling": Function(
        "modAL.batch", frozenset({"proba", "embeddings"}), None, "O(BND(B + labeled)): up to about 10,000 items"
    ),
    "information_density": Function(
        "modAL.density", frozenset({"embeddings"}), True, f"O(N^2 D): up to {MOST:,} items"
    ),
}
"""What may follow `modal:`."""


class KnownClassifier:
    """What modAL's functions ask of a fitted learner, answered from arrays."""

    on_transformed = False

    def __init__(self, proba: Matrix | None, training: Floats | None) -> None:
        self._proba = proba
        self.X_training = training

    def predict_proba(self, _: Any) -> Matrix:
        """The probabilities of the selectable rows, whatever is asked about."""
        assert self._proba is not None
        return self._proba


def names() -> list[str]:
    """The strategies of this file, as a config says them."""
    return [PREFIX + name for name in FUNCTIONS]


def modal(name: str) -> Strategy:
    """The strategy for modAL's function `name`; KeyError when it is not in the table."""
    row = FUNCTIONS[name]
    return Strategy(PREFIX + name, partial(_select, name), row.needs, row.cost, f"{row.module}.{name}")


def _select(name: str, pool: Pool, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    row, rows = FUNCTIONS[name], pool.rows
    function = getattr(importlib.import_module(row.module), name)
    if name == "information_density":
        return rows[_densest(function, pool, n)]
    classifier = KnownClassifier(probabilities(pool, rows) if "proba" in row.needs else None, _labeled(pool))
    if row.higher_first is None:
        if classifier.X_training is None:
            _refuse_above(len(rows), f"{PREFIX}{name} without labels")
        assert pool.embeddings is not None
        positions, _ = function(classifier, take(pool.embeddings, rows), n_instances=n)
    else:
        positions, scores = function(classifier, np.empty((len(rows), 1), np.float32), n_instances=n)
        positions = positions[np.argsort(-scores if row.higher_first else scores, kind="stable")]
    return rows[positions]


def _labeled(pool: Pool) -> Floats | None:
    """The embeddings of the labeled rows; None where there are none, which modAL takes for a cold start."""
    if pool.embeddings is None or not pool.labeled.any():
        return None
    return take(pool.embeddings, np.flatnonzero(pool.labeled))


def _densest(function: Callable[[Floats], NDArray[np.float64]], pool: Pool, n: int) -> NDArray[np.intp]:
    """modAL measures density and leaves the choice to its caller: the densest first."""
    assert pool.embeddings is not None
    _refuse_above(len(pool.rows), f"{PREFIX}information_density")
    density = function(take(pool.embeddings, pool.rows))
    return np.argsort(-density, kind="stable")[:n].astype(np.intp)


def _refuse_above(count: int, what: str) -> None:
    if count > MOST:
        raise StrategyError(
            f"Query strategy {what} compares every item with every other, for at most {MOST:,} items. Got {count:,}. "
            "Use max_herding, or uncertainty_herding once there is a model."
        )
