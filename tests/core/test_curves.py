"""Numbers read off a learning curve."""

from __future__ import annotations

import math

import pytest

from alearn.core.curves import area_under, labels_to

NAN = float("nan")
CURVE = [(10, 0.5), (20, 0.9), (30, 0.6), (40, 0.8), (50, 0.85)]


@pytest.mark.parametrize(("level", "labels"), [(0.5, 10), (0.7, 20), (0.9, 20), (0.95, None)])
def test_the_first_point_that_reaches_a_level(level: float, labels: float | None) -> None:
    """Reached exactly counts; never reached is None."""
    assert labels_to(CURVE, level) == labels


def test_a_window_discounts_a_lucky_round() -> None:
    """0.9 at 20 labels was luck: with its next two rounds it comes to 0.77; from 40 labels on it is 0.825."""
    assert labels_to(CURVE, 0.78) == 20
    assert labels_to(CURVE, 0.78, window=3) == 40


def test_a_round_without_a_number_is_left_out() -> None:
    """NaN neither reaches a level nor counts in the area."""
    assert labels_to([(10, NAN), (20, 0.7)], 0.6) == 20
    assert area_under([(10, 0.5), (15, NAN), (20, 0.7)]) == pytest.approx(0.6)


def test_the_area_is_a_mean_height() -> None:
    """By trapezoids over the labels, whatever their steps."""
    assert area_under([(0, 0.4), (10, 0.6), (30, 0.6)]) == pytest.approx((10 * 0.5 + 20 * 0.6) / 30)
    assert area_under([(10, 0.7)]) == 0.7
    assert math.isnan(area_under([]))
