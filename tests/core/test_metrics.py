"""Metrics: scikit-learn's numbers where it has one, NaN where the labels decide nothing."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from alearn.core.metrics import METRICS


def sample(classes: int, seed: int, n: int = 120, digits: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Labels of every class, and probabilities with ties that sum to 1."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    proba = rng.dirichlet(np.ones(classes), n)
    proba[np.arange(n), y] += 0.2
    proba = np.round(proba, digits) + 1e-3
    return y, proba / proba.sum(axis=1, keepdims=True)


def theirs(name: str, y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """The metric by scikit-learn, for two classes."""
    hard, given_weight = p.argmax(axis=1), {"sample_weight": weight}
    return {
        "accuracy": lambda: sk.accuracy_score(y, hard, **given_weight),
        "f1": lambda: sk.f1_score(y, hard, **given_weight),
        "macro_f1": lambda: sk.f1_score(y, hard, average="macro", **given_weight),
        "average_precision": lambda: sk.average_precision_score(y, p[:, 1], **given_weight),
        "auroc": lambda: sk.roc_auc_score(y, p[:, 1], **given_weight),
        "log_loss": lambda: sk.log_loss(y, p, **given_weight),
    }[name]()


KNOWN = ["accuracy", "f1", "macro_f1", "average_precision", "auroc", "log_loss"]


@pytest.mark.parametrize("name", KNOWN)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(4, 80), digits=st.integers(1, 3))
def test_two_classes_as_in_scikit_learn(name: str, seed: int, n: int, digits: int) -> None:
    """Ties between scores included."""
    y, p = sample(2, seed, n, digits)
    assert METRICS[name].compute(y, p) == pytest.approx(theirs(name, y, p), abs=1e-9)


@pytest.mark.parametrize("name", KNOWN)
def test_weights_as_in_scikit_learn(name: str) -> None:
    """Each column of weights is a metric of its own."""
    y, p = sample(2, 0)
    weights = np.random.default_rng(1).exponential(size=(len(y), 6))
    found = METRICS[name].weighted(y, p, weights, None)
    assert found == pytest.approx([theirs(name, y, p, column) for column in weights.T], abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_many_classes_as_in_scikit_learn(seed: int) -> None:
    """Macro means over one class against the rest."""
    y, p = sample(7, seed)
    hard = p.argmax(axis=1)
    assert METRICS["accuracy"].compute(y, p) == pytest.approx(sk.accuracy_score(y, hard))
    assert METRICS["f1"].compute(y, p) == pytest.approx(sk.f1_score(y, hard, average="macro"))
    assert METRICS["macro_f1"].compute(y, p) == pytest.approx(sk.f1_score(y, hard, average="macro"))
    assert METRICS["auroc"].compute(y, p) == pytest.approx(sk.roc_auc_score(y, p, multi_class="ovr"))
    assert METRICS["average_precision"].compute(y, p) == pytest.approx(sk.average_precision_score(np.eye(7)[y], p))
    assert METRICS["log_loss"].compute(y, p) == pytest.approx(sk.log_loss(y, p))


def test_the_positive_class_can_be_any() -> None:
    """A metric about one class is the two-class metric of that class against the rest."""
    y, p = sample(4, 3)
    assert METRICS["f1"].compute(y, p, 2) == pytest.approx(sk.f1_score(y == 2, p.argmax(axis=1) == 2))
    assert METRICS["auroc"].compute(y, p, 2) == pytest.approx(sk.roc_auc_score(y == 2, p[:, 2]))
    assert METRICS["average_precision"].compute(y, p, 2) == pytest.approx(sk.average_precision_score(y == 2, p[:, 2]))
    first = METRICS["f1"].compute(*sample(2, 1), 0)
    assert first == pytest.approx(sk.f1_score(sample(2, 1)[0], sample(2, 1)[1].argmax(axis=1), pos_label=0))


def test_calibration_error_by_hand() -> None:
    """Four items of confidence 0.9, half of them right: a gap of 0.4. Two of 0.6, both right: also 0.4."""
    p = np.array([[0.9, 0.1]] * 4 + [[0.4, 0.6]] * 2)
    assert METRICS["calibration_error"].compute(np.array([0, 0, 1, 1, 1, 1]), p) == pytest.approx(0.4)
    assert METRICS["calibration_error"].compute(np.array([0, 1]), np.eye(2)) == 0


def test_what_cannot_be_decided_is_no_number() -> None:
    """No item, no positive item, no negative item: NaN, not 0, and without a warning."""
    p = np.array([[0.9, 0.1], [0.8, 0.2]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(math.isnan(metric.compute(np.empty(0, int), np.empty((0, 2)))) for metric in METRICS.values())
        for name in ("f1", "average_precision", "auroc"):
            assert math.isnan(METRICS[name].compute(np.array([0, 0]), p))
        assert math.isnan(METRICS["auroc"].compute(np.array([1, 1]), p))
        assert METRICS["f1"].compute(np.array([1, 1]), p) == 0
        assert METRICS["average_precision"].compute(np.array([1, 1]), p) == 1


def test_a_sure_and_wrong_answer_costs_a_finite_loss() -> None:
    """A probability of 0 is taken for the smallest step of its type, as scikit-learn does."""
    y, p = np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]])
    assert METRICS["log_loss"].compute(y, p) == pytest.approx(sk.log_loss(y, p), rel=1e-6)
