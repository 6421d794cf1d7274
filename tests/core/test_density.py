"""Information density: the formula of the paper, in linear time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alearn.core import geometry, uncertainty
from alearn.core.strategies import STRATEGIES, Pool, density
from alearn.testing import pool_of


def naive_density(pool: Pool) -> np.ndarray:
    """The whole matrix of cosines, in double precision."""
    x = pool.embeddings.astype(np.float64)
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    unit = np.divide(x, lengths, out=np.zeros_like(x), where=lengths > 0)
    return (unit @ unit[~pool.labeled].T).mean(axis=1)


@settings(max_examples=30, deadline=None)
@given(size=st.integers(2, 80), labeled=st.integers(0, 20), seed=st.integers(0, 10_000), block=st.integers(6, 500))
def test_the_mean_similarity_is_that_of_the_whole_matrix(size: int, labeled: int, seed: int, block: int) -> None:
    """Each item against each item without a label, whatever the blocks."""
    pool = pool_of(size, labeled=min(labeled, size - 1), seed=seed)
    pool.embeddings[0] = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geometry, "BLOCK", block)
        found = density.densities(pool, np.arange(size))
    assert found == pytest.approx(naive_density(pool), abs=1e-5)


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.5])
def test_the_score_is_margin_times_density_to_the_power_of_beta(beta: float) -> None:
    """With beta = 0 it is margin sampling."""
    pool = pool_of(200)
    dense = np.maximum(naive_density(pool), density.FLOOR)
    expected = (uncertainty.margin(pool.proba) * dense**beta)[pool.rows]
    assert density.scores(pool, pool.rows, beta) == pytest.approx(expected, rel=1e-3, abs=1e-6)
    picks = STRATEGIES["information_density"].function(pool, 10, np.random.default_rng(0), beta=beta)
    assert picks.tolist() == pool.rows[np.argsort(-expected)[:10]].tolist()


def test_an_outlier_is_not_asked_about_however_unsure() -> None:
    """That is what the density is for: margin asks about it first."""
    pool = pool_of(100)
    row = pool.rows[3]
    pool.embeddings[:] = np.abs(pool.embeddings) * (1, 1, 1, 1, 1, 0)
    pool.embeddings[row] = (0, 0, 0, 0, 0, 9)
    pool.proba[row] = 1 / 3
    assert STRATEGIES["margin"].select(pool, 1, np.random.default_rng(0)).tolist() == [row]
    assert row not in STRATEGIES["information_density"].select(pool, 30, np.random.default_rng(0))


def test_items_like_nothing_come_last_by_their_margins() -> None:
    """A mean similarity of 0 or less leaves the order of the margins."""
    pool = pool_of(50, labeled=0)
    x = np.concatenate([np.eye(6)[[0] * 40], -np.eye(6)[[0] * 10]]).astype(np.float32)
    picks = STRATEGIES["information_density"].select(replace(pool, embeddings=x), 50, np.random.default_rng(0))
    margins = uncertainty.margin(pool.proba)
    assert set(picks[40:]) == set(range(40, 50))
    assert (np.diff(margins[picks[40:]]) <= 0).all()


def test_a_pool_in_which_all_is_labeled_still_has_a_density() -> None:
    """Labeled items may be selectable: then the density is that among all of them."""
    pool = pool_of(20)
    pool = replace(pool, labeled=np.ones(20, bool), selectable=np.ones(20, bool))
    assert np.isfinite(density.densities(pool, np.arange(20))).all()
