"""The table of a report, sizes of hold-outs, and numbers instead of classes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, mean_absolute_error, precision_score, r2_score, recall_score

from alearn.core.estimation import (
    Interval,
    exact,
    figures,
    labels_for_margin,
    labels_to_pass,
    labels_to_tighten,
    lower_bound,
    measure_numbers,
    wilson,
)

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int, n: int = 60, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(classes, size=n), rng.dirichlet(np.ones(classes), n)


@pytest.mark.parametrize("seed", range(5))
def test_figures_are_those_of_scikit_learn(seed: int) -> None:
    """Precision, recall and F1 of each class, and their means; each within its interval."""
    y, proba = drawn(seed)
    said, found = proba.argmax(axis=1), figures(y, proba, range(len(y)), rng=np.random.default_rng(0))
    for at, one in enumerate(found.classes):
        assert one.precision.value == pytest.approx(precision_score(y == at, said == at, zero_division=0))
        assert one.recall.value == pytest.approx(recall_score(y == at, said == at))
        assert one.f1.value == pytest.approx(f1_score(y == at, said == at))
        assert (one.labels, one.predictions) == ((y == at).sum(), (said == at).sum())
        for interval in (one.precision, one.recall, one.f1):
            assert 0 <= interval.low <= interval.value <= interval.high <= 1
    for average in ("macro", "micro", "weighted"):
        name = f"{average}_f1"
        assert found.overall[name].value == pytest.approx(f1_score(y, said, average=average))


def test_groups_are_one_piece_of_evidence() -> None:
    """Ten copies of each item tell no more than the items."""
    y, proba = drawn(1)
    ten = figures(
        np.repeat(y, 10), np.repeat(proba, 10, axis=0), np.repeat(range(len(y)), 10), rng=np.random.default_rng(0)
    )
    one = figures(y, proba, range(len(y)), rng=np.random.default_rng(0))
    assert ten.classes[0].recall.high - ten.classes[0].recall.low > 0.7 * (
        one.classes[0].recall.high - one.classes[0].recall.low
    )


def test_figures_of_groups_cover_the_truth() -> None:
    """Items that are right or wrong together: intervals hold the truth about as often as they say, or oftener."""
    rng, inside = np.random.default_rng(0), []
    for _ in range(50):
        group = np.repeat(np.arange(50), rng.integers(1, 9, 50))
        y = rng.integers(3, size=50)[group]
        right = rng.random(len(group)) < rng.beta(4, 1, 50)[group]
        said = np.where(right, y, (y + rng.integers(1, 3, len(group))) % 3)
        found = figures(y, np.eye(3)[said], group, rng=rng)
        told = [found.overall["weighted_f1"], *(one.recall for one in found.classes), found.classes[0].precision]
        inside.append([one.low <= 0.8 <= one.high for one in told])
    assert (np.mean(inside, axis=0) >= 0.95 - 2 * math.sqrt(0.05 * 0.95 / 50)).all()


def test_a_hold_out_without_an_item_decides_nothing() -> None:
    """Every figure is unknown."""
    found = figures([], np.empty((0, 2)), [], rng=np.random.default_rng(0))
    assert not any(one.known for one in found.overall.values())
    assert not any(one.known for row in found.classes for one in (row.precision, row.recall, row.f1))


def test_a_class_that_is_not_there_is_unknown() -> None:
    """No label, no recall."""
    found = figures([0, 0, 1], np.eye(3)[[0, 0, 1]], range(3), rng=np.random.default_rng(0))
    assert not found.classes[2].recall.known
    assert not found.classes[2].precision.known


@given(st.integers(1, 500), st.floats(0, 1), st.floats(0.5, 0.99))
def test_intervals_of_a_share(n: int, share: float, confidence: float) -> None:
    """Both hold the share; the exact one is the wider where the share is far from certain; more confidence is wider."""
    right = round(share * n)
    for rule in (exact, wilson):
        found, wider = rule(right, n, confidence=confidence), rule(right, n, confidence=(1 + confidence) / 2)
        assert 0 <= found.low <= right / n <= found.high <= 1
        assert wider.low <= found.low + 1e-12
        assert wider.high >= found.high - 1e-12


@given(st.floats(0.02, 0.2), st.floats(0.5, 0.95))
def test_so_many_labels_tell_a_share_so_exactly(margin: float, value: float) -> None:
    """Not one label fewer would, but for rounding."""
    n = labels_for_margin(margin, value=value)
    half = [(exact(round(value * one), one).high - exact(round(value * one), one).low) / 2 for one in (n, n // 2)]
    assert half[0] <= margin * 1.15
    assert half[1] > margin
    assert labels_for_margin(margin / 2, value=value) > n


def test_plus_minus_three_points() -> None:
    """The question of the first day."""
    assert 1000 < labels_for_margin(0.03) < 1150


def test_a_better_model_passes_sooner() -> None:
    """And one that is not above the target never does."""
    needed = labels_to_pass(0.95, 0.9)
    assert needed is not None
    assert lower_bound(0.95 * needed, needed) >= 0.9
    later = labels_to_pass(0.92, 0.9)
    assert later is not None
    assert later > needed
    assert labels_to_pass(0.9, 0.9) is None


@given(st.floats(0.01, 0.98), st.floats(0.02, 0.3), st.floats(0.5, 0.999))
def test_the_fewest_labels_to_pass_are_the_fewest(target: float, more: float, confidence: float) -> None:
    """So many pass, one fewer does not, and every larger number passes; shares near 0 included."""
    value = min(target + more, 1.0)
    found = labels_to_pass(value, target, confidence=confidence)
    assert found is not None
    sizes = np.arange(1, 2 * found + 50)
    passed = lower_bound(value * sizes, sizes, confidence=confidence) >= target
    assert not passed[: found - 1].any()
    assert passed[found - 1 :].all()


@pytest.mark.parametrize(("precision", "labels"), [(0.95, 59), (0.98, 149), (0.99, 299)])
def test_labels_without_an_error_that_show_a_precision(precision: float, labels: int) -> None:
    """The numbers of the rule of three, exactly."""
    assert labels_to_pass(1.0, precision) == labels


def test_nothing_within_a_million_is_no_plan() -> None:
    """A target a hair below the value."""
    assert labels_to_pass(0.9001, 0.9) is None


def test_an_interval_tightens_with_the_root_of_the_labels() -> None:
    """Half as wide takes four times as many."""
    assert labels_to_tighten(Interval(0.8, 0.7, 0.9, 100), 0.05) in {400, 401}
    assert labels_to_tighten(Interval(float("nan"), float("nan"), float("nan"), 0), 0.05) is None


@given(SEEDS)
def test_numbers_have_the_metrics_of_scikit_learn(seed: int) -> None:
    """With an interval that holds them."""
    rng = np.random.default_rng(seed)
    y = rng.standard_normal(50)
    said = y + 0.5 * rng.standard_normal(50)
    for name, rule in (("mae", mean_absolute_error), ("r2", r2_score)):
        found = measure_numbers(y, said, range(50), name, rng=np.random.default_rng(0), resamples=200)
        assert found.value == pytest.approx(rule(y, said))
        assert found.low <= found.value <= found.high


def test_the_interval_of_an_error_covers_the_true_one() -> None:
    """About as often as it says."""
    rng, inside, truth = np.random.default_rng(0), 0, np.sqrt(2 / np.pi)
    for _ in range(200):
        y, noise = rng.standard_normal((2, 80))
        found = measure_numbers(y, y + noise, range(80), "mae", rng=rng, resamples=200)
        inside += found.low <= truth <= found.high
    assert 180 <= inside <= 200
