"""Every strategy that a config can name runs the shipped conformance suite."""

from __future__ import annotations

import numpy as np
import pytest

from alearn.core.strategies import STRATEGIES, Pool, Strategy, modal, resolve
from alearn.core.strategies.stochastic import FAMILIES
from alearn.errors import StrategyError
from alearn.testing import StrategyConformance

PERTURBED = ("power:margin", "softmax:bald", "softrank:epig", "power:information_density")
DRAWN = {
    "random",
    "badge",
    *("typiclust", "prob_cover", "drop_query", "cluster_margin"),  # k-means begins with a draw
    *("max_herding", "uncertainty_herding"),  # two items that cover only each other gain exactly the same
    *("vote_entropy", "modal:vote_entropy_sampling"),  # few members: many ties
    *("modal:max_loss", "modal:mean_max_loss", "modal:avg_confidence"),  # tied where each row sums to 1
}
"""What draws at random, or has ties by its nature."""


class TestEveryStrategy(StrategyConformance):
    @pytest.fixture(params=[*STRATEGIES, *modal.names(), *PERTURBED])
    def strategy(self, request: pytest.FixtureRequest) -> Strategy:
        return resolve(request.param)

    @pytest.fixture
    def draws(self, strategy: Strategy) -> bool:
        return strategy.name in DRAWN or strategy.name.partition(":")[0] in FAMILIES


def least_first(pool: Pool, n: int, rng: np.random.Generator) -> np.ndarray:
    """What a third party might write."""
    first = pool.proba[pool.rows, 0]
    if not np.isfinite(pool.proba[pool.rows]).all():
        raise StrategyError("Class probabilities must be finite numbers. Some are not. Train again.")
    return pool.rows[np.argsort(first, kind="stable")][:n]


class TestThirdParty(StrategyConformance):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return Strategy("theirs", least_first, frozenset({"proba"}), "O(N)", "this file")


class TestByName(StrategyConformance):
    """As the documentation shows it: a name is enough."""

    name = "random"
    random = True
