"""Odds follow the item whose label could move a metric most."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alearn.core.estimation import odds
from alearn.core.estimation.odds import EVEN
from alearn.core.metrics import METRICS

TARGETS = ["accuracy", "f1", "macro_f1", "average_precision", "auroc"]


def models(seed: int, n: int, classes: int) -> np.ndarray:
    p = np.random.default_rng(seed).dirichlet(np.full(classes, 0.5), n)
    p[: n // 4] = p[n // 4 : 2 * (n // 4)]  # equal scores, so that ranks have ties
    return p


def by_moving(p: np.ndarray, metric: str, positive: int | None) -> np.ndarray:
    """The odds from the definition: each item is there once with each label, weighing as much as that is probable."""
    n, classes = p.shape
    y, proba, mass = np.tile(np.arange(classes), n), np.repeat(p, classes, axis=0), p.ravel()
    moved = np.repeat(mass[:, None], n * classes, axis=1)
    moved[np.arange(n * classes), np.arange(n * classes)] += 1e-6
    rule = METRICS[metric].weighted
    moves = (rule(y, proba, moved, positive) - rule(y, proba, mass[:, None], positive)).reshape(n, classes) / 1e-6
    reach = np.sqrt((p * moves**2).sum(axis=1))
    return EVEN + (1 - EVEN) * reach / reach.mean()


@pytest.mark.parametrize("metric", TARGETS)
@pytest.mark.parametrize(("classes", "positive"), [(2, None), (2, 1), (2, 0), (4, None), (4, 2)])
def test_odds_are_how_far_the_unknown_label_moves_the_metric(metric: str, classes: int, positive: int | None) -> None:
    """The closed forms are the derivative of the expected metric in the weight of an item with a label."""
    p = models(3, 32, classes)
    assert odds(p, metric, positive=positive) == pytest.approx(by_moving(p, metric, positive), rel=1e-4)


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 30),
    classes=st.integers(2, 5),
    metric=st.sampled_from(sorted(METRICS)),
    even=st.floats(0.05, 1),
)
def test_odds_are_positive_and_one_on_the_average(seed: int, n: int, classes: int, metric: str, even: float) -> None:
    """Whatever the model says, every item may be drawn."""
    found = odds(models(seed, n, classes), metric, even=even)
    assert found.mean() == pytest.approx(1)
    assert found.min() >= even * (1 - 1e-9)


@pytest.mark.parametrize("metric", TARGETS)
def test_a_model_that_knows_everything_has_no_odds(metric: str) -> None:
    """Where no label is in doubt, all items are alike."""
    p = np.eye(2)[[0, 0, 1, 1, 0]]
    assert odds(p, metric) == pytest.approx(np.ones(5))


def test_a_likely_error_is_likelier_to_be_drawn() -> None:
    """Where accuracy is high, what the model is unsure of decides it."""
    sure, unsure = [0.99, 0.01], [0.6, 0.4]
    found = odds([sure] * 9 + [unsure], "accuracy")
    assert found[-1] > 3 * found[0]


def test_rare_positives_decide_average_precision() -> None:
    """Negatives that nobody takes for positives tell next to nothing."""
    found = odds([[0.999, 0.001]] * 95 + [[0.4, 0.6]] * 5, "average_precision")
    assert found[-1] > 10 * found[0]


def test_no_item_has_no_odds() -> None:
    """An empty pool is no error."""
    assert odds(np.empty((0, 3)), "accuracy").shape == (0,)


def test_the_probabilities_stay_the_caller_s() -> None:
    """They are made to sum to 1 in a copy."""
    p = np.array([[2.0, 2.0], [1.0, 3.0]])
    odds(p, "accuracy")
    assert p.tolist() == [[2.0, 2.0], [1.0, 3.0]]
