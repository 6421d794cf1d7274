"""Stochastic batches: noise on the scores, so that a batch of items that look alike to the model spreads out.

The n highest of scores with Gumbel noise are n draws without replacement: with probabilities proportional to the score
(power), to its exponential (softmax), or to one over its rank (softrank). It costs nothing, and is often as good as
what compares items with each other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from alearn.core.pool import Pool
from alearn.core.strategies.strategy import Strategy
from alearn.core.strategies.uncertain import highest
from alearn.core.uncertainty import Scores

TINY = 1e-300
"""In place of a score of 0, whose logarithm is none."""

Heft = Callable[[Scores, np.random.Generator], Scores]


def power(scores: Scores, _: np.random.Generator) -> Scores:
    """ln s: an item of twice the score is drawn with twice the probability. Those of score 0 come last."""
    logs: Scores = np.log(np.maximum(scores, TINY))
    return logs


def softmax(scores: Scores, _: np.random.Generator) -> Scores:
    """s: probabilities proportional to exp(s). Close to uniform where scores differ little."""
    return scores


def softrank(scores: Scores, rng: np.random.Generator) -> Scores:
    """-ln rank, from 1 for the highest score; equal scores are ranked at random."""
    out = np.empty(len(scores))
    out[np.lexsort((rng.random(len(scores)), -scores))] = -np.log(np.arange(1, len(scores) + 1))
    return out


FAMILIES: dict[str, Heft] = {"power": power, "softmax": softmax, "softrank": softrank}
"""What may precede the name of a strategy that has a `score`."""


def stochastic(family: str, base: Strategy) -> Strategy:
    """The strategy `family:base`; KeyError when there is no such family. `base` must have a `score`.

    Source: Kirsch et al., Stochastic Batch Acquisition: A Simple Baseline for Deep Active Learning, TMLR 2023.
    """
    return Strategy(
        f"{family}:{base.name}",
        partial(_drawn, base, FAMILIES[family]),
        base.needs,
        base.cost,
        f"Kirsch et al., TMLR 2023, on: {base.source}",
    )


def _drawn(base: Strategy, heft: Heft, pool: Pool, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The n selectable rows of the highest perturbed scores, drawn first first."""
    assert base.score is not None
    rows = pool.rows
    scores = pool.per_second(base.score(pool, rows), rows)
    return rows[highest(heft(scores, rng) + rng.gumbel(size=len(rows)), n, rng)]
