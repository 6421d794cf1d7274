"""Stochastic batches: the first draw has the probabilities that the paper gives."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from alearn.core.pool import Pool
from alearn.core.strategies import Strategy, resolve, resolve_cold_start
from alearn.core.strategies.stochastic import stochastic
from alearn.errors import StrategyError
from alearn.testing import pool_of

UTILITY = np.array([0.0, 0.1, 0.4, 0.5, 2.0])


def known(pool: Pool, rows: np.ndarray) -> np.ndarray:
    return UTILITY[rows]


BASE = Strategy("base", lambda pool, n, rng: pool.rows[:n], frozenset(), "O(N)", "here", known)


@pytest.mark.parametrize(
    ("family", "weights"),
    [("power", UTILITY), ("softmax", np.exp(UTILITY)), ("softrank", 1 / np.array([5, 4, 3, 2, 1]))],
)
@pytest.mark.parametrize("costs", [None, np.array([1.0, 1.0, 2.0, 1.0, 4.0])])
def test_the_first_draw_is_proportional_to(family: str, weights: np.ndarray, costs: np.ndarray | None) -> None:
    """The score, its exponential, or one over its rank; of a score for a second where items differ in cost."""
    if costs is not None:
        weights = {
            "power": UTILITY / costs,
            "softmax": np.exp(UTILITY / costs),
            "softrank": 1 / np.array([5, 4, 3, 1.5, 1.5]),
        }[family]
        weights[3:] = weights[3:] if family != "softrank" else (1 + 1 / 2) / 2  # 0.5 and 2 / 4 share the first ranks
    pool = Pool(None, None, np.ones(5, bool), np.zeros(5, bool), costs=costs)
    rng, strategy = np.random.default_rng(0), stochastic(family, BASE)
    counts = np.bincount([strategy.select(pool, 1, rng)[0] for _ in range(4000)], minlength=5)
    some = weights > 0
    assert not counts[~some].any()
    assert chisquare(counts[some], 4000 * weights[some] / weights[some].sum()).pvalue > 0.001


def test_items_of_no_utility_come_last_but_come() -> None:
    """Their logarithm is minus infinity; a batch that needs them gets them."""
    pool = Pool(None, None, np.ones(5, bool), np.zeros(5, bool))
    assert stochastic("power", BASE).select(pool, 5, np.random.default_rng(0))[-1] == 0


def test_a_batch_spreads_out() -> None:
    """Twenty near copies at the top take all of margin's batch, and a few places only of a drawn one."""
    pool = pool_of(500)
    pool.proba[pool.rows[:20]] = (0.3334, 0.3333, 0.3333)
    for name, most in (("margin", 20), ("power:margin", 10), ("softmax:margin", 10)):
        picks = resolve(name).select(pool, 20, np.random.default_rng(0))
        assert (len(set(picks) & set(pool.rows[:20])) == 20) == (name == "margin")
        assert len(set(picks) & set(pool.rows[:20])) <= most


def test_a_name_says_family_and_strategy() -> None:
    """With the needs of the strategy, so the loop computes what it must."""
    found = resolve("power:information_density")
    assert (found.name, found.needs) == ("power:information_density", {"proba", "embeddings"})


@pytest.mark.parametrize("name", ["power:k_center", "softmax:random", "softrank:power:margin"])
def test_what_has_no_score_is_refused(name: str) -> None:
    """The message names those that have one."""
    with pytest.raises(StrategyError, match=rf"one by one: margin, .*epig.*Got '{name}'"):
        resolve(name)


def test_what_does_not_exist_is_refused() -> None:
    """As without the family."""
    with pytest.raises(StrategyError, match=r"power, softmax, softrank: before one.*Got 'astrology'"):
        resolve("power:astrology")
    with pytest.raises(StrategyError, match="Got 'power:'"):
        resolve("power:")


def test_it_is_no_cold_start_where_the_strategy_is_none() -> None:
    """It needs the same probabilities."""
    with pytest.raises(StrategyError, match=r"query\.cold_start"):
        resolve_cold_start("power:margin")
