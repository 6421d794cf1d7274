"""ActiveLab: the scores of the package cleanlab, and what is asked again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alearn.core import crowd
from alearn.core.pool import Pool
from alearn.core.strategies import STRATEGIES, active_lab
from alearn.errors import StrategyError
from alearn.testing import pool_of

# What cleanlab 2.9.0 (multiannotator.get_active_learning_scores) says of ten items, of which the first seven have
# annotations: one each; all in favour of one class; and the usual case. For the last its `value_counts` was given
# integers: of the floats that it is given there it counts by place, not by class, where an item lacks a class.
ONE_EACH = (
    [
        (0.1, 0.32),
        (0.29, 0.4),
        (0.53, 0.08),
        (0.39, 0.27),
        (0.27, 0.23),
        (0.29, 0.65),
        (0.5, 0.36),
        (0.55, 0.16),
        (0.77, 0.06),
        (0.13, 0.31),
    ],
    [(2, -1, -1), (-1, -1, 1), (-1, -1, 1), (0, -1, -1), (-1, 0, -1), (-1, 0, -1), (0, -1, -1)],
    [
        0.497777777778,
        0.377777777778,
        0.164444444444,
        0.371111111111,
        0.291111111111,
        0.304444444444,
        0.444444444444,
        0.441666666667,
        0.551666666667,
        0.446666666667,
    ],
)
ONE_CLASS = (
    [
        (0.02, 0.07),
        (0.15, 0.35),
        (0.43, 0.32),
        (0.25, 0.6),
        (0.54, 0.26),
        (0.08, 0.52),
        (0.29, 0.25),
        (0.08, 0.33),
        (0.81, 0.04),
        (0.18, 0.08),
    ],
    [(-1, 2, -1), (1, -1, -1), (2, -1, -1), (-1, 2, 2), (1, -1, 1), (2, -1, 2), (2, 2, 2)],
    [
        0.666666689444,
        0.666666459944,
        0.666666420379,
        0.777777540038,
        0.777777569855,
        0.777777607006,
        0.833333189877,
        0.333333515631,
        0.33333368919,
        0.333333615509,
    ],
)
USUAL = (
    [
        (0.09, 0.04),
        (0.52, 0.32),
        (0.22, 0.25),
        (0.09, 0.41),
        (0.94, 0.02),
        (0.74, 0.24),
        (0.33, 0.51),
        (0.34, 0.53),
        (0.86, 0.13),
        (0.11, 0.71),
    ],
    [(2, 2, -1), (1, -1, 1), (1, 0, 0), (2, 2, 0), (-1, -1, 0), (0, -1, -1), (2, 1, 1)],
    [
        0.770364052518,
        0.48828995481,
        0.318046033623,
        0.497019909069,
        0.866321316913,
        0.698431517561,
        0.517301039726,
        0.509897253104,
        0.806165525261,
        0.671498128826,
    ],
)


@pytest.mark.parametrize("golden", [ONE_EACH, ONE_CLASS, USUAL], ids=["one each", "one class", "usual"])
def test_the_scores_are_those_of_cleanlab(golden: tuple[list, list, list]) -> None:
    """To eight places."""
    first, said, expected = golden
    proba = np.column_stack([first, 1 - np.sum(first, axis=1)])
    annotations = np.full((10, 3), -1)
    annotations[:7] = said
    pool = Pool(proba, None, np.ones(10, bool), np.arange(10) < 7, annotations=annotations)
    assert 1 - active_lab.scores(pool, np.arange(10)) == pytest.approx(expected, abs=1e-8)
    picks = STRATEGIES["active_lab"].select(pool, 4, np.random.default_rng(0))
    assert picks.tolist() == np.argsort(expected)[:4].tolist()


def test_without_annotations_it_is_least_confidence() -> None:
    """Shrinking changes no order; half of the way to 1 / C."""
    pool = replace(pool_of(100), annotations=None)
    least = STRATEGIES["least_confidence"].select(pool, 20, np.random.default_rng(0)).tolist()
    for said in (None, np.full((100, 2), -1), np.empty((100, 0), int)):
        some = replace(pool, annotations=said)
        assert STRATEGIES["active_lab"].select(some, 20, np.random.default_rng(0)).tolist() == least
    expected = 1 - (pool.proba.max(axis=1) + 1 / 3) / 2
    assert active_lab.scores(pool, pool.rows) == pytest.approx(expected[pool.rows], abs=1e-6)


def crowded() -> Pool:
    """Forty items of which thirty were answered by three people; all but two of these alike."""
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=40)
    proba = np.full((40, 3), 0.1)
    proba[np.arange(40), truth] = 0.8
    said = np.where(np.arange(40)[:, None] < 30, truth[:, None], -1).repeat(3, axis=1)
    said[[4, 9], 1] = (truth[[4, 9]] + 1) % 3
    said[[4, 9], 2] = (truth[[4, 9]] + 2) % 3
    return Pool(proba, None, np.ones(40, bool), np.arange(40) < 30, annotations=said)


def test_the_contested_are_asked_again_before_the_settled() -> None:
    """New items come before items that all agree about, too."""
    picks = STRATEGIES["active_lab"].select(crowded(), 40, np.random.default_rng(0)).tolist()
    place = {row: at for at, row in enumerate(picks)}
    settled = [place[row] for row in range(30) if row not in (4, 9)]
    assert max(place[row] for row in [4, 9, *range(30, 40)]) < min(settled)


def test_a_labeled_item_may_be_asked_again_though_it_has_twins() -> None:
    """Near copies of a labeled item are not asked, itself is where it is selectable."""
    pool = replace(crowded(), twins=np.arange(40) % 35)
    picks = STRATEGIES["active_lab"].select(pool, 40, np.random.default_rng(0)).tolist()
    assert sorted(picks) == list(range(35))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), size=st.integers(1, 15), classes=st.integers(1, 4), people=st.integers(1, 4))
def test_any_annotations_give_utilities_between_0_and_1(
    data: st.DataObject, size: int, classes: int, people: int
) -> None:
    """Whoever said what of which item, and however sure the model is."""
    said = data.draw(st.lists(st.integers(-1, classes - 1), min_size=size * people, max_size=size * people))
    proba = np.random.default_rng(data.draw(st.integers(0, 99))).dirichlet(np.full(classes, 0.1), size)
    proba[0] = np.eye(classes)[0]
    pool = Pool(
        proba, None, np.ones(size, bool), np.zeros(size, bool), annotations=np.array(said).reshape(size, people)
    )
    found = active_lab.scores(pool, pool.rows)
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 1)).all()


def test_the_unreliable_count_less() -> None:
    """One of four annotators guesses, and so does the model."""
    rng = np.random.default_rng(0)
    truth = rng.integers(4, size=400)
    said = np.stack([truth, truth, truth, rng.integers(4, size=400)], axis=1)
    trust, _ = crowd.judge(said, rng.dirichlet(np.ones(4), 400))
    assert trust.annotators[:3].min() > 2 * trust.annotators[3]
    assert trust.model < 0.5


def test_a_class_that_the_model_does_not_know_is_refused() -> None:
    """The message says which row."""
    pool = crowded()
    pool.annotations[7, 1] = 3
    with pytest.raises(StrategyError, match=r"below 3.*Got 3 in row 7"):
        STRATEGIES["active_lab"].select(pool, 3, np.random.default_rng(0))


@pytest.mark.parametrize("said", [np.full(40, -1), np.full((39, 2), -1), np.full((40, 2), np.nan)])
def test_annotations_of_another_shape_or_kind_are_refused(said: np.ndarray) -> None:
    """One row for each item, whole numbers."""
    with pytest.raises(StrategyError, match=r"`annotations` of a pool of 40"):
        replace(crowded(), annotations=said)
