"""Runs a function of modAL over what a pool has, and turns what it returns into picks, best first.

Equal scores are in random order: the items are shuffled by `rng` before modAL sees them, for it takes what comes first.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.core.geometry import take
from alearn.core.pool import Pool
from alearn.core.strategies.disagreement import ballots
from alearn.core.strategies.modal import functions
from alearn.core.strategies.modal.functions import FUNCTIONS
from alearn.core.strategies.modal.stand_ins import KnownClassifier, KnownCommittee, KnownLabels, KnownRegressor
from alearn.core.strategies.uncertain import highest, probabilities
from alearn.core.uncertainty import Scores
from alearn.errors import StrategyError

Rows = NDArray[np.intp]


def judged(name: str, pool: Pool, n: int, rng: np.random.Generator) -> Rows:
    """The n items that a function which judges each by itself returns; per second where answers differ in cost."""
    rows, worst = pool.rows, FUNCTIONS[name].worst
    if pool.costs is not None:
        return rows[highest(pool.per_second(scores(name, pool, rows), rows), n, rng)]
    order = rng.permutation(len(rows))
    positions, found = _function(name)(_known(name, pool, rows, order), _items(rows), n_instances=n, **FIRST)
    picks: Rows = rows[order[positions[np.argsort(-np.abs(found - worst), kind="stable")]]]
    return picks


def scores(name: str, pool: Pool, rows: Rows) -> Scores:
    """The utility that it sees in rows, (n,) float64 >= 0, higher = ask first: its score's distance from the worst."""
    out = np.empty(len(rows))
    if len(rows):
        known = _known(name, pool, rows, np.arange(len(rows)))
        positions, found = _function(name)(known, _items(rows), n_instances=len(rows), **FIRST)
        out[positions] = np.abs(found - FUNCTIONS[name].worst)
    return out


FIRST = {"random_tie_break": False}
"""modAL breaks ties by numpy's global randomness if it is let to: `max_score` does so by default."""


def _function(name: str) -> Callable[..., Any]:
    """modAL's function; its import takes seconds the first time."""
    found: Callable[..., Any] = getattr(importlib.import_module(f"modAL.{FUNCTIONS[name].module}"), name)
    return found


def _known(name: str, pool: Pool, rows: Rows, order: Rows) -> Any:
    """The stand-in that the function reads, about the rows in this order."""
    match FUNCTIONS[name].reading:
        case "committee":
            return KnownCommittee(ballots(pool, rows)[:, order])
        case "regressor":
            return KnownRegressor(ballots(pool, rows)[:, order])
        case "labels" | "boundaries":
            return KnownLabels(probabilities(pool, rows)[order])
        case _:
            return KnownClassifier(probabilities(pool, rows)[order])


def _items(rows: Rows) -> NDArray[np.float64]:
    """Something of as many rows as there are items; the stand-ins do not look at it."""
    return np.empty((len(rows), 1))


def nearest_to_a_boundary(name: str, pool: Pool, n: int, rng: np.random.Generator) -> Rows:
    """The n items with the least sure single label. modAL names one, so it is asked again about the rest."""
    rows = pool.rows
    if pool.costs is not None:
        return rows[highest(pool.per_second(boundary_scores(pool, rows), rows), n, rng)]
    left = rng.permutation(len(rows))
    proba, chosen = probabilities(pool, rows), []
    for _ in range(n):
        at = int(_function(name)(KnownLabels(proba[left]), _items(left)))
        chosen.append(left[at])
        left = np.delete(left, at)
    return rows[np.array(chosen, np.intp)]


def boundary_scores(pool: Pool, rows: Rows) -> Scores:
    """One minus the least distance of a label from its boundary, (n,) float64 in [0, 1]; higher = ask first."""
    found: Scores = 1 - np.abs(2 * probabilities(pool, rows).astype(np.float64) - 1).min(axis=1)
    return found


def densest(name: str, pool: Pool, n: int, rng: np.random.Generator) -> Rows:
    """The n items in the densest places. modAL measures density and leaves the choice to its caller."""
    assert pool.embeddings is not None
    rows = pool.rows
    _refuse_above(len(rows), "modal:information_density")
    density: Scores = _function(name)(take(pool.embeddings, rows))
    return rows[highest(pool.per_second(density.astype(np.float64), rows), n, rng)]


def ranked(name: str, pool: Pool, n: int, rng: np.random.Generator) -> Rows:
    """Ranked batch sampling; costs are not taken into account, for modAL weighs what it picks by itself.

    Without labels the first pick is taken apart: modAL would offer it a second time.
    """
    assert pool.embeddings is not None
    rows, function = pool.rows, _function(name)
    proba, x = probabilities(pool, rows), take(pool.embeddings, rows)
    known, rest, first = take(pool.embeddings, np.flatnonzero(pool.labeled)), np.arange(len(x)), np.empty(0, np.intp)
    if not len(known):
        _refuse_above(len(x), "modal:uncertainty_batch_sampling without labels")
        first, _ = function(KnownClassifier(proba), x, n_instances=1)
        known, rest = x[first], np.delete(rest, first)
    more = rest[:0]
    if len(first) < n:
        more, _ = function(KnownClassifier(proba[rest], known), x[rest], n_instances=n - len(first))
    picks: Rows = rows[np.concatenate([first, rest[more]])]
    return picks


def _refuse_above(count: int, what: str) -> None:
    if count > functions.MOST:
        raise StrategyError(
            f"Query strategy {what} compares every item with every other, for at most {functions.MOST:,} items. "
            f"Got {count:,}. Use max_herding, or uncertainty_herding once there is a model."
        )
