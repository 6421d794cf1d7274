"""Axes, and what is drawn along them."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from alearn.pages.drawing import Axis
from alearn.pages.plot import Margins, plot

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)


@given(NUMBERS, NUMBERS)
def test_ticks_lie_within_the_axis_and_are_few(one: float, other: float) -> None:
    """Whatever the range is."""
    low, high = sorted((one, other))
    axis = Axis(low, high, 0, 100)
    slack = 1e-6 * max(abs(axis.low), abs(axis.high), 1)
    assert all(axis.low - slack <= tick <= axis.high + slack for tick in axis.ticks())
    assert len(axis.ticks()) <= 10


def test_values_go_between_the_margins() -> None:
    """The least at the bottom left, the greatest at the top right."""
    at = plot((0, 10), (0, 1), size=(200, 100), margins=Margins(20, 30, 5, 15))
    assert (at.x(0), at.x(10), at.y(0), at.y(1)) == (20, 170, 85, 5)


def test_names_of_levels_do_not_lie_on_each_other() -> None:
    """Three levels at the same height have three lines of text."""
    at = plot((0, 1), (0, 1))
    made = list(at.levels({"a": 0.5, "b": 0.501, "c": 0.502}))
    heights = [float(re.findall(r'y="([\d.]+)"', one)[0]) for one in made if one.startswith("<text")]
    assert all(after - before >= 12 for before, after in pairwise(heights))


def test_a_drawing_is_sound_and_its_texts_are_escaped() -> None:
    """Its label is for those who do not see it, its names for a pointer."""
    bad = "<script>\"'&"
    at = plot((0, 2), (0, 1))
    parts = [*at.grid(bad, bad), at.area([0, 1], [0, 0], [1, 1], "#000"), at.line([0, 1], [0, 1], ("#000", "2 2"), bad)]
    parts += at.dots([0, 1], [0, 1], "#000", [bad, bad])
    found = ElementTree.fromstring(at.drawn(parts, bad))
    assert found.attrib["aria-label"] == bad
    assert [one.text for one in found.iter("title")] == [bad] * 3
