"""What each item adds to a metric."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alearn.core.estimation import contributions
from alearn.core.metrics import METRICS

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int, n: int = 40, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(classes, size=n), rng.dirichlet(np.ones(classes), n)


@given(SEEDS)
def test_an_item_adds_to_accuracy_whether_it_is_right(seed: int) -> None:
    """1 where the likeliest class is the label, 0 where it is not."""
    y, proba = drawn(seed)
    assert contributions(y, proba, "accuracy") == pytest.approx((proba.argmax(axis=1) == y).astype(float), abs=1e-3)


@given(SEEDS, st.sampled_from(["macro_f1", "average_precision", "auroc", "log_loss"]))
def test_all_items_together_make_the_metric(seed: int, name: str) -> None:
    """The mean of what they add is the metric."""
    y, proba = drawn(seed)
    assert np.mean(contributions(y, proba, name)) == pytest.approx(METRICS[name].compute(y, proba), abs=5e-3)


def test_the_order_of_the_items_does_not_matter_and_pieces_are_one() -> None:
    """More items than fit at once are as few."""
    y, proba = drawn(0, n=2100)
    order = np.random.default_rng(1).permutation(len(y))
    found = contributions(y, proba, "macro_f1")
    assert contributions(y[order], proba[order], "macro_f1") == pytest.approx(found[order], abs=1e-6)


def test_an_item_that_counts_twice_adds_twice_as_much() -> None:
    """Weighting an item by two is having it twice, each time with half of what both add beyond the mean."""
    y, proba = drawn(2)
    twice = np.where(np.arange(len(y)) < 10, 2.0, 1.0)
    many = np.repeat(np.arange(len(y)), twice.astype(int))
    found = contributions(y, proba, "macro_f1", weights=twice / twice.mean())
    each = contributions(y[many], proba[many], "macro_f1")
    value = each.mean()
    sums = np.bincount(many, each - value) * len(y) / len(many)
    assert found - value == pytest.approx(sums, abs=5e-3)


def test_without_a_metric_there_is_nothing_to_add() -> None:
    """One class alone has no AUROC."""
    assert np.isnan(contributions([0, 0, 0], np.full((3, 2), 0.5), "auroc")).all()
