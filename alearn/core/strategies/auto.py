"""`auto`: which strategy suits the moment, by what is measured of the labels and the model, and why, in words.

Invariant: pure; the same state gives the same choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.core.pool import Pool
from alearn.core.stopping import kappa
from alearn.core.strategies.herding import max_herding
from alearn.core.strategies.uncertainty_herding import uncertainty_herding

NAME = "auto"
PER_CLASS = 2
"""Labels per class, on the average, below which a model's doubts tell nothing."""
SETTLED = 0.97
"""Agreement of two versions in a row from which the model has settled."""
MANY = 50
"""Labels per class, on the average, from which there are many."""


@dataclass(frozen=True, eq=False)
class State:
    """What is known when a batch is chosen.

    `labels` (C,) are the labels of each class that are learned from. `model`: there is one. `agreement` is Cohen's
    kappa between the answers of the last two versions on the same items, in [-1, 1]; None: there is one version only.
    """

    labels: NDArray[np.integer[Any]]
    model: bool
    agreement: float | None = None


@dataclass(frozen=True)
class Choice:
    """The name of a strategy, the phase that it is for, and why, in a sentence for people."""

    name: str
    phase: str
    reason: str


def choose(state: State) -> Choice:
    """The strategy for this state.

    Cold start: MaxHerding, as there is nothing to be unsure of. Then Uncertainty Herding. Late, when many labels no
    longer change the model's answers: BADGE, whose batches follow rare doubts that a sample of the pool would miss.
    Measured: `benchmarks/label_efficiency.py`.
    """
    total, classes = int(state.labels.sum()), len(state.labels)
    seen = int(np.count_nonzero(state.labels))
    if not state.model:
        return Choice("max_herding", "cold start", "there is no model yet: diverse and typical items first")
    if total < PER_CLASS * classes or seen < min(classes, 2):
        why = f"{total} labels of {seen} of {classes} classes are too few to trust a model's doubts"
        return Choice("max_herding", "cold start", why)
    if state.agreement is not None and state.agreement >= SETTLED and total >= MANY * classes:
        why = f"{total} labels, and the last two versions agree on nearly all items (kappa {state.agreement:.3f})"
        return Choice("badge", "late", why)
    told = (
        "there is one version" if state.agreement is None else f"kappa of the last two versions {state.agreement:.3f}"
    )
    return Choice("uncertainty_herding", "early", f"{total} labels, {seen} of {classes} classes seen; {told}")


def by_pool(pool: Pool, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Choose by what a pool shows alone: MaxHerding without a model, Uncertainty Herding with one.

    A loop knows more, and asks `choose`.

    Raises:
        StrategyError: an embedding or a probability is not finite.
    """
    return max_herding(pool, n, rng) if pool.proba is None else uncertainty_herding(pool, n, rng)


def agreement(one: NDArray[np.integer[Any]], other: NDArray[np.integer[Any]]) -> float:
    """Cohen's kappa between two answers (n,), class numbers, of the same items: 1 = the same, 0 = as by chance.

    1 where both always say the same class. Source: Cohen 1960; as a sign that learning has settled: Bloodgood &
    Vijay-Shanker, CoNLL 2009.
    """
    return kappa(one, other) if len(one) else 1.0
