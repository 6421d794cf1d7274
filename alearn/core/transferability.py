"""How well embeddings suit some labels, told without training anything: for a first look, and for very few labels.

Invariant: a score depends on the embeddings and the labels, and on nothing that a network says of itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]
Floats = NDArray[np.float64]

NEIGHBOURS = 10


@dataclass(frozen=True)
class Spectrum:
    """Centred rows in the orthonormal basis of their span, which is all that a covariance knows of them.

    `scores` (n, r) are the rows, `values` (r,) the eigenvalues of their covariance (divided by n) that are not 0, `dim`
    the number of features D >= r.
    """

    scores: Floats
    values: Floats
    dim: int


def spectrum(x: Matrix) -> Spectrum:
    """The spectrum of embeddings `x` (n, D), n >= 1; costs n D min(n, D)."""
    centred = x - x.mean(axis=0, dtype=np.float64)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    keep = singular > max(float(singular.max(initial=0.0)), 1e-12) * 1e-7
    return Spectrum(left[:, keep] * singular[keep], singular[keep] ** 2 / len(x), x.shape[1])


def shrinkage(seen: Spectrum) -> float:
    """How far the covariance of these rows should be drawn towards a multiple of the identity, in [0, 1].

    Higher = fewer rows, or nearer to spherical. 0 where all rows are alike.

    Source: Ledoit & Wolf, A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices, 2004.
    """
    n, mean, squares = len(seen.scores), seen.values.sum() / seen.dim, np.square(seen.values).sum()
    # All three are divided by D as in the paper, which their ratio does not show.
    from_sphere = squares - seen.dim * mean**2
    noise = (np.square(np.square(seen.scores).sum(axis=1)).sum() / n - squares) / n
    return float(min(max(noise, 0.0) / from_sphere, 1.0)) if from_sphere > 1e-12 * max(squares, 1e-300) else 0.0


def h_score(x: Matrix, y: Labels) -> float:
    """How much of the embeddings' variation is between the classes; in [0, C - 1], higher = suits the labels better.

    `x` (n, D), `y` (n,) class numbers. tr(S^-1 B), S the covariance of the rows after Ledoit and Wolf's shrinkage, B
    that of the class means: without shrinkage it says C - 1 of any embedding with n <= D. It depends on the scale of
    the features: standardise them. 0 where there is one class only, or the rows are alike.

    Raises:
        ValueError: no row, or another number of labels.

    Source: Bao et al., An Information-Theoretic Approach to Transferability, ICIP 2019; the shrinkage: Ibrahim et al.,
    Newer is not always better, ECML 2022.
    """
    if not len(x) or len(x) != len(y):
        raise ValueError(f"x {x.shape} and y {y.shape} must have one length, and not be empty")
    seen = spectrum(x)
    if not len(seen.values):
        return 0.0
    alpha = shrinkage(seen)
    between = (1 - alpha) * np.square(_root_of_between(seen.scores, y)).sum(axis=0)
    within_all = (1 - alpha) * seen.values + alpha * seen.values.sum() / seen.dim
    return float((between / within_all).sum())


def _root_of_between(scores: Floats, y: Labels) -> Floats:
    """(classes, r): the class means, times the root of their share of the rows."""
    _, number, counts = np.unique(y, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), scores.shape[1]))
    np.add.at(sums, number, scores)
    return np.asarray(sums / np.sqrt(counts * len(y))[:, None])


def neighbour_votes(x: Matrix, y: Labels, classes: int, neighbours: int = NEIGHBOURS) -> Floats:
    """What each row's nearest other rows say of its class: (n, D), (n,) -> (n, C), in (0, 1), each row sums to 1.

    The cosine is the likeness, and the vote's weight; each class has one vote of weight 1 / C beforehand, so that a row
    without neighbours says nothing. Standardise the features, or whichever is largest decides alone.

    Raises:
        ValueError: another number of labels than rows.

    Source: Sorkhei et al., k-NN as a Simple and Effective Estimator of Transferability, arXiv 2503.18528.
    """
    if len(x) != len(y):
        raise ValueError(f"x {x.shape} and y {y.shape} must have one length")
    unit = np.asarray(x, dtype=np.float64)
    unit = unit / np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    likeness = unit @ unit.T
    np.fill_diagonal(likeness, -np.inf)
    votes = np.full((len(x), classes), 1 / classes)
    for _ in range(min(neighbours, len(x) - 1)):
        nearest = likeness.argmax(axis=1)
        rows = np.arange(len(x))
        votes[rows, y[nearest]] += (1 + likeness[rows, nearest]) / 2
        likeness[rows, nearest] = -np.inf
    return np.asarray(votes / votes.sum(axis=1, keepdims=True))
