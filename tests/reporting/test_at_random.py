"""Chosen labels beside random ones: fair, and honest about what the hold-out cannot show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from alearn.reporting.at_random import Curves, Lot, Question, compared, reached, rising, saved
from alearn.reporting.savings import _beyond, _told
from alearn.reporting.words import beyond, saving

ASKED = Question(classes=2, metric="accuracy", positive=None, seed=0)


def lot(rng: np.random.Generator, count: int, *, right: float = 1.0, prefix: str = "g") -> Lot:
    """Two classes that overlap a little in four features; so many labels are right."""
    y = rng.integers(0, 2, count)
    x = (rng.normal(size=(count, 4)) + 1.2 * y[:, None]).astype(np.float32)
    wrong = rng.random(count) > right
    return Lot(x, np.where(wrong, 1 - y, y).astype(np.intp), [f"{prefix}{at}" for at in range(count)])


def nothing() -> Lot:
    return Lot(np.empty((0, 4), np.float32), np.empty(0, np.intp), [])


@given(arrays(float, (6, 3), elements=st.floats(0, 1)))
def test_a_rising_curve_never_falls_and_keeps_its_mean(values: np.ndarray) -> None:
    """Isotonic regression: what rises already is left alone."""
    found = rising(values)
    assert (np.diff(found, axis=0) >= -1e-12).all()
    assert found.mean(axis=0) == pytest.approx(values.mean(axis=0))
    assert rising(np.sort(values, axis=0)) == pytest.approx(np.sort(values, axis=0))


def test_a_level_is_reached_on_the_line_between_two_points() -> None:
    """At the first point when the curve begins above it."""
    labels = np.array([10, 20, 40])
    curves = np.array([[0.5, 0.9], [0.7, 0.9], [0.8, 0.95]])
    assert reached(labels, curves, np.array([0.75, 0.6])).tolist() == pytest.approx([30, 10])
    assert reached(labels, curves, np.array([0.5, 0.95])).tolist() == pytest.approx([10, 40])


def test_labels_that_are_random_themselves_save_nothing_that_can_be_shown() -> None:
    """The interval of what is saved holds 0, and the sentence claims nothing."""
    rng = np.random.default_rng(1)
    found = compared(lot(rng, 200), lot(rng, 150, prefix="h"), nothing(), ASKED, rng)
    assert found is not None
    told = _told(found) | {"title": "Accuracy"}
    assert told["saved"]["low"] <= 0 <= told["saved"]["high"]
    assert "cannot show a difference" in saving(told)


def test_labels_that_teach_the_wrong_thing_are_behind() -> None:
    """A strategy that is worse than random is called so."""
    rng = np.random.default_rng(2)
    found = compared(lot(rng, 150, right=0.3), lot(rng, 150, prefix="h"), nothing(), ASKED, rng)
    assert found is not None
    told = _told(found) | {"title": "Accuracy"}
    assert told["gap"]["high"] < 0
    assert told["saved"]["value"] < 0


def test_no_head_sees_the_group_that_it_is_judged_on() -> None:
    """Two copies of every item with a label by chance: whoever saw the other copy would be right."""
    rng = np.random.default_rng(3)
    x = np.repeat(rng.normal(size=(60, 40)).astype(np.float32), 2, axis=0)
    y = np.repeat(rng.integers(0, 2, 60), 2).astype(np.intp)
    drawn = Lot(x, y, [f"h{at // 2}" for at in range(120)])
    chosen = Lot(rng.normal(size=(100, 40)).astype(np.float32), rng.integers(0, 2, 100).astype(np.intp), ["c"] * 100)
    found = compared(chosen, drawn, Lot(x[:0], y[:0], []), ASKED, rng)
    assert found is not None
    assert found.random[-1, 0] < 0.7


def test_too_few_labels_tell_nothing() -> None:
    """Of either side."""
    rng = np.random.default_rng(4)
    assert compared(lot(rng, 100), lot(rng, 39, prefix="h"), nothing(), ASKED, rng) is None
    assert compared(lot(rng, 20), lot(rng, 100, prefix="h"), nothing(), ASKED, rng) is None


def test_the_same_seed_gives_the_same_curves_and_progress_ends_at_its_total() -> None:
    """And curves come from as many labels as they say."""
    told: list[tuple[int, int]] = []
    asked = Question(2, "accuracy", None, 0, lambda done, total: told.append((done, total)))
    curves = []
    for _ in range(2):
        rng = np.random.default_rng(5)
        curves.append(compared(lot(rng, 90), lot(rng, 60, prefix="h"), lot(rng, 10, prefix="r"), asked, rng))
    first, second = curves
    assert first is not None
    assert second is not None
    assert first.random.tolist() == second.random.tolist()
    assert (first.labels[0], first.labels[-1], first.spent) == (20, 58, 90)
    assert told[-1][0] == told[-1][1]


def test_what_is_beyond_the_random_curve_is_a_forecast_with_its_interval() -> None:
    """And is not asked for where the random labels have come as far already."""
    labels = np.array([20, 30, 45, 70, 100, 150])
    random = np.repeat((0.95 - 1.2 / np.sqrt(labels))[:, None], 50, axis=1)
    random[:, 1:] += 0.01 * np.random.default_rng(0).standard_normal(49)
    curves = Curves(labels, random + 0.05, random, np.full(50, 0.89), 300)
    found = _beyond(curves, np.random.default_rng(0))
    assert found is not None
    assert found["labels"]["low"] < found["labels"]["median"]
    assert 200 < found["labels"]["median"] < 1500
    assert "80 % interval" in str(beyond({"beyond": found, "title": "Accuracy"}))
    behind = Curves(labels, random, random, np.full(50, 0.5), 300)
    assert _beyond(behind, np.random.default_rng(0)) is None


def test_the_level_is_one_that_both_reach() -> None:
    """The better curve needs fewer labels for what the other has at its end."""
    labels = np.array([20, 40, 80])
    slow, fast = np.array([[0.5], [0.6], [0.7]]), np.array([[0.6], [0.7], [0.8]])
    found = saved(Curves(labels, fast, slow, fast[-1], 80))
    assert [found.level[0], found.chosen[0], found.random[0]] == pytest.approx([0.7, 40, 80])
