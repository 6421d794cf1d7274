"""Statistics over runs: which strategy is better, and how surely."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from alearn.core.comparison import (
    band,
    cliques,
    critical_difference,
    friedman,
    holm,
    least_p,
    mean_ranks,
    paired,
    pairwise,
    wins,
)

TABLES = arrays(np.float64, st.tuples(st.integers(2, 9), st.integers(2, 5)), elements=st.integers(0, 9).map(float))
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@given(P_VALUES)
def test_holm_never_lowers_a_p_value_and_keeps_the_order(p: list[float]) -> None:
    corrected = holm(p)
    assert np.all(corrected >= np.asarray(p) - 1e-12)
    assert np.all(corrected <= 1)
    assert np.all(np.diff(corrected[np.argsort(p, kind="stable")]) >= 0)


def test_holm_is_that_of_the_textbook() -> None:
    """0.01 × 4, 0.02 × 3, then never less than before."""
    assert holm([0.02, 0.01, 0.04, math.nan, 0.03]) == pytest.approx([0.06, 0.04, 0.06, math.nan, 0.06], nan_ok=True)


def test_a_pair_is_judged_block_by_block() -> None:
    found = paired([3, 4, 5, 6, 7, 8, math.nan], [1, 2, 3, 4, 5, 6, 0])
    assert (found.n, found.difference) == (6, 2.0)
    assert found.p == pytest.approx(least_p(6)) == 0.03125


def test_what_cannot_be_decided_is_not_decided() -> None:
    """No block gives NaN, no difference gives 1, and five seeds can never give 5 %."""
    assert math.isnan(paired([math.nan], [1.0]).p)
    assert paired([1.0, 2.0], [1.0, 2.0]).p == 1.0
    assert least_p(5) > 0.05 > least_p(6)
    assert least_p(0) == 1


@given(TABLES)
def test_wins_ties_and_losses_make_up_all_blocks(table: np.ndarray) -> None:
    won = wins(table, tie=1)
    assert np.all(won + won.T <= len(table))
    assert np.all(np.diag(won) == 0)
    assert np.array_equal(wins(-table, tie=1), won.T)


@given(TABLES)
def test_ranks_share_what_there_is(table: np.ndarray) -> None:
    """Ranks sum to k (k + 1) / 2, whatever the ties; a column that is never worse ranks no worse."""
    ranks, k = mean_ranks(table), table.shape[1]
    assert ranks.sum() == pytest.approx(k * (k + 1) / 2)
    better = np.column_stack([table, table.max(axis=1) + 1])
    assert mean_ranks(better)[-1] == 1


@settings(max_examples=25)
@given(TABLES)
def test_every_pair_has_one_p_value(table: np.ndarray) -> None:
    p = pairwise(table)
    assert np.array_equal(p, p.T, equal_nan=True)
    assert np.all(np.isnan(np.diag(p)))
    off = p[~np.eye(len(p), dtype=bool)]
    assert np.all((off >= 0) & (off <= 1))


def test_the_critical_difference_is_that_of_the_tables() -> None:
    """Demšar 2006: q is 2.343 for 3 and 2.728 for 5 classifiers."""
    assert critical_difference(3, 10) == pytest.approx(2.343 * math.sqrt(3 * 4 / 60), rel=1e-3)
    assert critical_difference(5, 30) == pytest.approx(2.728 * math.sqrt(5 * 6 / 180), rel=1e-3)
    assert math.isnan(critical_difference(1, 5))


def test_friedman_needs_three_columns_and_two_blocks() -> None:
    assert math.isnan(friedman(np.zeros((5, 2))))
    assert math.isnan(friedman(np.zeros((1, 3))))
    assert friedman(np.ones((5, 3))) == 1.0
    assert friedman([[3, 2, 1]] * 6) < 0.01


def test_cliques_are_the_largest_groups_that_cannot_be_told_apart() -> None:
    assert cliques([1.0, 1.5, 2.4, 4.0], 1.0) == [(0, 1), (1, 2)]
    assert cliques([2.0, 1.0, 1.1], 5.0) == [(1, 2, 0)]
    assert cliques([1.0, 3.0], 1.0) == []


CURVES = st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=6), min_size=1, max_size=5)


@given(CURVES)
def test_a_band_holds_its_mean_and_stays_among_the_curves(heights: list[list[float]]) -> None:
    curves = [[(10.0 * at, value) for at, value in enumerate(one, 1)] for one in heights]
    found = band(curves, rng=np.random.default_rng(0), resamples=50)
    assert np.all((found.low <= found.mean) & (found.mean <= found.high))
    assert found.labels[0] == 10
    assert found.labels[-1] == 10 * min(len(one) for one in heights)
    assert found.low.min(initial=1) >= min(map(min, heights)) - 1e-9
    assert found.high.max(initial=0) <= max(map(max, heights)) + 1e-9


def test_curves_of_other_batches_share_a_grid() -> None:
    """Between its points a curve is a line; a round that could not be measured is none."""
    found = band([[(0, 0.0), (10, 1.0)], [(0, 0.0), (4, math.nan), (5, 0.5), (12, 1.2)]], rng=np.random.default_rng(0))
    assert found.labels.tolist() == [0, 5, 10]
    assert found.mean == pytest.approx([0.0, 0.5, 1.0])
    assert not len(band([], rng=np.random.default_rng(0)).labels)
