"""Calibration: it finds the temperature that logits were made with, and touches nothing where labels are few."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alearn.core.metrics import METRICS
from alearn.models import fit_head
from alearn.models.temperature import BOUNDS, fit_temperature


def drawn(n: int, classes: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `temperature` times too large, and labels drawn from the right ones."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, classes))
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = (proba.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=classes - 1)
    return logits * temperature, y


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
@pytest.mark.parametrize("classes", [2, 7])
def test_the_temperature_of_the_logits_is_found(temperature: float, classes: int) -> None:
    """From labels that were drawn by the right probabilities."""
    assert fit_temperature(*drawn(20_000, classes, temperature)) == pytest.approx(temperature, rel=0.06)


@settings(max_examples=25, deadline=None)
@given(temperature=st.floats(0.05, 20), seed=st.integers(0, 1000))
def test_no_other_temperature_in_bounds_has_less_log_loss(temperature: float, seed: int) -> None:
    """Also where the best one is out of bounds, or the labels are noise."""
    logits, y = drawn(300, 3, temperature, seed)
    found = fit_temperature(logits.astype(np.float32), y)

    def loss(t: float) -> float:
        z = logits / t
        return float(np.mean(np.log(np.exp(z - z.max(1, keepdims=True)).sum(1)) + z.max(1) - z[np.arange(300), y]))

    assert BOUNDS[0] - 1e-6 <= found <= BOUNDS[1] + 1e-6
    assert loss(found) <= min(loss(t) for t in np.geomspace(*BOUNDS, 40)) + 1e-6


@pytest.mark.parametrize(
    ("logits", "y"),
    [
        (np.zeros((0, 2)), np.zeros(0, int)),
        (np.ones((199, 2)), np.arange(199) % 2),
        (np.ones((300, 200)), np.arange(300) % 200),
        (np.ones((300, 2)), np.zeros(300, int)),
        (np.full((300, 2), np.nan), np.arange(300) % 2),
        (np.ones((300, 2)), np.arange(300) % 2),
    ],
)
def test_what_cannot_be_calibrated_is_left_alone(logits: np.ndarray, y: np.ndarray) -> None:
    """Few labels, few of each class, one class, no numbers, and logits that say nothing."""
    found = fit_temperature(logits, y)
    assert BOUNDS[0] <= found <= BOUNDS[1]
    assert found == 1 or logits.std() == 0


def test_a_head_of_real_cells_is_calibrated_by_its_own_labels(cells: Any) -> None:
    """300 labels; the calibration error on the other cells is no worse than without, and no answer changes."""
    head = fit_head(cells.x[:300], cells.y[:300], 2, seed=0)
    assert head.temperature != 1
    plain, error = replace(head, temperature=1.0), METRICS["calibration_error"]
    y, rest = cells.y[300:], cells.x[300:]
    assert error.compute(y, head.proba(rest)) <= error.compute(y, plain.proba(rest)) + 0.02
    assert np.array_equal(head.proba(rest).argmax(1), plain.proba(rest).argmax(1))
