"""Where a learning curve goes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alearn.core.forecast import forecast
from alearn.core.forecast.forms import forms

LABELS = np.arange(20, 320, 20)


def curve(seed: int, noise: float = 0.01, *, top: float = 0.95, rise: float = 1.5, exponent: float = 0.5) -> np.ndarray:
    """A noisy power law."""
    rng = np.random.default_rng(seed)
    return np.clip(top - rise * LABELS**-exponent + noise * rng.standard_normal(len(LABELS)), 0, 1)


def points(values: np.ndarray) -> list[tuple[float, float]]:
    return list(zip(LABELS.astype(float), values.tolist(), strict=True))


def test_a_power_law_is_continued() -> None:
    """What it says of twice the labels is true about as often as it claims, and close."""
    inside, errors = 0, []
    for seed in range(40):
        found = forecast(points(curve(seed)), rng=np.random.default_rng(seed))
        assert found is not None
        told, truth = found.value(600), 0.95 - 1.5 * 600**-0.5
        inside += told.low <= truth <= told.high
        errors.append(abs(told.median - truth))
    assert inside >= 30
    assert np.median(errors) < 0.02


@given(st.integers(0, 2**32 - 1), st.floats(0.001, 0.1))
def test_ranges_are_in_order_and_in_reach(seed: int, noise: float) -> None:
    """Whatever the rounds were: numbers in [0, 1], more labels never promise less than nothing."""
    found = forecast(points(curve(seed, noise)), rng=np.random.default_rng(0))
    assert found is not None
    for labels in (300, 400, 3000):
        told = found.value(labels)
        assert 0 <= told.low <= told.median <= told.high <= 1
    far = found.outlook(0.9, 5000)
    assert far.labels.low <= far.labels.median <= far.labels.high
    assert 0 <= far.chance <= 1


@given(st.integers(0, 2**32 - 1))
def test_a_higher_level_needs_more_labels(seed: int) -> None:
    """And a larger pool makes it no less likely."""
    found = forecast(points(curve(seed)), rng=np.random.default_rng(0))
    assert found is not None
    near, far = found.outlook(0.88, 4000), found.outlook(0.92, 4000)
    assert near.labels.median <= far.labels.median
    assert near.chance >= far.chance
    assert found.outlook(0.92, 8000).chance >= far.chance - 0.02


def test_so_many_labels_it_takes_until_a_round_measures_a_level() -> None:
    """The 80 % interval holds the first round, of those to come, whose value is there, about as often as it says."""
    inside, runs, later = 0, 60, np.arange(320.0, 3000, 20)
    for seed in range(runs):
        found = forecast(points(curve(seed)), rng=np.random.default_rng(seed))
        assert found is not None
        measured = 0.95 - 1.5 * later**-0.5 + 0.01 * np.random.default_rng([seed, 1]).standard_normal(len(later))
        truth = later[(measured >= 0.875).argmax()] - LABELS[-1]
        told = found.outlook(0.875, 10_000).labels
        inside += told.low <= truth <= told.high
    assert inside >= 0.8 * runs


def test_few_rounds_have_no_direction() -> None:
    """Below five rounds there is no forecast; those without a value do not count."""
    assert forecast(points(curve(0))[:4], rng=np.random.default_rng(0)) is None
    gaps = [(labels, math.nan) for labels, _ in points(curve(0))]
    assert forecast(gaps, rng=np.random.default_rng(0)) is None
    assert forecast([], rng=np.random.default_rng(0)) is None


def test_a_flat_curve_gains_nothing() -> None:
    """A plateau is seen as one."""
    found = forecast(points(np.full(len(LABELS), 0.8)), rng=np.random.default_rng(0))
    assert found is not None
    assert found.gain(100).high < 0.01
    assert found.outlook(0.9, 1000).out_of_reach


def test_it_says_it_in_words() -> None:
    """How many labels, how sure, and how many hours; or that it looks out of reach, and what would help."""
    found = forecast(points(curve(1)), rng=np.random.default_rng(0))
    assert found is not None
    said = found.outlook(0.88, 100_000).words(10.0)
    assert "needs about" in said
    assert "annotator hours" in said
    assert "out of reach" in found.outlook(0.999, 100).words()
    assert "is there" in found.outlook(0.1, 100).words()


def test_the_same_randomness_gives_the_same_forecast() -> None:
    """So that a round can be decided again."""
    one, two = (forecast(points(curve(3)), rng=np.random.default_rng(7)) for _ in range(2))
    assert one is not None
    assert two is not None
    assert one.value(500) == two.value(500)


def test_forms_fall() -> None:
    """Every form falls, and the weights of all families are what is believed of them."""
    n = np.geomspace(10, 10_000, 50)
    for one in forms(300):
        assert (np.diff(one.falling(n)) < 1e-12).all()
        assert one.falling(n)[0] > one.falling(n)[-1]
    assert sum(one.weight for one in forms(300)) == pytest.approx(2.15)
