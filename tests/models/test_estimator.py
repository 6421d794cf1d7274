"""The head as a scikit-learn classifier."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import check_estimator

from alearn.models.estimator import HeadClassifier
from alearn.models.head import fit_head


def test_it_is_what_scikit_learn_expects_of_a_classifier() -> None:
    """All of its checks; the one about other array libraries is skipped where SCIPY_ARRAY_API is not set."""
    with warnings.catch_warnings(action="ignore"):
        found = check_estimator(HeadClassifier(strength=0.03), on_skip=None)
    assert {check["status"] for check in found} <= {"passed", "skipped"}
    assert len(found) > 40


def test_it_says_what_the_head_says() -> None:
    """The same weights, under the names of the classes."""
    x, y = load_digits(return_X_y=True)
    x = x.astype(np.float32)
    names = np.array([f"digit {number}" for number in range(10)])
    ours = HeadClassifier(random_state=3).fit(x[:150], names[y[:150]])
    head = fit_head(x[:150], y[:150], 10, seed=3)
    np.testing.assert_array_equal(ours.predict_proba(x), head.proba(x))
    np.testing.assert_array_equal(ours.predict(x), names[head.proba(x).argmax(axis=1)])
    assert ours.head_.to_bytes() == head.to_bytes()


def test_it_works_in_a_pipeline_and_in_cross_validation() -> None:
    """Cloned, fitted and scored by others."""
    x, y = load_digits(return_X_y=True)
    pipeline = make_pipeline(MinMaxScaler(), HeadClassifier(strength=0.03))
    assert cross_val_score(pipeline, x[:300], y[:300], cv=3).mean() > 0.85


def test_one_class_is_no_reason_to_fail() -> None:
    """All that is known is one class: it is what is predicted."""
    x = np.random.default_rng(0).normal(size=(5, 3))
    model = HeadClassifier().fit(x, ["only"] * 5)
    assert model.predict(x).tolist() == ["only"] * 5
    assert model.predict_proba(x).tolist() == [[1.0]] * 5


def test_before_it_is_fitted_it_knows_nothing() -> None:
    """scikit-learn's own error, which modAL's functions understand."""
    with pytest.raises(NotFittedError):
        HeadClassifier().predict(np.zeros((2, 3)))
