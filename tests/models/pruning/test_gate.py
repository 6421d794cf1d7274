"""The gate: a pure decision on one paired comparison."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alearn.models.pruning.gate import Comparison, accept, compare, shortest_tap

unit = st.floats(0, 1)


@given(before=unit, after=unit, error=unit, tolerance=unit, metric=st.sampled_from(["accuracy", "calibration_error"]))
def test_a_network_is_accepted_exactly_where_the_metric_lost_no_more_than_is_tolerated(
    before: float, after: float, error: float, tolerance: float, metric: str
) -> None:
    """Whatever the direction of the metric; and the reason has the numbers."""
    found = Comparison(metric, before, after, error, 100)
    verdict = accept(found, tolerance)
    worse = before - after if metric == "accuracy" else after - before
    assert verdict.accepted == (worse <= tolerance)
    assert f"{error:.4f}" in verdict.reason
    assert f"{tolerance:g}" in verdict.reason


@given(seed=st.integers(0, 10), metric=st.sampled_from(["accuracy", "average_precision", "log_loss", "auroc"]))
def test_a_network_that_answers_the_same_loses_nothing_without_any_doubt(seed: int, metric: str) -> None:
    """The comparison is paired: what is the same in both is no noise."""
    rng = np.random.default_rng(seed)
    y, p = rng.integers(0, 2, 50), rng.dirichlet([1, 1], 50)
    found = compare(y, p, p, metric, seed=0)
    assert (found.loss, found.error) == (0, 0)
    assert accept(found, 0).accepted


def test_the_standard_error_is_that_of_repeated_draws() -> None:
    """Within a tenth of what fresh items say, for the accuracy of two networks that err apart."""
    rng = np.random.default_rng(0)

    def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        y = rng.integers(0, 2, 400)
        right = rng.random((2, 400)) < np.array([[0.9], [0.85]])
        return (y, *(np.eye(2)[np.where(one, y, 1 - y)] for one in right))

    losses = [compare(*drawn(), "accuracy", seed=0).loss for _ in range(300)]
    assert compare(*drawn(), "accuracy", seed=0).error == pytest.approx(np.std(losses), rel=0.15)


def test_items_of_a_group_are_one_piece_of_evidence() -> None:
    """Copies that are tied together leave the standard error as it was."""
    rng = np.random.default_rng(0)
    y, twice = rng.integers(0, 2, 100), np.repeat(np.arange(100), 2)
    before, after = rng.dirichlet([1, 1], 100), rng.dirichlet([1, 1], 100)
    single = compare(y, before, after, "accuracy", seed=0)
    tied = compare(y[twice], before[twice], after[twice], "accuracy", groups=twice, seed=0)
    assert (tied.error, tied.items) == (pytest.approx(single.error), 200)


def test_labels_that_cannot_decide_the_metric_refuse() -> None:
    """Never a guess."""
    found = compare(np.zeros(5, int), np.eye(2)[[0] * 5], np.eye(2)[[0] * 5], "average_precision", seed=0)
    assert not accept(found, 1.0).accepted
    assert "cannot be told from the 5 labels" in accept(found, 1.0).reason


scores = st.lists(st.one_of(unit, st.just(math.nan)), min_size=1, max_size=8)


@given(values=scores, tolerance=unit)
def test_the_shortest_tap_is_the_first_that_is_good_enough(values: list[float], tolerance: float) -> None:
    """Within the tolerance of the best; all before it are not. Where no tap has a score there is none."""
    found = shortest_tap({f"block{at}": value for at, value in enumerate(values)}, tolerance)
    known = [value for value in values if not math.isnan(value)]
    if not known:
        assert found is None
        return
    assert found is not None
    place = int(found.removeprefix("block"))
    assert values[place] >= max(known) - tolerance
    assert not any(value >= max(known) - tolerance for value in values[:place])
