"""DropQuery: which items are unsure, and that one of each cluster of them is asked."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alearn.core.strategies import STRATEGIES, Pool
from alearn.testing import pool_of
from alearn.testing.strategies import rows_of

drop_query = importlib.import_module("alearn.core.strategies.drop_query")


def select(pool: Pool, n: int, seed: int = 0) -> list[int]:
    return STRATEGIES["drop_query"].select(pool, n, np.random.default_rng(seed)).tolist()


def naive_dissent(pool: Pool) -> np.ndarray:
    """Member by member, item by item."""
    members = range(len(pool.votes))
    named = [[pool.votes[m, row].argmax() for m in members] for row in range(len(pool.proba))]
    return np.array([np.mean([one != pool.proba[row].argmax() for one in some]) for row, some in enumerate(named)])


@settings(max_examples=25, deadline=None)
@given(size=st.integers(5, 90), n=st.integers(1, 40), seed=st.integers(0, 10_000))
def test_asks_about_unsure_items_first_and_then_by_margin(size: int, n: int, seed: int) -> None:
    """Only about unsure ones while there are enough; else about all of them, and the largest margins of the rest."""
    pool = pool_of(size, labeled=2, seed=seed)
    unsure = set(np.flatnonzero((naive_dissent(pool) >= 0.5) & pool.selectable))
    picks = select(pool, min(n, size - 2))
    if len(picks) <= len(unsure):
        assert set(picks) <= unsure
        return
    margins = np.sort(pool.proba, axis=1)[:, -1] - np.sort(pool.proba, axis=1)[:, -2]
    rest = sorted(set(pool.rows) - unsure, key=lambda row: margins[row])
    assert set(picks[: len(unsure)]) == unsure
    assert picks[len(unsure) :] == rest[: len(picks) - len(unsure)]


def unsure_pool(x: np.ndarray) -> Pool:
    """Every item is one whose answer does not survive."""
    size = len(x)
    proba = np.tile(np.float32([0.6, 0.4]), (size, 1))
    votes = np.stack([proba[:, ::-1], proba[:, ::-1], proba])
    return Pool(proba, x.astype(np.float32), np.ones(size, bool), np.zeros(size, bool), votes)


def test_takes_the_item_nearest_to_the_center_of_each_cluster() -> None:
    """Six clusters and six picks."""
    rng = np.random.default_rng(0)
    x = np.repeat(np.eye(6) * 10, 20, axis=0) + rng.normal(size=(120, 6)) * 0.1
    picks = select(unsure_pool(x), 6)
    assert sorted(row // 20 for row in picks) == list(range(6))
    for pick in picks:
        some = np.arange(pick // 20 * 20, pick // 20 * 20 + 20)
        assert pick == some[((x[some] - x[some].mean(axis=0)) ** 2).sum(axis=1).argmin()]


def test_of_copies_the_cheap_one_is_asked() -> None:
    """They are equally near to their center."""
    pool = rows_of(unsure_pool(pool_of(40).embeddings), np.arange(80) % 40)
    assert min(select(replace(pool, costs=np.repeat([9.0, 1.0], 40)), 8)) >= 40


def test_many_unsure_items_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clusters are of a bounded number of items."""
    monkeypatch.setattr(drop_query, "CANDIDATES", 100)
    pool = unsure_pool(pool_of(1000).embeddings)
    assert len(set(select(pool, 10))) == 10
