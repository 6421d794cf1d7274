"""Scores of embeddings that need no training: against literal formulas, and sound on whatever labels there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors

from alearn.core.transferability import h_score, neighbour_votes, shrinkage, spectrum

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]


def _classes(n: int, dim: int, classes: int, apart: float, seed: int = 0) -> tuple[Floats, Labels]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    mixed = rng.normal(size=(n, dim)) @ rng.normal(size=(dim, dim)) / np.sqrt(dim)
    return mixed + apart * rng.normal(size=(classes, dim))[y], y


@pytest.mark.parametrize(("n", "dim"), [(40, 10), (40, 100), (5, 30), (2, 3), (300, 1)])
def test_the_shrinkage_is_that_of_ledoit_and_wolf(n: int, dim: int) -> None:
    """Scikit-learn's, with fewer rows than features, and with more."""
    x, _ = _classes(n, dim, 3, 1.0)
    assert shrinkage(spectrum(x)) == pytest.approx(LedoitWolf().fit(x).shrinkage_ if dim > 1 else 0.0, abs=1e-9)


@pytest.mark.parametrize(("n", "dim", "classes"), [(40, 10, 3), (40, 100, 2), (12, 30, 12), (60, 20, 77)])
def test_the_h_score_is_its_formula(n: int, dim: int, classes: int) -> None:
    """The trace of the shrunk covariance's inverse times that of the class means, with whole matrices."""
    x, y = _classes(n, dim, classes, 1.0)
    found = LedoitWolf().fit(x)
    centred = x - x.mean(axis=0)
    means = np.stack([centred[y == one].mean(axis=0) for one in y])
    between = (1 - found.shrinkage_) * means.T @ means / n
    assert h_score(x, y) == pytest.approx(np.trace(np.linalg.solve(found.covariance_, between)))


@given(st.integers(1, 12), st.integers(1, 15), st.integers(1, 4), st.integers(0, 99))
def test_the_h_score_is_in_its_range(n: int, dim: int, classes: int, seed: int) -> None:
    """Between 0 and the number of classes less one, also where there is one class, or one label."""
    x, y = _classes(n, dim, classes, 2.0, seed)
    assert -1e-9 <= h_score(x, y) <= len(np.unique(y)) - 1 + 1e-9


def test_rows_that_are_all_alike_say_nothing() -> None:
    """No division by their variance."""
    assert h_score(np.ones((4, 3)), np.array([0, 1, 0, 1])) == 0


def test_the_h_score_is_higher_where_classes_are_apart() -> None:
    """Higher = suits the labels better."""
    scores = [h_score(*_classes(50, 200, 3, apart)) for apart in (0.0, 0.5, 2.0)]
    assert scores == sorted(scores)
    assert scores[0] < 0.5 * scores[-1]


@pytest.mark.parametrize("y", [np.zeros(0, int), np.zeros(2, int)])
def test_labels_that_do_not_fit_are_refused(y: Any) -> None:
    """None, or another number than rows."""
    with pytest.raises(ValueError, match="one length"):
        h_score(np.zeros((len(y) and 3, 2)), y)
    if len(y):
        with pytest.raises(ValueError, match="one length"):
            neighbour_votes(np.zeros((3, 2)), y, 2)


def test_votes_are_those_of_the_nearest_other_rows() -> None:
    """The ten that scikit-learn finds by cosine, weighted by their likeness, beside one vote that all classes share."""
    x, y = _classes(60, 8, 3, 1.0)
    distance, nearest = NearestNeighbors(n_neighbors=11, metric="cosine").fit(x).kneighbors(x)
    wanted = np.full((60, 3), 1 / 3)
    for row in range(60):
        for far, other in zip(distance[row, 1:], nearest[row, 1:], strict=True):
            wanted[row, y[other]] += 1 - far / 2
    assert neighbour_votes(x, y, 3) == pytest.approx(wanted / wanted.sum(axis=1, keepdims=True))


@given(st.integers(0, 14), st.integers(1, 4), st.integers(0, 99))
def test_votes_are_probabilities(n: int, classes: int, seed: int) -> None:
    """Of any number of rows; a row without others thinks every class as probable."""
    x, y = _classes(n, 5, classes, 1.0, seed)
    votes = neighbour_votes(x, y, classes)
    assert votes.shape == (n, classes)
    assert votes.sum(axis=1) == pytest.approx(1)
    assert (votes > 0).all()
    if n == 1:
        assert votes == pytest.approx(1 / classes)
