"""The decision: a rung is climbed when it is better by more than chance, and not otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alearn.core.metrics import METRICS
from alearn.models.training.verdict import Comparison, compare, too_few


def answers(y: np.ndarray, right: float, seed: int) -> np.ndarray:
    """Probabilities of two classes, of which a share is on the right side."""
    rng = np.random.default_rng(seed)
    sure = np.where(rng.random(len(y)) < right, rng.uniform(0.5, 1, len(y)), rng.uniform(0, 0.5, len(y)))
    positive = np.where(y == 1, sure, 1 - sure)
    return np.stack([1 - positive, positive], axis=1).astype(np.float32)


def judged(metric: str, below: float, above: float, n: int = 300) -> Comparison:
    y = np.arange(n) % 2
    fold = np.arange(n) // 2 % 3
    return compare(metric, y, answers(y, below, 1), answers(y, above, 2), fold=fold, positive=None, seed=0)


@pytest.mark.parametrize("metric", list(METRICS))
def test_a_clear_gain_pays_and_a_loss_does_not(metric: str) -> None:
    """For every metric, whichever way is better; calibration alone is another matter."""
    if metric == "calibration_error":
        return
    assert judged(metric, 0.6, 0.95).pays
    assert not judged(metric, 0.95, 0.6).pays


def test_a_tie_stays_below() -> None:
    """The same answers are no gain, and no error either."""
    y = np.arange(60) % 2
    same = answers(y, 0.8, 0)
    found = compare("accuracy", y, same, same, fold=y * 0, positive=None, seed=0)
    assert (found.gain, found.error, found.pays) == (0, 0, False)


def test_the_error_is_that_of_the_difference() -> None:
    """About the standard error that a binomial count would have, for answers that are independent of each other."""
    found = judged("accuracy", 0.8, 0.8, n=900)
    assert found.error == pytest.approx(np.sqrt(2 * 0.8 * 0.2 / 900), rel=0.2)


def test_copies_are_no_evidence() -> None:
    """Four of each item, tied together, leave the error of single items; taken for independent they would halve it."""
    y = np.arange(300) % 2
    below, above = answers(y, 0.8, 1), answers(y, 0.85, 2)
    four = np.repeat(np.arange(300), 4)
    how = {"fold": np.zeros(1200, int), "positive": None, "seed": 0}
    single = compare("accuracy", y, below, above, fold=y * 0, positive=None, seed=0)
    tied = compare("accuracy", y[four], below[four], above[four], groups=[f"{at:03}" for at in four], **how)
    loose = compare("accuracy", y[four], below[four], above[four], **how)
    assert tied.error == pytest.approx(single.error)
    assert loose.error == pytest.approx(single.error / 2, rel=0.2)


def test_a_metric_that_the_labels_cannot_decide_pays_nothing() -> None:
    """A fold without a positive."""
    y = np.zeros(30, int)
    found = compare("auroc", y, answers(y, 0.7, 0), answers(y, 0.9, 0), fold=y, positive=1, seed=0)
    assert not found.pays
    assert "cannot be computed" in found.reason


def test_the_reason_can_be_read() -> None:
    """Both numbers, the gain with its error, and what follows."""
    text = Comparison("average_precision", 0.842, 0.871, 0.006).reason
    assert text.startswith("Climbed: Average precision 0.871 instead of 0.842, better by 0.029 ± 0.006")


@settings(max_examples=50, deadline=None)
@given(
    below=st.floats(0, 1), above=st.floats(0, 1), error=st.floats(0, 0.5), metric=st.sampled_from(["f1", "log_loss"])
)
def test_it_pays_exactly_when_the_gain_is_above_its_error(
    below: float, above: float, error: float, metric: str
) -> None:
    """In the direction of the metric."""
    gain = above - below if metric == "f1" else below - above
    assert Comparison(metric, below, above, error).pays == (gain > error)


@pytest.mark.parametrize(
    ("labels", "few"),
    [
        ([], True),
        ([1] * 200, True),
        (list(range(500)), True),
        (list(range(500)) * 2, True),
        ([0] * 500 + [1] * 5, True),
        ([0] * 600 + [1] * 6, False),
        ([0] * 10 + [1] * 100, False),
        (list(range(500)) * 6, False),
    ],
)
def test_labels_that_are_too_few_are_told_from_those_that_suffice(labels: list[int], few: bool) -> None:
    """None at all, one class, one or two labels per class, 100:1 and 10:1."""
    assert (too_few(np.array(labels, dtype=np.intp), 3) is not None) == few


def test_labels_of_one_group_count_once() -> None:
    """A hundred of each class in five groups cannot be dealt into three folds twice."""
    y = np.arange(200) % 2
    assert too_few(y, 3) is None
    assert "second most frequent has 5" in str(too_few(y, 3, groups=np.arange(200) % 10))
