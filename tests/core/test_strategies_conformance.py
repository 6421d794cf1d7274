"""Every strategy that a config can name runs the shipped conformance suite."""

from __future__ import annotations

import numpy as np
import pytest

from alearn.core.strategies import STRATEGIES, Pool, Strategy, modal, resolve
from alearn.testing_strategies import StrategyConformance


class TestEveryStrategy(StrategyConformance):
    @pytest.fixture(params=[*STRATEGIES, *modal.names()])
    def strategy(self, request: pytest.FixtureRequest) -> Strategy:
        return resolve(request.param)


def last_rows(pool: Pool, n: int, rng: np.random.Generator) -> np.ndarray:
    """What a third party might write."""
    return pool.rows[::-1][:n]


class TestThirdParty(StrategyConformance):
    name = f"{__name__}:last_rows"

    @pytest.fixture
    def strategy(self) -> Strategy:
        return Strategy("theirs", last_rows, frozenset(), "O(N)", "this file")
