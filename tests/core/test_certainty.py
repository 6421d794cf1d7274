"""What has to be measured until a bound passes a target."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alearn.core.estimation import Interval, lower_bound
from alearn.core.forecast import Growth, Outlook, Range, forecast, holdout_to_pass, level_to_pass, worth

LABELS = np.arange(20, 320, 20)

sizes = st.integers(30, 2000)
shares = st.floats(0.05, 0.98)
confidences = st.floats(0.8, 0.999)


def share(value: float, n: int, confidence: float, *, labels: int | None = None) -> Interval:
    """A share of n independent items with its exact lower bound; `labels` are how many items it is said to be of."""
    return Interval(value, float(lower_bound(value * n, n, confidence=confidence)), 1.0, labels or n)


def rising(seed: int) -> list[tuple[float, float]]:
    """A noisy power law to 0.95."""
    noise = 0.01 * np.random.default_rng(seed).standard_normal(len(LABELS))
    values = np.clip(0.95 - 1.5 * LABELS**-0.5 + noise, 0, 1)
    return list(zip(LABELS.astype(float), values.tolist(), strict=True))


@given(shares, sizes, confidences)
def test_a_share_of_single_items_is_worth_its_items(value: float, n: int, confidence: float) -> None:
    """Its bound is the exact one."""
    interval = share(value, n, confidence)
    assume(0 < interval.low < value)
    assert worth(interval, confidence=confidence) == pytest.approx(n, rel=1e-6)


@given(shares, sizes, confidences, st.floats(0.3, 0.99), st.integers(30, 4000))
def test_what_is_to_be_measured_is_just_enough(
    value: float, n: int, confidence: float, target: float, holdout: int
) -> None:
    """On so many labels a share of that has a bound at the target, and one that is a little less has not."""
    interval = share(value, n, confidence)
    assume(0 < interval.low < value)
    level = float(level_to_pass(interval, target, holdout, confidence=confidence))
    if math.isinf(level):
        assert float(lower_bound(holdout, holdout, confidence=confidence)) < target + 1e-6
        return
    assert target <= level <= 1
    assert float(lower_bound(level * holdout, holdout, confidence=confidence)) >= target - 1e-6
    assert float(lower_bound((level - 1e-4) * holdout, holdout, confidence=confidence)) < target


@given(shares, sizes, st.floats(1, 20), st.floats(0.3, 0.95), sizes, sizes)
def test_more_labels_and_less_clumped_ones_never_ask_for_more(
    value: float, n: int, clump: float, target: float, one: int, other: int
) -> None:
    """A larger hold-out takes a smaller distance; items in groups are worth fewer, and take a larger one."""
    single, clumped = share(value, n, 0.95), share(value, n, 0.95, labels=math.ceil(n * clump))
    assume(0 < single.low < value)
    few, many = sorted((one, other))
    levels = [level_to_pass(single, target, labels, confidence=0.95) for labels in (few, many)]
    assert levels[0] >= levels[1] - 1e-9
    assert level_to_pass(clumped, target, many, confidence=0.95) >= levels[1] - 1e-9


@given(shares, sizes, st.floats(0.3, 0.9), st.floats(0.01, 0.09))
def test_so_many_hold_out_labels_are_enough(value: float, n: int, target: float, above: float) -> None:
    """With them what has to be measured is no more than what is; with a tenth fewer it is."""
    interval = share(value, n, 0.95)
    assume(0 < interval.low < value)
    needed = holdout_to_pass(interval, target + above, target, confidence=0.95)
    assert needed is not None
    assert level_to_pass(interval, target, needed, confidence=0.95) <= target + above + 1e-6
    assert level_to_pass(interval, target, int(0.9 * needed), confidence=0.95) > target + above


def test_what_says_nothing_is_worth_its_labels() -> None:
    """No bound, a bound at an end, or no value; a level that is not above the target takes no number of labels."""
    for interval in (
        Interval(0.0, 0.0, 0.1, 40),
        Interval(0.9, 0.0, 1.0, 40),
        Interval(math.nan, math.nan, math.nan, 40),
    ):
        assert worth(interval, confidence=0.95) == 40
    assert holdout_to_pass(share(0.8, 100, 0.95), 0.9, 0.9, confidence=0.95) is None
    assert math.isinf(level_to_pass(share(0.8, 100, 0.95), 0.9, 0, confidence=0.95))


def growth(value: float, n: int, *, most: int, rate: float = 0.5) -> Growth:
    return Growth(share(value, n, 0.95), 0.95, rate, most)


@given(st.floats(0, 1), st.integers(1, 1000), st.integers(0, 3000), st.lists(st.integers(1, 5000), min_size=1))
def test_a_hold_out_grows_with_the_labels(rate: float, n: int, most: int, training: list[int]) -> None:
    """It is its rate of all labels, never fewer than now, and never more than allowed; so less has to be measured."""
    one, training = growth(0.8, n, most=most, rate=rate), sorted(training)
    sizes = one.labels(training)
    assert (np.diff(sizes) >= 0).all()
    assert (sizes >= n).all()
    assert (sizes <= max(n, most)).all()
    for labels, size in zip(training, sizes, strict=True):
        assert size in {n, max(n, most)} or size <= rate * (size + labels) + 1e-6 < size + 1
    levels = one.level(0.7, training)
    assert all(few >= many for few, many in pairwise(levels.tolist()))
    assert levels.tolist() == [float(one.level(0.7, labels)) for labels in training]


@given(st.integers(0, 2**32 - 1), st.integers(50, 800))
def test_certainty_never_takes_fewer_labels_than_the_level(seed: int, most: int) -> None:
    """A smaller hold-out makes it no nearer and no likelier; nor is it without any of its own labels on top."""
    found = forecast(rising(seed), rng=np.random.default_rng(0))
    assert found is not None
    level = found.outlook(0.88, 4000)
    small, large = (found.outlook(0.88, 4000, growth(0.87, 50, most=one)) for one in (most, 2 * most))
    assert level.labels.median <= large.labels.median <= small.labels.median
    assert level.chance >= large.chance >= small.chance
    for one in (small, large):
        assert one.measured is not None
        assert one.measured > 0.88
        assert one.takes >= one.labels.median
        assert 0 <= one.holdout <= 2 * most - 50


def test_only_the_hold_out_is_missing() -> None:
    """Where the metric is far above: as many labels as make it certain, no more than are allowed."""
    found = forecast(rising(1), rng=np.random.default_rng(0))
    assert found is not None
    far = found.outlook(0.8, 4000, growth(0.86, 50, most=1000))
    assert far.labels.median == 0
    needed = holdout_to_pass(share(0.86, 50, 0.95), found.now, 0.8, confidence=0.95)
    assert needed is not None
    assert far.holdout == needed - 50 > 0
    assert found.outlook(0.5, 4000, growth(0.86, 50, most=1000)).holdout == 0, "fifty are enough"


def test_certainty_in_words() -> None:
    """What has to be measured, the hold-out's labels, hours and money; and where only the hold-out is missing."""
    far = Outlook(0.86, 0.9, Range(210, 340, 620), 0.8, 5000, 0.9203, 300)
    assert far.words(10, 0.15, "EUR") == (
        "about 0.86 by the curve; certain at 0.9 (measured 0.921) takes about 340 more labels (210-620) "
        "and 300 of the hold-out, 1.8 annotator hours, 96 EUR"
    )
    near = replace(far, now=0.93, labels=Range(0, 0, 20), holdout=120)
    assert near.words(10) == (
        "about 0.93 by the curve; certain at 0.9 (measured 0.921) takes about 120 more labels of the hold-out, "
        "which is what is missing, 0.3 annotator hours"
    )
    assert "may be there at the next round" in replace(near, holdout=0).words()
    unlikely = replace(far, chance=0.2, measured=math.inf).words(10, 0.15, "EUR")
    assert unlikely.startswith("about 0.86 by the curve; certain at 0.9 looks out of reach")
    assert "a larger hold-out" in unlikely
