"""LCMD: against the naive algorithm, and how it differs from k-center."""

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


def select(pool: Pool, n: int, seed: int = 0) -> list[int]:
    return STRATEGIES["lcmd"].select(pool, n, np.random.default_rng(seed)).tolist()


def naive(pool: Pool, n: int) -> list[int]:
    """All distances to all centers anew for each pick, in double precision."""
    x, rows = pool.embeddings.astype(np.float64), pool.rows
    centers, chosen = [int(row) for row in np.flatnonzero(pool.labeled)], list[int]()
    if not centers:
        chosen = [int(rows[((x[rows] - x[rows].mean(axis=0)) ** 2).sum(axis=1).argmin()])]
        centers = chosen.copy()
    while len(chosen) < n:
        left = [int(row) for row in rows if row not in chosen]
        apart = ((x[left][:, None] - x[centers][None]) ** 2).sum(axis=2)
        own, gaps = apart.argmin(axis=1), apart.min(axis=1)
        largest = np.bincount(own, weights=gaps).argmax()
        pick = left[int(np.where(own == largest, gaps, -1).argmax())]
        chosen.append(pick)
        centers.append(pick)
    return chosen


@settings(max_examples=30, deadline=None)
@given(size=st.integers(3, 80), labeled=st.integers(0, 20), n=st.integers(1, 30), seed=st.integers(0, 10_000))
def test_picks_what_the_naive_algorithm_picks(size: int, labeled: int, n: int, seed: int) -> None:
    """Distances and clusters kept up to date are those computed anew."""
    pool = pool_of(size, labeled=min(labeled, size - 1), seed=seed)
    n = min(n, int(pool.selectable.sum()))
    assert select(pool, n) == naive(pool, n)


def test_small_tiles_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labeled items are read tile by tile."""
    pool = pool_of(200, labeled=60)
    monkeypatch.setattr(importlib.import_module("alearn.core.strategies.lcmd"), "TILE", (37, 7))
    assert select(pool, 30) == naive(pool, 30)


def test_a_lonely_outlier_has_to_wait() -> None:
    """A large cluster is asked about first; k-center begins with the outlier."""
    rng = np.random.default_rng(0)
    x = np.concatenate([np.zeros((2, 2)), rng.normal(size=(300, 2)), [[0, 10]]]).astype(np.float32)
    x[1] = (0, 6)
    pool = Pool(None, x, np.arange(303) > 1, np.arange(303) < 2)
    assert STRATEGIES["k_center"].select(pool, 1, np.random.default_rng(0)).tolist() == [302]
    assert 302 not in select(pool, 5)


def test_copies_come_last_and_dear_copies_after_cheap_ones() -> None:
    """No copy of a picked item is asked about while anything differs; with costs the cheap one is picked."""
    twice = rows_of(pool_of(30, labeled=3), np.arange(60) % 30)
    pool = replace(twice, costs=np.repeat([50.0, 1.0], 30))
    picks = np.array(select(pool, 54))
    assert len(np.unique(picks[:27] % 30)) == 27
    assert (picks[:27] >= 30).all()


def test_a_large_pool_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a size the candidates are drawn, and all picks are still different."""
    monkeypatch.setattr(importlib.import_module("alearn.core.strategies.lcmd"), "SAMPLE", 100)
    pool = pool_of(2000)
    assert len(set(select(pool, 20))) == 20
    assert select(pool, 20) != select(pool, 20, seed=1)
