"""The head: sound whatever the labels are, the optimum of what it says it optimises, and good on real data."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score

from alearn.errors import ModelError
from alearn.models import Head, fit_head

Floats = NDArray[np.float32]


def _clusters(n: int, dim: int, classes: int, noise: float = 1.0, seed: int = 0) -> tuple[Floats, NDArray[np.intp]]:
    rng = np.random.default_rng(seed)
    centres, y = rng.normal(size=(classes, dim)), rng.integers(0, classes, n)
    return (5 + centres[y] + noise * rng.normal(size=(n, dim))).astype(np.float32), y


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("dim", [8, 300])
def test_it_is_the_optimum_that_scikit_learn_finds_without_our_shortcuts(classes: int, dim: int) -> None:
    """Rotation into the span of the rows, folded standardisation and the pair of columns change nothing."""
    x, y = _clusters(60, dim, classes, noise=3)
    head = fit_head(x, y, classes, seed=0, strength=0.05, temperature=1.0)
    z = (x - x.mean(0)) / x.std(0)
    weight = 1 / np.sqrt(np.bincount(y, minlength=classes) + 1 / classes)[y]
    weight = np.concatenate([weight / weight.mean(), np.full(classes, 1 / classes)])
    rows, labels = np.concatenate([z, np.zeros((classes, dim))]), np.concatenate([y, np.arange(classes)])
    model = LogisticRegression(C=0.05, tol=1e-8, max_iter=5000).fit(rows, labels, sample_weight=weight)
    assert head.proba(x) == pytest.approx(model.predict_proba(z), abs=2e-3)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [([0], 2), ([1, 1, 1], 2), ([0, 1], 2), ([4], 5), ([0, 1, 2, 3, 4], 5), ([2, 2, 2, 2, 2, 2, 2, 0], 5), ([], 3)],
)
def test_few_labels_give_sound_probabilities(labels: list[int], classes: int) -> None:
    """One label, one class, one label per class, classes without any: every probability is in (0, 1), labels win."""
    x, _ = _clusters(len(labels) + 10, 40, 3)
    head = fit_head(x[: len(labels)], labels, classes, seed=0)
    proba = head.proba(x)
    assert proba.shape == (len(x), classes)
    assert proba.dtype == np.float32
    assert proba.sum(1) == pytest.approx(1, abs=1e-5)
    assert ((proba > 0) & (proba < 1)).all()
    assert set(proba[: len(labels)].argmax(1)) <= set(labels)


def test_no_label_at_all_means_that_every_class_is_equally_probable() -> None:
    """Where every labeled item was unreadable."""
    head = fit_head(np.empty((0, 4), np.float32), [], 3, seed=0)
    assert head.proba(np.ones((2, 4), np.float32)) == pytest.approx(1 / 3)


def test_constant_features_are_ignored() -> None:
    """Also where new items differ in them."""
    x, y = _clusters(100, 10, 2)
    wide = np.hstack([x, np.full((100, 1), 3.0, np.float32)])
    head = fit_head(wide, y, 2, seed=0, strength=0.1)
    other = wide.copy()
    other[:, -1] = 1e6
    assert np.array_equal(head.proba(wide), head.proba(other))


def test_the_same_labels_give_the_same_head() -> None:
    """To the bit; another seed may choose another strength, nothing else."""
    x, y = _clusters(200, 50, 4, noise=4)
    first, again = (fit_head(x, y, 4, seed=7).to_bytes() for _ in range(2))
    assert first == again


def test_noisy_data_get_a_stronger_regularisation_than_clear_data() -> None:
    """The strength is chosen by cross-validation."""
    clear, y = _clusters(300, 50, 3, noise=0.5)
    noisy, _ = _clusters(300, 50, 3, noise=12)
    assert fit_head(noisy, y, 3, seed=0).strength < fit_head(clear, y, 3, seed=0).strength


@pytest.mark.parametrize(
    "arguments", [(np.zeros((3, 2)), [0, 1], 2), (np.zeros((2, 2)), [0, 2], 2), (np.zeros(2), [0, 1], 2)]
)
def test_labels_that_do_not_fit_are_refused(arguments: Any) -> None:
    """Another length, a class out of range, no matrix."""
    with pytest.raises(ValueError, match="must be of one length"):
        fit_head(*arguments, seed=0)


def test_bytes_hold_everything() -> None:
    """And no pickle: it is a safetensors file."""
    x, y = _clusters(50, 6, 3)
    head = replace(fit_head(x, y, 3, seed=0), temperature=1.7)
    again = Head.from_bytes(head.to_bytes())
    assert np.array_equal(again.proba(x), head.proba(x))
    assert (again.strength, again.temperature) == (head.strength, 1.7)


@pytest.mark.parametrize("cut", [0, 7, 60, -1])
def test_damaged_bytes_are_refused(cut: int) -> None:
    """Never half a head."""
    x, y = _clusters(50, 6, 3)
    with pytest.raises(ModelError, match="damaged"):
        Head.from_bytes(fit_head(x, y, 3, seed=0).to_bytes()[:cut])


def test_an_embedding_that_is_no_number_is_named() -> None:
    """So that the item can be put aside."""
    x, y = _clusters(50, 6, 3)
    x[[7, 9], 2] = np.nan
    with pytest.raises(ModelError, match="Row 7, and 1 more"):
        fit_head(x, y, 3, seed=0)


def test_temperature_softens_and_keeps_the_order() -> None:
    """What calibration relies on."""
    x, y = _clusters(50, 6, 3)
    head = fit_head(x, y, 3, seed=0)
    hot = replace(head, temperature=5.0)
    assert (hot.proba(x).max(1) < head.proba(x).max(1)).all()
    assert (hot.proba(x).argmax(1) == head.proba(x).argmax(1)).all()


def test_blocks_of_a_large_pool_give_what_one_matrix_gives() -> None:
    """The pool is read in blocks."""
    x, y = _clusters(40_000, 4, 2)
    head = fit_head(x[:100], y[:100], 2, seed=0)
    assert head.proba(x)[-7:] == pytest.approx(head.proba(x[-7:]), abs=1e-6)


def test_two_thousand_labels_take_about_a_second() -> None:
    """1,280 features, 77 classes, processor time; generous, because of slow machines."""
    x, y = _clusters(2000, 1280, 77, noise=9)
    started = time.process_time()
    fit_head(x, y, 77, seed=0)
    assert time.process_time() - started < 5


def test_defective_solar_cells_are_found(cells: Any) -> None:
    """250 labels at 96 pixels; a quarter to a third of the cells are defective."""
    head = fit_head(cells.x[:250], cells.y[:250], 2, seed=0)
    proba, truth = head.proba(cells.x[250:]), cells.y[250:]
    assert average_precision_score(truth, proba[:, 1]) > 0.6
    assert f1_score(truth, proba.argmax(1)) > 0.5


def test_intents_are_told_apart(intents: Any) -> None:
    """250 labels, 10 intents."""
    head = fit_head(intents.x[:250], intents.y[:250], 10, seed=0)
    assert (head.proba(intents.x[250:]).argmax(1) == intents.y[250:]).mean() > 0.9
