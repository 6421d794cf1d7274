"""The items about which a committee of models disagrees most: each member is a model that the labels allow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alearn.core import uncertainty
from alearn.core.pool import Pool
from alearn.core.strategies.uncertain import by_blocks, highest, refuse_unreal
from alearn.core.uncertainty import Measure, Proba, Scores


def ballots(pool: Pool, rows: NDArray[np.intp]) -> Proba:
    """What the members say of the given rows, (members, n, C); raises StrategyError where it is not a finite number."""
    assert pool.votes is not None
    votes: Proba = pool.votes[:, rows]
    refuse_unreal(votes, rows)
    return votes


def scores(pool: Pool, rows: NDArray[np.intp], measure: Measure) -> Scores:
    """The measure of the given rows, (n,) float64; memory-mapped votes are read block by block."""
    assert pool.votes is not None
    members, _, classes = pool.votes.shape
    return by_blocks(rows, members * classes, lambda some: measure(ballots(pool, some)))


def _most(pool: Pool, n: int, rng: np.random.Generator, measure: Measure) -> NDArray[np.intp]:
    """The n selectable rows of which the measure is highest."""
    rows = pool.rows
    return rows[highest(pool.per_second(scores(pool, rows, measure), rows), n, rng)]


def vote_entropy(pool: Pool, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The items to which the members give the most different answers; often tied, and then drawn at random."""
    return _most(pool, n, rng, uncertainty.vote_entropy)


def consensus_entropy(pool: Pool, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The items of which the committee as a whole is least sure."""
    return _most(pool, n, rng, uncertainty.consensus_entropy)


def max_disagreement(pool: Pool, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The items where one member differs most from the consensus."""
    return _most(pool, n, rng, uncertainty.max_disagreement)


def bald(pool: Pool, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The items whose label would tell most about which member is right."""
    return _most(pool, n, rng, uncertainty.bald)
