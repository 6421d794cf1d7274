"""BADGE, TypiClust, Cluster-Margin, and the draws and clusters that they stand on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from alearn.core import seeding
from alearn.core.clustering import closest, clusters, kmeans
from alearn.core.geometry import nearest
from alearn.core.seeding import plus_plus
from alearn.core.strategies import Pool, resolve
from alearn.testing import pool_of


def gradients(pool: Pool) -> np.ndarray:
    """What BADGE never forms: (selectable, C * D)."""
    rows = pool.rows
    errors = pool.proba[rows].astype(np.float64)
    errors[np.arange(len(rows)), errors.argmax(axis=1)] -= 1
    return (errors[:, :, None] * pool.embeddings[rows][:, None, :]).reshape(len(rows), -1)


def naive_badge(pool: Pool, n: int, rng: np.random.Generator) -> list[int]:
    """k-means++ as it is written down."""
    g = gradients(pool)
    chosen = [int((g**2).sum(axis=1).argmax())]
    while len(chosen) < n:
        gaps = ((g[:, None] - g[chosen][None]) ** 2).sum(axis=2).min(axis=1)
        gaps[chosen] = 0
        chosen.append(int(rng.choice(len(g), p=gaps / gaps.sum())))
    return pool.rows[chosen].tolist()


class TestBadge:
    def test_each_pick_is_drawn_as_by_the_naive_algorithm(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The second, third and fifth pick are distributed as the naive one's: chi-squared, both samples counted."""
        monkeypatch.setattr(seeding, "PROPOSALS", 4)  # so that draws are rejected, and the pool is brought up to date
        pool, draws = pool_of(14, labeled=2), 2500
        ours = [resolve("badge").select(pool, 5, np.random.default_rng(at)).tolist() for at in range(draws)]
        theirs = [naive_badge(pool, 5, np.random.default_rng(10**6 + at)) for at in range(draws)]
        for place in (1, 2, 4):
            counts = np.array([np.bincount([one[place] for one in some], minlength=14) for some in (ours, theirs)])
            counts = counts[:, counts.sum(axis=0) >= 20]
            assert chi2_contingency(counts).pvalue > 1e-3

    def test_the_first_pick_is_the_largest_gradient(self) -> None:
        """As in the publication."""
        pool = pool_of(50)
        first = resolve("badge").select(pool, 3, np.random.default_rng(0))[0]
        assert first == pool.rows[(gradients(pool) ** 2).sum(axis=1).argmax()]

    def test_of_certain_items_one_is_asked_about_at_most(self) -> None:
        """A model that is sure of items imagines no gradient: all of them are in one place."""
        pool = pool_of(40, labeled=0)
        proba = pool.proba.copy()
        proba[:30] = [1, 0, 0]
        picks = resolve("badge").select(replace(pool, proba=proba), 10, np.random.default_rng(0))
        assert (picks < 30).sum() <= 1


class Line:
    """Numbers, as points."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def apart(self, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        return (self.values[some][:, None] - self.values[others]) ** 2

    def nearest(self, centers: np.ndarray) -> np.ndarray:
        return self.apart(np.arange(len(self)), centers).min(axis=1)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.integers(0, 6), min_size=1, max_size=40),
    share=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_draws_are_unique_and_those_that_coincide_come_last(values: list[int], share: float, seed: int) -> None:
    """Every different value is drawn before any of them twice."""
    n = max(1, round(share * len(values)))
    drawn = plus_plus(Line(np.array(values, float)), 0, n, np.random.default_rng(seed))
    assert len(set(drawn.tolist())) == n
    different = len(set(values))
    assert len(set(np.array(values)[drawn[:different]])) == min(n, different)


class TestClusters:
    def test_clusters_that_lie_apart_are_found(self) -> None:
        """Five groups of points, far from each other: five clusters, each with the points of one group."""
        rng = np.random.default_rng(0)
        group = rng.integers(5, size=300)
        x = (np.eye(5)[group] * 20 + rng.normal(size=(300, 5)) * 0.1).astype(np.float32)
        of_row, centers = clusters(x, np.arange(300), 5, rng)
        assert len(centers) == 5
        assert len(set(zip(group.tolist(), of_row.tolist(), strict=True))) == 5

    def test_lloyd_is_no_worse_than_its_start(self) -> None:
        """The sum of squared distances does not grow with steps."""
        x = np.random.default_rng(1).normal(size=(500, 8)).astype(np.float32)
        start = x[plus_plus(Line(x[:, 0].astype(float)), 0, 10, np.random.default_rng(2))]
        assert nearest(x, kmeans(x, 10, np.random.default_rng(2))).sum() < nearest(x, start).sum()

    @settings(max_examples=30, deadline=None)
    @given(different=st.integers(1, 6), copies=st.integers(1, 5), k=st.integers(1, 12))
    def test_no_more_clusters_than_different_rows(self, different: int, copies: int, k: int) -> None:
        """Copies of a row are one cluster."""
        x = np.repeat(np.eye(different, dtype=np.float32), copies, axis=0)
        centers = kmeans(x, k, np.random.default_rng(0))
        assert len(centers) <= min(k, different)
        assert np.isfinite(centers).all()
        assert len(set(closest(x, centers).tolist())) == len(centers)


class TestTypiclust:
    def test_each_cluster_without_a_label_is_asked_about_first(self) -> None:
        """Six groups, two of them labeled: the first four picks are of the other four."""
        rng = np.random.default_rng(0)
        group = np.arange(120) % 6
        x = (np.eye(6)[group] * 10 + rng.normal(size=(120, 6)) * 0.3).astype(np.float32)
        known = np.zeros(120, bool)
        known[[0, 1]] = True
        picks = resolve("typiclust").select(Pool(None, x, ~known, known), 4, rng)
        assert set(group[picks].tolist()) == {2, 3, 4, 5}

    def test_what_lies_alone_comes_last(self) -> None:
        """A cluster of a single outlier is noise."""
        rng = np.random.default_rng(0)
        x = np.concatenate([np.eye(3)[np.arange(60) % 3] * 10 + rng.normal(size=(60, 3)) * 0.3, [[-9, -9, -9]]])
        pool = Pool(None, x.astype(np.float32), np.ones(61, bool), np.zeros(61, bool))
        assert 60 not in resolve("typiclust").select(pool, 4, rng)


class TestClusterMargin:
    def test_the_batch_is_spread_over_clusters(self) -> None:
        """Near copies of the least certain item do not fill the batch: each cluster gives as many as another."""
        group = np.repeat(np.arange(4), 25)
        x = (
            np.eye(4, dtype=np.float32)[group]
            + np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32) * 0.01
        )
        sure = 0.5 + 0.1 * group + 0.001 * np.arange(100)
        pool = Pool(np.stack([sure, 1 - sure], axis=1), x, np.ones(100, bool), np.zeros(100, bool))
        picks = resolve("cluster_margin").select(pool, 8, np.random.default_rng(0))
        assert np.bincount(group[picks], minlength=4).min() >= 1
        assert set(group[resolve("margin").select(pool, 8, np.random.default_rng(0))].tolist()) == {0}
