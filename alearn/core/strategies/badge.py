"""BADGE: a batch whose loss gradients, as the model imagines them, are large and far apart.

The imagined gradient of the head's weights is g = (p - onehot(argmax p)) ⊗ x. It is never formed: the product of two of
them is the product of those of their factors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alearn.core.geometry import Floats, Matrix, blocks, squared_norms, take
from alearn.core.pool import Pool
from alearn.core.seeding import plus_plus
from alearn.core.strategies.uncertain import probabilities
from alearn.core.uncertainty import Proba

NOISE = 1e-6
"""Squared distances below this share of the squared norms are rounding: the gradients are taken for the same."""


def badge(pool: Pool, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Rows drawn as k-means++ draws its centers, from the imagined gradients; the first is the largest gradient.

    With costs, squared distances count by the second.

    Raises:
        StrategyError: an embedding or a probability is not finite.
    Source: Ash et al., Deep Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds, ICLR 2020.
    """
    assert pool.embeddings is not None
    rows = pool.rows
    gradients = Gradients(pool.embeddings, rows, _errors(probabilities(pool, rows)))
    worth = None if pool.costs is None else 1 / pool.costs[rows].astype(np.float64)
    first = int((gradients.norms if worth is None else gradients.norms * worth).argmax())
    return rows[plus_plus(gradients, first, n, rng, worth)]


def _errors(proba: Proba) -> Floats:
    """p - onehot(argmax p), (n, C)."""
    found = proba.astype(np.float32)
    found[np.arange(len(found)), found.argmax(axis=1)] -= 1
    return found


class Gradients:
    """The imagined gradients of some rows of `x` (N, D), with the errors (rows, C) of the model's answers.

    `norms` (rows,) are squared.
    """

    def __init__(self, x: Matrix, rows: NDArray[np.intp], errors: Floats) -> None:
        self._x, self._rows, self._errors = x, rows, errors
        norms = [squared_norms(block) for _, block in blocks(x, rows)]
        self.norms: Floats = np.concatenate(norms) * squared_norms(errors)

    def __len__(self) -> int:
        return len(self._rows)

    def apart(self, some: NDArray[np.intp], others: NDArray[np.intp]) -> Floats:
        """Squared distances, (some, others)."""
        return self._squared(take(self._x, self._rows[some]), some, take(self._x, self._rows[others]), others)

    def nearest(self, centers: NDArray[np.intp]) -> Floats:
        """Squared distance of each to the nearest of the centers, (rows,): one pass over the embeddings."""
        found, of_centers = np.empty(len(self), np.float32), take(self._x, self._rows[centers])
        for part, block in blocks(self._x, self._rows):
            some = np.arange(part.start, min(part.stop, len(self)))
            found[part] = self._squared(block, some, of_centers, centers).min(axis=1)
        return found

    def _squared(self, a: Floats, some: NDArray[np.intp], b: Floats, others: NDArray[np.intp]) -> Floats:
        found = a @ b.T
        found *= self._errors[some] @ self._errors[others].T
        found *= -2
        of_some, of_others = self.norms[some][:, None], self.norms[others]
        found += of_some
        found += of_others
        found[found < NOISE * of_some] = 0
        return found
