"""ActiveLab: ask about a new item, or ask again about one whose label is doubtful.

Every item has a quality: how sure we may be of its label, from what its annotators said, how far each of them and the
model are to be trusted, and what the model says. Items with few answers are pulled towards 1 / C, which is to know
nothing. The item of the least quality is asked about next, labeled or not; to have items asked again, make labeled ones
selectable.

How far annotators and model are to be trusted is CROWDLAB: by how much each errs less than the likeliest class would.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alearn.core.crowd import Answers, Trust, judge, tempered
from alearn.core.pool import Pool
from alearn.core.strategies.uncertain import by_blocks, highest, probabilities
from alearn.core.uncertainty import Proba, Scores
from alearn.errors import StrategyError


def active_lab(pool: Pool, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The items of the least quality. Without annotations, those of which the model is least sure.

    Raises:
        StrategyError: a probability is not finite, or an annotation names no class.
    Source: Goh & Mueller, ActiveLab: Active Learning with Re-Labeling by Multiple Annotators, 2023.
    """
    rows = pool.rows
    return rows[highest(pool.per_second(scores(pool, rows), rows), n, rng)]


def scores(pool: Pool, rows: NDArray[np.intp]) -> Scores:
    """One minus the quality of rows (increasing): (n,) float64 in [0, 1]; higher = ask first."""
    assert pool.proba is not None
    classes = pool.proba.shape[1]
    if classes < 2:
        return np.zeros(len(rows))
    known, trust, found = _known(pool)
    out = by_blocks(rows, classes, lambda some: _of_model(probabilities(pool, some), trust))
    at = np.searchsorted(known, rows)
    answered = np.isin(rows, known)
    out[answered] = found[at[answered]]
    return np.clip(1 - out, 0, 1)


def _known(pool: Pool) -> tuple[NDArray[np.intp], Trust, Scores]:
    """The rows that somebody has answered, increasing; how far to trust whom; and the quality of these rows."""
    nobody = np.empty(0, np.intp), Trust(np.ones(1)), np.empty(0)
    if pool.annotations is None:
        return nobody
    known = np.flatnonzero((pool.annotations >= 0).any(axis=1))
    if not len(known):
        return nobody
    answers = pool.annotations[known]
    answers = answers[:, (answers >= 0).any(axis=0)]
    proba = probabilities(pool, known)
    _refuse_strangers(answers, known, proba.shape[1])
    trust, quality = judge(answers, proba)
    weights = (answers >= 0) @ trust.annotators + trust.model
    return known, trust, _shrunk(quality, weights, trust, proba.shape[1])


def _of_model(proba: Proba, trust: Trust) -> Scores:
    """The quality of items that nobody has answered, (n,)."""
    best = tempered(proba, trust.temperature).max(axis=1)
    return _shrunk(best, np.full(len(proba), trust.model), trust, proba.shape[1])


def _shrunk(quality: Scores, weights: Scores, trust: Trust, classes: int) -> Scores:
    """The quality pulled towards 1 / C, as if one more annotator had said nothing."""
    nothing = trust.annotators.mean()
    shrunk: Scores = (quality * weights + nothing / classes) / (weights + nothing)
    return shrunk


def _refuse_strangers(answers: Answers, known: NDArray[np.intp], classes: int) -> None:
    wrong = (answers >= classes).any(axis=1)
    if wrong.any():
        raise StrategyError(
            f"`annotations` of a pool must be class numbers below {classes}, or -1 for none. "
            f"Got {answers[wrong].max()} in row {known[wrong][0]}. Number the classes as the columns of `proba`."
        )
