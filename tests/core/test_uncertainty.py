"""Uncertainty measures: their direction and range, and modAL's numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alearn.core.uncertainty import Measure, entropy, least_confidence, margin, tempered

MEASURES = (margin, entropy, least_confidence)


def random_proba(classes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(classes), 500)


@pytest.mark.parametrize("classes", [2, 3, 30])
def test_scores_are_modals(classes: int) -> None:
    """Same numbers; modAL's margin is the other way round."""
    from modAL import uncertainty as modal

    proba = random_proba(classes)
    np.testing.assert_allclose(margin(proba), 1 - modal._proba_margin(proba), rtol=1e-12)
    np.testing.assert_allclose(entropy(proba), modal._proba_entropy(proba), rtol=1e-12)
    np.testing.assert_allclose(least_confidence(proba), modal._proba_uncertainty(proba), rtol=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
@given(classes=st.integers(1, 12), seed=st.integers(0, 1000))
def test_higher_is_ask_first(measure: Measure, classes: int, seed: int) -> None:
    """Certainty scores 0, indecision most, everything else between; single precision included."""
    proba = np.concatenate(
        [np.eye(classes)[:1], np.full((1, classes), 1 / classes), random_proba(classes, seed)[:20]]
    ).astype(np.float32)
    scores = measure(proba)
    assert scores.dtype == np.float64
    assert scores[0] == scores.min() == 0
    assert scores[1] >= scores.max() - 1e-6


def test_a_temperature_keeps_the_order_and_changes_the_confidence() -> None:
    """Hot is less sure, cold is more sure, a probability of 0 is no trouble, and every row still sums to 1."""
    proba = np.array([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]], np.float32)
    hot, cold = tempered(proba, 3.0), tempered(proba, 0.3)
    for changed in (hot, cold):
        np.testing.assert_allclose(changed.sum(axis=1), 1, rtol=1e-6)
        assert (np.argsort(changed, axis=1) == np.argsort(proba, axis=1)).all()
    assert hot[0, 0] < proba[0, 0] < cold[0, 0]
    assert tempered(proba, 1) is proba


def test_a_temperature_is_that_of_the_logits() -> None:
    """softmax(z / T), computed from softmax(z)."""
    z = np.random.default_rng(0).normal(size=(50, 4))

    def softmax(x: np.ndarray) -> np.ndarray:
        return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)

    np.testing.assert_allclose(tempered(softmax(z), 2.5), softmax(z / 2.5), rtol=1e-9)
