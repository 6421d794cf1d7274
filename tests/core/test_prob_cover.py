"""ProbCover: the radius by its definition, the cover against the naive greedy one."""

from __future__ import annotations

import importlib
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alearn.core.clustering import closest, kmeans, scaled
from alearn.core.strategies import STRATEGIES, Pool
from alearn.testing import pool_of
from alearn.testing.strategies import rows_of

prob_cover = importlib.import_module("alearn.core.strategies.prob_cover")


def select(pool: Pool, n: int, seed: int = 0) -> list[int]:
    return STRATEGIES["prob_cover"].select(pool, n, np.random.default_rng(seed)).tolist()


def distances(x: np.ndarray) -> np.ndarray:
    """Squared, between the directions of all rows, in double precision."""
    unit = x.astype(np.float64) / np.linalg.norm(x, axis=1, keepdims=True)
    return ((unit[:, None] - unit[None]) ** 2).sum(axis=2)


def purity(apart: np.ndarray, clusters: np.ndarray, squared: float) -> float:
    """The share of the balls that hold one cluster only, ball by ball."""
    return float(np.mean([len(set(clusters[row <= squared])) == 1 for row in apart]))


@settings(max_examples=20, deadline=None)
@given(size=st.integers(30, 120), k=st.integers(2, 6), seed=st.integers(0, 10_000))
def test_the_radius_is_the_largest_with_a_purity_of_95_percent(size: int, k: int, seed: int) -> None:
    """Pure enough at the radius, and not beyond it."""
    x = scaled(pool_of(size, seed=seed).embeddings.copy())
    squared = prob_cover.pure_radius(x, k, np.random.default_rng(seed))
    clusters, apart = closest(x, kmeans(x, k, np.random.default_rng(seed))), distances(x)
    assert purity(apart, clusters, squared * 0.999) >= 0.95
    assert purity(apart, clusters, squared * 1.001 + 1e-5) < 0.95


@settings(max_examples=40, deadline=None)
@given(size=st.integers(1, 60), n=st.integers(1, 60), seed=st.integers(0, 10_000), share=st.floats(0.01, 0.9))
def test_lazy_picks_are_greedy_picks(size: int, n: int, seed: int, share: float) -> None:
    """Each pick covers as much for a second as any other candidate could; among many ties it comes to an end."""
    rng = np.random.default_rng(seed)
    near = (rng.random((size, size + 5)) < share) | np.eye(size, size + 5, dtype=bool)
    heft = rng.integers(0, 3, size + 5).astype(np.float32)
    worth = rng.choice(np.array([1, 0.5], np.float32), size)
    picks = prob_cover._greedy(near, heft.copy(), worth, min(n, size))
    assert len(set(picks)) == len(picks) == min(n, size)
    left = np.ones(size, bool)
    for pick in picks:
        gains = (near @ heft) * worth
        assert gains[pick] == gains[left].max()
        heft[near[pick]], left[pick] = 0, False


def test_a_cold_start_takes_one_item_of_each_cluster_and_no_outlier() -> None:
    """Five clusters and five picks, two outliers notwithstanding."""
    rng = np.random.default_rng(0)
    x = np.repeat(np.eye(8)[:5], 40, axis=0) + rng.normal(size=(200, 8)) * 0.05
    x = np.concatenate([x, np.eye(8)[6:]]).astype(np.float32)
    pool = Pool(np.full((202, 7), 1 / 7), x, np.ones(202, bool), np.zeros(202, bool))
    assert sorted(row // 40 for row in select(pool, 5)) == [0, 1, 2, 3, 4]
    known = np.isin(np.arange(202) // 40, [0, 1, 2]) & (np.arange(202) % 40 == 0)
    assert sorted(row // 40 for row in select(replace(pool, labeled=known, selectable=~known), 2)) == [3, 4]


def test_a_pick_of_samples_covers_nearly_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the whole pool, with the same radius."""
    pool = pool_of(2000, dim=4, labeled=0)
    monkeypatch.setattr(prob_cover, "pure_radius", lambda x, k, rng: 0.1)
    full = select(pool, 15)
    for name in ("CANDIDATES", "OTHERS"):
        monkeypatch.setattr(prob_cover, name, 200)
    sampled = select(pool, 15)
    near = distances(pool.embeddings) <= 0.1
    assert set(sampled) != set(full)
    assert near[sampled].any(axis=0).mean() > 0.85 * near[full].any(axis=0).mean()


def test_large_batches_are_picked_slice_by_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Later slices keep away from earlier ones."""
    monkeypatch.setattr(prob_cover, "SLICE", 10)
    rng = np.random.default_rng(0)
    x = (np.repeat(np.eye(30), 20, axis=0) + rng.normal(size=(600, 30)) * 0.02).astype(np.float32)
    pool = Pool(np.full((600, 30), 1 / 30), x, np.ones(600, bool), np.zeros(600, bool))
    assert len({row // 20 for row in select(pool, 30)}) == 30


def test_of_copies_the_cheap_one_is_asked() -> None:
    """They cover the same; while anything is not covered, no dear item is picked whose cheap copy is there."""
    pool = replace(rows_of(pool_of(40, labeled=0), np.arange(80) % 40), costs=np.repeat([9.0, 1.0], 40))
    assert min(select(pool, 5)) >= 40


def test_a_memory_mapped_pool_is_never_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is allocated stays far below the size of the embeddings."""
    for name in ("CANDIDATES", "OTHERS", "MEASURED"):
        monkeypatch.setattr(prob_cover, name, 256)
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (40_000, 256))
    x[:] = np.random.default_rng(0).standard_normal(x.shape, dtype=np.float32)
    pool = replace(pool_of(40_000, dim=2, labeled=100), embeddings=x)
    tracemalloc.start()
    select(pool, 20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < x.nbytes / 5
