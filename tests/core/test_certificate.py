"""What may be labeled without a person, and whether the promise is kept."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from alearn.core.certificate import automatic, certify

Sides = tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.intp], NDArray[np.float64]]


def drawn(rng: np.random.Generator, held: int, pool: int, *, classes: int = 3, sharp: float = 3.0) -> Sides:
    """Labels and calibrated probabilities of a hold-out, and of a pool."""
    n = held + pool
    logits = sharp * rng.standard_normal((n, classes))
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = (proba.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, classes - 1)
    return y[:held], proba[:held], y[held:], proba[held:]


@pytest.mark.parametrize(("per_class", "precision", "runs"), [(False, 0.95, 150), (True, 0.85, 50)])
def test_the_promise_is_kept(per_class: bool, precision: float, runs: int) -> None:
    """Over many hold-outs fewer than one promise in twenty is broken, though thresholds follow the hold-out."""
    rng, broken, kept, share = np.random.default_rng(0), 0, 0, []
    for _ in range(runs):
        y, proba, truth, pool = drawn(rng, 300, 300)
        found = certify(y, proba, pool, precision=precision, per_class=per_class)
        labels = automatic(pool, found)
        taken = labels >= 0
        assert np.mean(taken) == pytest.approx(found.share)
        if taken.any():
            kept += 1
            broken += np.mean(labels[taken] == truth[taken]) < precision
        share.append(found.share)
    assert kept > runs / 10, "a promise that is never given is no promise"
    assert broken / runs <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / runs)
    assert np.mean(share) > 0.05


@given(st.integers(0, 2**32 - 1), st.integers(0, 400), st.booleans())
def test_it_answers_whatever_there_is(seed: int, held: int, per_class: bool) -> None:
    """Thresholds, or a reason; and nothing is labeled that no threshold allows."""
    y, proba, _, pool = drawn(np.random.default_rng(seed), held, 100)
    found = certify(y, proba, pool, precision=0.98, per_class=per_class)
    labels = automatic(pool, found)
    assert found.certified == bool(np.isfinite(found.thresholds).any())
    assert found.reason
    assert found.certified or (labels < 0).all()
    taken = labels >= 0
    assert (pool[taken].argmax(axis=1) == labels[taken]).all()
    assert (pool[taken].max(axis=1) >= np.array(found.thresholds)[labels[taken]]).all()
    if not per_class:
        assert len(set(found.thresholds)) == 1


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_more_precision_never_labels_more(seed: int) -> None:
    """Nor does more confidence, nor more items that left the pool."""
    y, proba, _, pool = drawn(np.random.default_rng(seed), 300, 300)
    share = certify(y, proba, pool, precision=0.9).share
    assert certify(y, proba, pool, precision=0.97).share <= share
    assert certify(y, proba, pool, precision=0.9, confidence=0.99).share <= share
    assert certify(y, proba, pool, precision=0.9, asked=200).share <= share


def test_a_small_hold_out_says_what_it_would_take() -> None:
    """Twenty labels cannot show 98 %, however right the model is."""
    y = np.zeros(20, dtype=np.intp)
    proba = np.tile([0.99, 0.01], (20, 1))
    found = certify(y, proba, proba, precision=0.98)
    assert not found.certified
    assert found.needed is not None
    assert found.needed > 100
    assert str(found.needed) in found.reason


def test_a_model_that_is_always_wrong_is_no_case_for_more_labels() -> None:
    """Then the way is a better model, or less precision."""
    found = certify(
        np.ones(500, dtype=np.intp), np.tile([0.9, 0.1], (500, 1)), np.tile([0.9, 0.1], (9, 1)), precision=0.9
    )
    assert not found.certified
    assert found.needed is None
    assert "less precision" in found.reason


def test_an_empty_pool_has_nothing_to_label() -> None:
    """No item, no promise."""
    y, proba, _, _ = drawn(np.random.default_rng(0), 300, 1)
    assert certify(y, proba, proba[:0], precision=0.9).share == 0
