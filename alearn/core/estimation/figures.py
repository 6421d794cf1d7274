"""Every number that a report shows of a classifier on its hold-out, each with its interval.

Shares of single items (accuracy, precision, recall) are exact; where items come in groups, and for F1 and its means, it
is the Bayesian bootstrap with one imagined group more.

Invariant: what the hold-out cannot decide (a class without a label or a prediction) is NaN, never a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alearn.core.estimation.interval import Interval, unknown
from alearn.core.estimation.proportions import exact
from alearn.core.estimation.resampling import bootstrap
from alearn.core.metrics import METRICS, Labels, Metric, Proba, Values, Weights, accuracy

RESAMPLES = 1000


@dataclass(frozen=True)
class ClassFigures:
    """One class: the share of its predictions that are right, of its labels that are found, and their F1.

    `labels` and `predictions` count the hold-out's items.
    """

    precision: Interval
    recall: Interval
    f1: Interval
    labels: int
    predictions: int


@dataclass(frozen=True)
class Figures:
    """`overall` holds a metric by its name, `classes` a row for each column of the probabilities."""

    overall: dict[str, Interval]
    classes: tuple[ClassFigures, ...]


def macro_precision(y: Labels, proba: Proba, weights: Weights, positive: int | None) -> Values:
    """The mean precision of the classes that are predicted, (R,); [0, 1], higher is better."""
    hits, _, predicted = _counts(y, proba, weights)
    return _mean_share(hits, predicted)


def macro_recall(y: Labels, proba: Proba, weights: Weights, positive: int | None) -> Values:
    """The mean recall of the classes that are labels (balanced accuracy), (R,); [0, 1], higher is better."""
    hits, labels, _ = _counts(y, proba, weights)
    return _mean_share(hits, labels)


def weighted_f1(y: Labels, proba: Proba, weights: Weights, positive: int | None) -> Values:
    """The F1 of the classes, weighted by their labels, (R,); [0, 1], higher is better."""
    hits, labels, predicted = _counts(y, proba, weights)
    f1 = np.divide(2 * hits, labels + predicted, out=np.zeros(hits.shape), where=labels + predicted > 0)
    mean: Values = (f1 * labels).sum(axis=0) / weights.sum(axis=0)
    return mean


MORE = {
    "macro_precision": Metric("Macro precision", macro_precision),
    "macro_recall": Metric("Macro recall", macro_recall),
    "micro_f1": Metric("Micro F1", accuracy),  # one label each: what one class misses another one takes
    "weighted_f1": Metric("Weighted F1", weighted_f1),
}
"""Metrics of a report beyond those a loop measures in each round."""


def figures(
    y: ArrayLike,
    proba: ArrayLike,
    groups: Sequence[Any] | NDArray[Any],
    *,
    positive: int | None = None,
    confidence: float = 0.95,
    rng: np.random.Generator,
    even: bool = False,
    weights: ArrayLike | None = None,
) -> Figures:
    """All figures of labels `y` (n,) in [0, C) and `proba` (n, C), with central intervals at `confidence` in [0, 1).

    `groups` (n,) name what was drawn together. `even` and `weights` (n,): see `bootstrap`; exact intervals stay exact,
    but with weights there are none.
    """
    labels, p = np.asarray(y, dtype=np.intp), np.asarray(proba)
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    single = weights is None and len(labels) == int(group.max(initial=-1)) + 1
    each = np.ones(len(labels)) if weights is None else np.asarray(weights, dtype=np.float64)
    overall = {
        name: bootstrap(
            labels, p, group, rule, positive=positive, confidence=confidence, rng=rng, even=even, weights=each
        )
        for name, rule in {**METRICS, **MORE}.items()
    }
    if single:
        right = exact(int(np.count_nonzero(p.argmax(axis=1) == labels)), len(labels), confidence=confidence)
        overall |= {"accuracy": right, "micro_f1": right}
    draws = rng.standard_exponential((int(group.max(initial=-1)) + 2, RESAMPLES))
    rows = (_of_class(one, labels, p, group, draws, single, confidence, each) for one in range(p.shape[1]))
    return Figures(overall, tuple(rows))


def _of_class(  # noqa: PLR0917 - one class of what `figures` was given
    one: int,
    y: Labels,
    proba: Proba,
    group: NDArray[np.intp],
    draws: Weights,
    single: bool,
    confidence: float,
    each: Values,
) -> ClassFigures:
    is_label, is_predicted = y == one, proba.argmax(axis=1) == one
    hit = is_label & is_predicted
    counts = (int(is_label.sum()), int(is_predicted.sum()))
    imagined = draws[-1] * len(y) / max(len(draws) - 1, 1) * float((each**2).sum() / max(each.sum(), 1.0))
    hits, labels, predicted = (which @ (draws[group] * each[:, None]) for which in (hit, is_label, is_predicted))
    hit_, label_, predicted_ = (float(which @ each) for which in (hit, is_label, is_predicted))
    f1 = _ratio(2 * hits, labels + predicted, imagined, 2 * hit_, label_ + predicted_, sum(counts), confidence, 2.0)
    if single:
        precision, recall = (exact(int(hit.sum()), of, confidence=confidence) for of in counts[::-1])
    else:
        precision = _ratio(hits, predicted, imagined, hit_, predicted_, counts[1], confidence)
        recall = _ratio(hits, labels, imagined, hit_, label_, counts[0], confidence)
    return ClassFigures(precision, recall, f1, *counts)


def _ratio(  # noqa: PLR0917 - a ratio and what may come on top of it
    part: Values, whole: Values, more: Values, hits: float, of: float, n: int, confidence: float, twice: float = 1.0
) -> Interval:
    """`hits` / `of`, of `n` items, with an interval from resamples of both: one imagined group misses for the low end,
    hits for the high one. A hit counts `twice` in the part and in the whole."""
    if n == 0:
        return unknown(0)
    tail, value = (1 - confidence) / 2, hits / of
    low = float(np.quantile(part / (whole + more), tail, method="lower"))
    high = float(np.quantile((part + twice * more) / (whole + twice * more), 1 - tail, method="higher"))
    return Interval(value, min(low, value), max(high, value), n)


def _counts(y: Labels, proba: Proba, weights: Weights) -> tuple[Weights, Weights, Weights]:
    """The weight of hits, labels and predictions of each class, (C, R)."""
    one = np.arange(proba.shape[1])[:, None]
    is_label, is_predicted = one == y, one == proba.argmax(axis=1)
    hits, labels, predicted = (
        (which.astype(np.float64) @ weights) for which in (is_label & is_predicted, is_label, is_predicted)
    )
    return hits, labels, predicted


def _mean_share(part: Weights, whole: Weights) -> Values:
    """The mean of part / whole over the classes that have any, (C, R) -> (R,)."""
    there = whole[:, 0] > 0
    mean: Values = (part[there] / whole[there]).mean(axis=0)
    return mean
