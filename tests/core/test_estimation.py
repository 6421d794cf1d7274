"""Intervals: exact where theory has an answer, honest by simulation where it has none."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from alearn.core.estimation import Interval, bootstrap
from alearn.core.metrics import METRICS


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def answers(n: int, wrong: int) -> tuple[np.ndarray, np.ndarray]:
    """Items of two classes, the first `wrong` of which are predicted wrongly."""
    y = np.arange(n) % 2
    predicted = np.where(np.arange(n) < wrong, 1 - y, y)
    return y, np.eye(2)[predicted] * 0.8 + 0.1


def world(n: int, generator: np.random.Generator, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """A model that is right more often than not; the first class is twice as frequent."""
    share = np.ones(classes)
    share[0] = 2
    y = generator.choice(classes, n, p=share / share.sum())
    z = generator.normal(size=(n, classes))
    z[np.arange(n), y] += 2
    return y, np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("n", "wrong"), [(30, 0), (30, 30), (50, 1), (100, 8), (400, 100)])
def test_accuracy_has_the_interval_of_clopper_and_pearson(n: int, wrong: int) -> None:
    """Exactly, but for the finite number of resamples; all right and all wrong included."""
    found = bootstrap(*answers(n, wrong), range(n), "accuracy", confidence=0.9, rng=rng(), resamples=20_000)
    right = n - wrong
    low = beta.ppf(0.05, right, wrong + 1) if right else 0
    high = beta.ppf(0.95, right + 1, wrong) if wrong else 1
    assert found == Interval(right / n, pytest.approx(low, abs=0.003), pytest.approx(high, abs=0.003), n)


def test_a_far_tail_is_resolved() -> None:
    """At 99.95 % one-sided a thousand resamples would say next to nothing, so more are drawn."""
    lows = [
        bootstrap(*answers(200, 20), range(200), "accuracy", confidence=0.999, rng=rng(seed)).low for seed in range(5)
    ]
    assert np.mean(lows) == pytest.approx(beta.ppf(0.0005, 180, 21), abs=0.006)


@pytest.mark.parametrize("metric", list(METRICS))
@settings(max_examples=10, deadline=None)
@given(n=st.integers(1, 40), classes=st.integers(2, 5), confidence=st.floats(0, 0.99), seed=st.integers(0, 1000))
def test_the_interval_holds_the_value(metric: str, n: int, classes: int, confidence: float, seed: int) -> None:
    """low <= value <= high within the metric's range, or nothing but NaN; and always the count."""
    y, p = world(n, rng(seed), classes)
    found = bootstrap(y, p, rng(seed).integers(0, n, n), metric, confidence=confidence, rng=rng(), resamples=60)
    assert found.n == n
    value = METRICS[metric].compute(y, p)
    if math.isnan(value):
        assert math.isnan(found.value)
        assert math.isnan(found.low)
        assert math.isnan(found.high)
    else:
        assert 0 <= found.low <= found.value == value <= found.high
        assert found.high <= 1 or not METRICS[metric].bounded


@pytest.mark.parametrize("metric", ["accuracy", "f1", "macro_f1", "average_precision", "auroc"])
def test_the_lower_bound_is_rarely_above_the_truth(metric: str) -> None:
    """At 95 % one-sided, 200 hold-outs of 60: at most 10 wrong in expectation, 18 allowed for the luck of the draw."""
    generator = rng(11)
    truth = METRICS[metric].compute(*world(200_000, generator))
    lows = [bootstrap(*world(60, generator), range(60), metric, confidence=0.9, rng=generator).low for _ in range(200)]
    assert sum(low > truth for low in lows) <= 18


def test_the_interval_is_not_idle() -> None:
    """Prudent, but of use: on 200 items, F1 is bounded about as tightly as its spread from sample to sample demands."""
    generator = rng(3)
    found = [bootstrap(*world(200, generator), range(200), "f1", confidence=0.9, rng=generator) for _ in range(60)]
    spread = np.std([one.value for one in found])
    assert 1.3 * spread < np.mean([one.value - one.low for one in found]) < 2.4 * spread


@pytest.mark.parametrize("metric", ["accuracy", "f1", "macro_f1", "average_precision", "auroc"])
def test_luck_is_not_certainty(metric: str) -> None:
    """Thirty right answers of thirty do not certify 95 %, whichever the metric."""
    found = bootstrap(*answers(30, 0), range(30), metric, confidence=0.9, rng=rng())
    assert found.value == 1
    assert 0.5 < found.low < 0.95


