"""Measures of uncertainty and of disagreement: their direction and range, and modAL's numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alearn.core.uncertainty import (
    Measure,
    bald,
    consensus_entropy,
    entropy,
    least_confidence,
    margin,
    max_disagreement,
    tempered,
    vote_entropy,
)

MEASURES = (margin, entropy, least_confidence)
DISAGREEMENTS = (vote_entropy, consensus_entropy, max_disagreement, bald)


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


def random_votes(members: int, classes: int, seed: int = 0) -> np.ndarray:
    return np.stack([random_proba(classes, seed * 100 + member) for member in range(members)])


@pytest.mark.parametrize(("members", "classes"), [(1, 3), (2, 2), (5, 4)])
def test_disagreement_is_what_modal_measures_of_a_committee(members: int, classes: int) -> None:
    """A real committee of modAL, its learners made to say what is given; a class that nobody expects is no trouble."""
    from modAL import disagreement as modal
    from modAL.models import ActiveLearner, Committee
    from sklearn.base import BaseEstimator

    class Said(BaseEstimator):
        def __init__(self, proba: np.ndarray) -> None:
            self.proba, self.classes_ = proba, np.arange(proba.shape[1])

        def predict(self, x: np.ndarray) -> np.ndarray:
            return self.proba.argmax(axis=1)

        def predict_proba(self, x: np.ndarray) -> np.ndarray:
            return self.proba

    votes = random_votes(members, classes)
    votes[:, 0] = np.eye(classes)[0]
    committee = Committee([ActiveLearner(Said(one)) for one in votes])
    x = np.zeros((votes.shape[1], 1))
    np.testing.assert_allclose(vote_entropy(votes), modal.vote_entropy(committee, x), atol=1e-12)
    np.testing.assert_allclose(consensus_entropy(votes), modal.consensus_entropy(committee, x), atol=1e-12)
    np.testing.assert_allclose(max_disagreement(votes), modal.KL_max_disagreement(committee, x), atol=1e-12)


@pytest.mark.parametrize("measure", DISAGREEMENTS)
@given(members=st.integers(1, 6), classes=st.integers(1, 8), seed=st.integers(0, 1000))
def test_disagreement_is_bounded_and_lowest_where_all_are_sure_of_the_same(
    measure: Measure, members: int, classes: int, seed: int
) -> None:
    """Single precision included; certain members of as many opinions as possible disagree most."""
    votes = random_votes(members, classes, seed)[:, :20]
    votes[:, 0] = np.eye(classes)[0]
    votes[:, 1] = np.eye(classes)[np.arange(members) % classes]
    scores = measure(votes.astype(np.float32))
    assert scores.dtype == np.float64
    assert scores.min() >= 0
    assert scores[0] == pytest.approx(0, abs=1e-6)
    assert scores.max() <= np.log(max(members, classes)) + 1e-6
    if measure in {vote_entropy, bald}:
        assert scores[1] >= scores.max() - 1e-6


def test_bald_is_the_mean_divergence_from_the_consensus() -> None:
    """McCallum & Nigam's measure is the same number."""
    from scipy.stats import entropy as divergence

    votes = random_votes(4, 5)
    each = [divergence(one, votes.mean(axis=0), axis=1) for one in votes]
    np.testing.assert_allclose(bald(votes), np.mean(each, axis=0), atol=1e-12)


def test_members_that_are_all_unsure_do_not_disagree() -> None:
    """What tells disagreement from uncertainty."""
    votes = np.full((3, 1, 4), 0.25)
    assert consensus_entropy(votes) == pytest.approx(np.log(4))
    for measure in (vote_entropy, max_disagreement, bald):
        assert measure(votes) == pytest.approx(0, abs=1e-12)


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
