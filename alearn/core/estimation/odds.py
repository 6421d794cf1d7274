"""Which items decide a metric most: those whose label, while it is not known, could move it furthest.

A hold-out drawn with such odds, and weighted by their inverse, measures the same metric with fewer labels (active
testing). The label is taken to be as probable as the model says; a model that is wrong about itself costs labels, never
the truth, because the weights undo whatever the odds were.

Invariant: odds are positive, never below the share that is drawn evenly, and 1 on the average.

Source: Sawade et al., Active Risk Estimation, ICML 2010, and Active Estimation of F-Measures, NIPS 2010; Marchant &
Rubinstein, In Search of an Entity Resolution OASIS, VLDB 2017; Kossen et al., Active Testing, ICML 2021; Hesterberg,
Weighted Average Importance Sampling and Defensive Mixture Distributions, 1995.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alearn.core.metrics import METRICS

Floats = NDArray[np.float64]

EVEN = 0.3
"""The share of a hold-out that is drawn evenly, so that no item counts for more than 1 / 0.3 of its share."""

NOTHING = 1e-9
"""A move over the number of items that is rounding, not doubt."""


def odds(proba: ArrayLike, metric: str, *, positive: int | None = None, even: float = EVEN) -> Floats:
    """How much likelier than on the average each item should be drawn to measure `metric`; (n,), mean 1, > 0.

    `proba` (n, C) are the model's probabilities; `positive` is the class that a metric about one class is about. `even`
    in (0, 1] is the least that an item gets.

    Raises:
        KeyError: `metric` is not in METRICS.
    """
    METRICS[metric]
    p = np.asarray(proba, dtype=np.float64)
    if not len(p):
        return np.ones(0)
    p = p / np.maximum(p.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)  # a copy: the caller's stays
    about = 1 if positive is None and p.shape[1] == 2 else positive
    reach = np.sqrt((p * _MOVES.get(metric, _accuracy)(p, about) ** 2).sum(axis=1))
    mean = float(reach.mean())
    found: Floats = even + (1 - even) * reach / mean if mean > NOTHING / len(p) else np.ones(len(p))
    return found


def _accuracy(p: Floats, positive: int | None) -> Floats:
    right = np.arange(p.shape[1]) == p.argmax(axis=1)[:, None]
    moves: Floats = right - p.max(axis=1).mean()
    return moves


def _macro_f1(p: Floats, positive: int | None) -> Floats:
    hit, of_label, of_prediction = _f1_moves(p)
    moves: Floats = hit - of_prediction - of_label
    return moves


def _f1(p: Floats, positive: int | None) -> Floats:
    if positive is None:
        return _macro_f1(p, None)
    hit, of_label, of_prediction = _f1_moves(p)
    moves = np.zeros_like(p)
    moves[:, positive] -= of_label[0, positive]
    mine = p.argmax(axis=1) == positive
    moves[mine] -= of_prediction[mine]
    moves[mine] += np.where(np.arange(p.shape[1]) == positive, hit[mine], 0.0)
    return moves


def _f1_moves(p: Floats) -> tuple[Floats, Floats, Floats]:
    """By what a hit raises the F1 of a class, (n, C), and a label (1, C) and a prediction (n, 1) lower it.

    Twice the hits over labels and predictions, whose expected numbers follow from the probabilities.
    """
    classes, predicted = np.arange(p.shape[1]), p.argmax(axis=1)
    is_predicted = (classes == predicted[:, None]).astype(np.float64)
    size = np.maximum(p.sum(axis=0) + is_predicted.sum(axis=0), 1e-9)
    falls = 2 * (p * is_predicted).sum(axis=0) / size**2
    return is_predicted * 2 / size, falls[None], falls[predicted][:, None]


def _of_classes(moves: Callable[[Floats, Floats], tuple[Floats, Floats]]) -> Callable[[Floats, int | None], Floats]:
    """What the label moves in a metric of a ranking: `moves` gives it for an item that is positive, and is not."""

    def all_moves(p: Floats, positive: int | None) -> Floats:
        found = np.zeros_like(p)
        for one in range(p.shape[1]) if positive is None else [positive]:
            if_positive, if_negative = moves(p[:, one], 1 - p[:, one])
            found += if_negative[:, None]
            found[:, one] += if_positive - if_negative
        return found

    return all_moves


def _average_precision(positive: Floats, negative: Floats) -> tuple[Floats, Floats]:
    """What one more item at the place of each would add to the expected average precision."""
    order, first, last = _ranks(positive)
    total = max(float(positive.sum()), 1e-9)
    found = np.cumsum(positive[order])[last]
    precision = found / (last + 1)
    mean = float(positive[order] @ precision) / total
    # Behind an item, all positives have one more before them.
    if_hit, if_miss = (
        _sums_from(positive[order] * (hit - precision) / (last + 1), first) / total for hit in (1.0, 0.0)
    )
    return _back(order, (precision - mean) / total + if_hit), _back(order, if_miss)


def _auroc(positive: Floats, negative: Floats) -> tuple[Floats, Floats]:
    """What one more item at the place of each would add to the expected AUROC."""
    order, first, last = _ranks(positive)
    p, n = max(float(positive.sum()), 1e-9), max(float(negative.sum()), 1e-9)
    above, up_to = (np.concatenate([[0.0], np.cumsum(positive[order])])[at] for at in (first, last + 1))
    behind, from_ = (n - np.concatenate([[0.0], np.cumsum(negative[order])])[at] for at in (last + 1, first))
    wins, losses = (behind + from_) / 2, (above + up_to) / 2
    mean = float(positive[order] @ wins) / (p * n)
    return _back(order, wins / (p * n) - mean / p), _back(order, losses / (p * n) - mean / n)


def _ranks(score: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """The order down the scores, and where each run of equal scores begins and ends, row by row of that order."""
    order = np.argsort(-score, kind="stable")
    falling = -score[order]
    first, after = (np.searchsorted(falling, falling, side) for side in ("left", "right"))
    return order, first, after - 1


def _sums_from(values: Floats, first: NDArray[np.intp]) -> Floats:
    """The sum of the values from each row's first on."""
    sums: Floats = np.cumsum(values[::-1])[::-1][first]
    return sums


def _back(order: NDArray[np.intp], values: Floats) -> Floats:
    found = np.empty_like(values)
    found[order] = values
    return found


_MOVES: dict[str, Callable[[Floats, int | None], Floats]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "macro_f1": _macro_f1,
    "average_precision": _of_classes(_average_precision),
    "auroc": _of_classes(_auroc),
}
"""Of each metric: how far each label of an item would move it, (n, C), up to a factor. Others: as accuracy."""