def test_items_of_a_group_are_one_piece_of_evidence() -> None:
    """Ten copies of each item make the interval no narrower."""
    y, p = answers(40, 8)
    single = bootstrap(y, p, range(40), "accuracy", rng=rng(), resamples=4000)
    copies = bootstrap(
        np.repeat(y, 10), np.repeat(p, 10, axis=0), np.repeat(np.arange(40), 10), "accuracy", rng=rng(), resamples=4000
    )
    assert copies.low == pytest.approx(single.low, abs=0.01)
    assert copies.high == pytest.approx(single.high, abs=0.01)
    loose = bootstrap(np.repeat(y, 10), np.repeat(p, 10, axis=0), range(400), "accuracy", rng=rng(), resamples=4000)
    assert loose.high - loose.low < 0.5 * (copies.high - copies.low)


def test_one_group_proves_next_to_nothing() -> None:
    """A hundred photographs of one thing: the interval is nearly everything."""
    found = bootstrap(*answers(100, 5), ["same"] * 100, "accuracy", confidence=0.9, rng=rng())
    assert found.low < 0.15
    assert found.value == 0.95


def test_one_class_only_still_has_an_accuracy() -> None:
    """No positive at all: accuracy has a bound, F1 of the positives has no value."""
    y, p = np.zeros(50, int), np.tile([0.9, 0.1], (50, 1))
    assert 0.93 < bootstrap(y, p, range(50), "accuracy", confidence=0.9, rng=rng()).low < 0.96
    assert math.isnan(bootstrap(y, p, range(50), "f1", rng=rng()).low)


@pytest.mark.parametrize("n", [0, 1])
def test_almost_no_items(n: int) -> None:
    """None: NaN and n = 0. One: its value, and bounds that say how little that is."""
    found = bootstrap(np.zeros(n, int), np.tile([0.9, 0.1], (n, 1)), range(n), "accuracy", confidence=0.9, rng=rng())
    assert found.n == n
    assert math.isnan(found.value) if n == 0 else (found.value == 1 and found.low < 0.2)


def test_the_same_randomness_gives_the_same_interval() -> None:
    """A round can be replayed; a large hold-out is resampled in pieces all the same."""
    y, p = world(3000, rng())
    first = bootstrap(y, p, range(3000), "auroc", rng=rng(5))
    assert first == bootstrap(y, p, range(3000), "auroc", rng=rng(5))


def test_more_confidence_is_a_wider_interval() -> None:
    """Down to confidence 0, where the bounds are medians."""
    y, p = answers(80, 12)
    widths = [
        found.high - found.low
        for level in (0, 0.5, 0.9, 0.99)
        for found in [bootstrap(y, p, range(80), "f1", confidence=level, rng=rng())]
    ]
    assert widths == sorted(widths)


@pytest.mark.parametrize("metric", list(METRICS))
@pytest.mark.parametrize("classes", [2, 77])
def test_a_thousand_resamples_of_five_hundred_items_take_well_under_a_second(metric: str, classes: int) -> None:
    """Processor time, so that neighbours do not count."""
    y, p = world(500, rng(), classes)
    start = time.process_time()
    bootstrap(y, p, range(500), metric, rng=rng())
    assert time.process_time() - start < 1


def test_weights_are_copies() -> None:
    """An item that counts for two is measured as two items of one group; the interval is as wide or wider."""
    y, p = world(60, rng(4))
    twice = np.where(np.arange(60) < 20, 2.0, 1.0)
    many = np.repeat(np.arange(60), twice.astype(int))
    ours = bootstrap(y, p, range(60), "macro_f1", rng=rng(), resamples=4000, weights=twice / twice.mean())
    copies = bootstrap(y[many], p[many], many, "macro_f1", rng=rng(), resamples=4000)
    assert ours.value == pytest.approx(copies.value)
    assert ours.low == pytest.approx(copies.low, abs=0.02)
    assert ours.high == pytest.approx(copies.high, abs=0.02)


def test_equal_weights_change_nothing() -> None:
    """As if there were none."""
    y, p = world(50, rng(5))
    plain, weighted = (bootstrap(y, p, range(50), "f1", rng=rng(), weights=weights) for weights in (None, np.ones(50)))
    assert plain == weighted
