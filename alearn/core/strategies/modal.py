"""modAL's query functions, by name, over what is already computed.

They expect a fitted classifier, or a committee, and the items; they are given a stand-in that knows the probabilities,
and the embeddings. Nothing of modAL is imported before one of them is used: its import takes seconds. Its multilabel
functions need another kind of labels, so they are not offered.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.core.geometry import Floats, take
from alearn.core.pool import Pool
from alearn.core.strategies.disagreement import ballots
from alearn.core.strategies.strategy import Need, Strategy
from alearn.core.strategies.uncertain import probabilities
from alearn.core.uncertainty import Proba
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
    "vote_entropy_sampling": Function("modAL.disagreement", frozenset({"votes"}), True, "O(NMC)"),
    "consensus_entropy_sampling": Function("modAL.disagreement", frozenset({"votes"}), True, "O(NMC)"),
    "max_disagreement_sampling": Function("modAL.disagreement", frozenset({"votes"}), True, "O(NMC)"),
}
"""What may follow `modal:`."""


class KnownClassifier:
    """What modAL's functions ask of a fitted learner, answered from arrays."""

    on_transformed = False

    def __init__(self, proba: Proba, training: Floats | None = None) -> None:
        self._proba = proba
        self.X_training = training

    def predict_proba(self, _: Any) -> Proba:
        """The probabilities that are known, whatever is asked about."""
        return self._proba


class KnownCommittee:
    """What modAL's disagreement functions ask of a committee, answered from its votes (members, n, C)."""

    def __init__(self, votes: Proba) -> None:
        self._votes = votes
        self.classes_ = np.arange(votes.shape[2])

    def __len__(self) -> int:
        return len(self._votes)

    def __iter__(self) -> Iterator[Proba]:
        return iter(self._votes)

    def vote(self, _: Any) -> NDArray[np.intp]:
        """The class that each member names, (n, members)."""
        named: NDArray[np.intp] = self._votes.argmax(axis=2).T
        return named

    def vote_proba(self, _: Any) -> Proba:
        """What each member says, (n, members, C)."""
        return self._votes.swapaxes(0, 1)

    def predict_proba(self, _: Any) -> Proba:
        """The mean of what they say, (n, C)."""
        mean: Proba = self._votes.mean(axis=0)
        return mean


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
    if row.higher_first is None:
        return rows[_ranked(function, pool, probabilities(pool, rows), n)]
    known = KnownCommittee(ballots(pool, rows)) if "votes" in row.needs else KnownClassifier(probabilities(pool, rows))
    positions, scores = function(known, np.empty((len(rows), 1)), n_instances=n)
    best_first = np.argsort(-scores if row.higher_first else scores, kind="stable")
    picks: NDArray[np.intp] = rows[positions[best_first]]
    return picks


def _densest(function: Callable[[Floats], NDArray[np.float64]], pool: Pool, n: int) -> NDArray[np.intp]:
    """modAL measures density and leaves the choice to its caller: the densest first."""
    assert pool.embeddings is not None
    _refuse_above(len(pool.rows), "modal:information_density")
    density = function(take(pool.embeddings, pool.rows))
    densest: NDArray[np.intp] = np.argsort(-density, kind="stable")[:n]
    return densest


def _ranked(function: Callable[..., Any], pool: Pool, proba: Proba, n: int) -> NDArray[np.intp]:
    """Ranked batch sampling. Without labels the first pick is taken apart: modAL would offer it a second time."""
    assert pool.embeddings is not None
    x, known = take(pool.embeddings, pool.rows), take(pool.embeddings, np.flatnonzero(pool.labeled))
    first, rest = np.empty(0, np.intp), np.arange(len(x))
    if not len(known):
        _refuse_above(len(x), "modal:uncertainty_batch_sampling without labels")
        first, _ = function(KnownClassifier(proba), x, n_instances=1)
        known, rest = x[first], np.delete(rest, first)
    if len(first) == n:
        return first
    more, _ = function(KnownClassifier(proba[rest], known), x[rest], n_instances=n - len(first))
    return np.concatenate([first, rest[more]])


def _refuse_above(count: int, what: str) -> None:
    if count > MOST:
        raise StrategyError(
            f"Query strategy {what} compares every item with every other, for at most {MOST:,} items. Got {count:,}. "
            "Use max_herding, or uncertainty_herding once there is a model."
        )
