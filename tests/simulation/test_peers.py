"""Other packages' strategies, over the same pools as our own."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from alearn.core.pool import Pool
from alearn.core.strategies import resolve
from alearn.errors import StrategyError
from alearn.simulation.peers import PACKAGES, PEERS, full_name


def pool(*, model: bool = True) -> Pool:
    rng = np.random.default_rng(0)
    state = rng.permutation(np.repeat([0, 1, 2], [8, 40, 12]))
    proba = rng.dirichlet(np.ones(4), 60) if model else None
    return Pool(proba=proba, embeddings=rng.normal(size=(60, 5)), selectable=state == 1, labeled=state == 0)


def installed(name: str) -> None:
    family = name.partition(":")[0]
    if importlib.util.find_spec(family.replace("-", "_")) is None:
        pytest.skip(f"{PACKAGES[family]} is not installed: pip install 'alearn[peers]'")


@pytest.mark.parametrize("name", [one.name for one in PEERS.values()])
def test_a_peer_chooses_like_any_strategy(name: str) -> None:
    """Unique selectable rows, the same for the same draws, up to the last one; through its name in a config."""
    installed(name)
    strategy, here = resolve(full_name(name)), pool()
    first = strategy.select(here, 6, np.random.default_rng(1))
    assert len(first) == 6
    assert np.array_equal(first, strategy.select(here, 6, np.random.default_rng(1)))
    assert len(strategy.select(here, 99, np.random.default_rng(1))) == 40
    if "proba" not in strategy.needs:
        assert len(strategy.select(pool(model=False), 3, np.random.default_rng(1))) == 3


@pytest.mark.parametrize("theirs", ["skactiveml:UncertaintySampling-margin", "small-text:BreakingTies"])
def test_their_margin_is_ours(theirs: str) -> None:
    """On the same probabilities the same items are the most uncertain."""
    installed(theirs)
    found = [set(resolve(name).select(pool(), 7, np.random.default_rng(2))) for name in (full_name(theirs), "margin")]
    assert found[0] == found[1]


def test_global_draws_are_left_as_they_were() -> None:
    installed("small-text:")
    np.random.seed(3)
    expected = np.random.random()
    np.random.seed(3)
    resolve(full_name("small-text:LightweightCoreset")).select(pool(), 4, np.random.default_rng(0))
    assert np.random.random() == expected


def test_a_peer_that_is_not_there_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert full_name("margin") == "margin"
    with pytest.raises(StrategyError, match="skactiveml:CoreSet"):
        full_name("skactiveml:Nonsense")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(StrategyError, match="pip install small-text"):
        full_name("small-text:BreakingTies")
