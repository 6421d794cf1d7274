"""EPIG: how much an answer would tell about the answers to other items, which is what a model is for.

BALD asks which answers would tell most about the model; a part of that may matter for no item there is. Here what
counts is the mutual information, under the committee, between an item's answer and that of a target, averaged over
targets drawn from the whole pool.

The joint distribution of two answers is a mean over members. Divided by the two answers' own distributions it is one
product of matrices for a block of items and a block of targets; only its logarithm is taken number by number. In a
large pool few targets tell which items are worth to be measured by all of them.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from alearn.core.geometry import Floats, spread
from alearn.core.pool import Pool
from alearn.core.strategies.disagreement import ballots
from alearn.core.strategies.uncertain import highest
from alearn.core.uncertainty import Scores

TARGETS = 512
"""Items whose answers are to become clearer, at most."""
CANDIDATES = 16_384
"""Items measured by all targets, at most; eight times the picks if that is more."""
FEW = 32
"""Targets by which the items of a larger pool are measured first."""
BLOCK = 1 << 18
"""Numbers of a joint distribution held at once, three times: they stay in the processor's cache."""


def epig(pool: Pool, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The items whose answers would tell most about the answers to the rest of the pool, labeled items included.

    Raises:
        StrategyError: a vote is not a finite number.
    Source: Bickford Smith et al., Prediction-Oriented Bayesian Active Learning, AISTATS 2023.
    """
    rows, size = pool.rows, len(pool.selectable)
    targets = np.sort(rng.choice(size, TARGETS, replace=False)) if size > TARGETS else np.arange(size)
    most = max(CANDIDATES, 8 * n)
    if len(rows) > most:
        rough = pool.per_second(gains(pool, rows, targets[spread(len(targets), FEW)]), rows)
        rows = np.sort(rows[highest(rough, most, rng)])
    return rows[highest(pool.per_second(gains(pool, rows, targets), rows), n, rng)]


def scores(pool: Pool, rows: NDArray[np.intp]) -> Scores:
    """The gains of rows (increasing) for targets spread evenly over the pool, (n,) float64 >= 0; higher = ask first.

    There are few targets where there are many rows.
    """
    return gains(pool, rows, spread(len(pool.selectable), TARGETS if len(rows) <= CANDIDATES else FEW))


def gains(pool: Pool, rows: NDArray[np.intp], targets: NDArray[np.intp]) -> Scores:
    """The mean over targets of the information that a row's answer has in common with a target's, in nats.

    (n,) float64 in [0, ln min(members, C)]; higher = ask first: 0 = the answer tells nothing of the targets'.
    """
    assert pool.votes is not None
    classes = pool.votes.shape[2]
    targeted = max(1, min(len(targets), BLOCK // classes**2))
    size = max(1, BLOCK // (targeted * classes**2))
    out = np.zeros(len(rows))
    for at, to in product(range(0, len(rows), size), range(0, len(targets), targeted)):
        own, others = ballots(pool, rows[at : at + size]), ballots(pool, targets[to : to + targeted])
        out[at : at + size] += information(own.astype(np.float32), others.astype(np.float32))
    return np.maximum(out / len(targets), 0)


def information(own: Floats, others: Floats) -> Scores:
    """The information that each of `own` (members, n, C) has in common with the `others` (members, t, C), summed.

    (n,) float64 in nats, >= 0 but for rounding.
    """
    members, count, classes = own.shape
    (mean, ratio), (mean_other, ratio_other) = _relative(own), _relative(others)
    lift = ratio.reshape(members, -1).T @ (ratio_other.reshape(members, -1) / np.float32(members))
    lift *= np.log(lift + np.finfo(np.float32).tiny)
    shared = (lift @ mean_other.ravel()).reshape(count, classes)
    total: Scores = np.einsum("nc,nc->n", shared, mean, dtype=np.float64)
    return total


def _relative(votes: Floats) -> tuple[Floats, Floats]:
    """The mean over members (n, C), and what each member says as a multiple of it (members, n, C)."""
    mean = votes.mean(axis=0)
    return mean, np.divide(votes, mean, out=np.zeros_like(votes), where=mean > 0)
