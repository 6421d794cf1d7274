"""How well predictions agree with labels, as numbers that can be weighted.

Every metric takes a whole matrix of weights at once, a column per resample, because that is what estimation needs; the
plain value is the case of equal weights, and is then scikit-learn's.

Invariant: a metric that the labels cannot decide (no item of the class, no item at all) is NaN, never a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Proba = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]
Weights = NDArray[np.float64]
Values = NDArray[np.float64]

Weighted = Callable[[Labels, Proba, Weights, int | None], Values]
"""(y (n,), proba (n, C), weights (n, R) > 0, positive) -> (R,): the metric under each column of weights."""

BINS = 15
"""Equal bins of confidence in the calibration error."""


@dataclass(frozen=True)
class Metric:
    """A metric: `title` is what people call it, `weighted` computes it.

    `higher_is_better` tells its direction. A `bounded` one cannot leave [0, 1], whatever one more item would be.
    """

    title: str
    weighted: Weighted
    higher_is_better: bool = True
    bounded: bool = True

    def compute(
        self, y: Labels, proba: Proba, positive: int | None = None, weights: NDArray[np.float64] | None = None
    ) -> float:
        """The metric of n labels (n,) in [0, C) and class probabilities (n, C); NaN where it is not defined.

        `positive` is the class that a metric about one class is about; None: the second of two, else the mean over
        classes. `weights` (n,) > 0 say for how much each item counts; none: all the same.
        """
        if not len(y):
            return float("nan")
        each = np.ones(len(y)) if weights is None else weights
        return float(self.weighted(np.asarray(y), np.asarray(proba), each[:, None], positive)[0])


def accuracy(y: Labels, proba: Proba, weights: Weights, positive: int | None) -> Values:
    """The share of items whose likeliest class is their label; [0, 1], higher is better."""
    right = (proba.argmax(axis=1) == y).astype(np.float64)
    return _share(right @ weights, weights.sum(axis=0))


def f1(y: Labels, proba: Proba, weights: Weights, positive: int | None) -> Values:
    """The harmonic mean of precision and recall of the positive class, or `macro_f1`; [0, 1], higher is better.

    NaN where the class is neither a label nor a prediction.
    """
    about = _about(proba, positive)
    return macro_f1(y, proba, weights, None) if about is None else _f1_of(np.array([about]), y, proba, weights)[0]


def macro_f1(y: Labels, proba: Proba, weights: Weights, positive: int | None) -> Values:
    """The mean of the F1 of every class that is a label or a prediction; [0, 1], higher is better."""
    return _mean(_f1_of(np.union1d(y, proba.argmax(axis=1)), y, proba, weights))


def average_precision(y: Labels, proba: Proba, weights: Weights, positive: int | None) -> Values:
    """The mean precision over the positives, down the ranking by probability; [0, 1], higher is better.

    Without a positive class, the mean over the classes that are labels. NaN without a positive item.
    """
    return _mean([_average_precision_of(one) for one in _rankings(y, proba, weights, positive)])


def auroc(y: Labels, proba: Proba, weights: Weights, positive: int | None) -> Values:
    """How often a positive item is ranked above a negative one, ties counting half; [0, 1], higher is better.

    Without a positive class, the mean of each class that is a label against the rest. NaN where all items are positive,
    or none is.
    """
    return _mean([_auroc_of(one) for one in _rankings(y, proba, weights, positive)])


def calibration_error(y: Labels, proba: Proba, weights: Weights, positive: int | None) -> Values:
    """The mean gap between confidence and accuracy over 15 equal bins of confidence; [0, 1], lower is better.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """
    confidence = proba.max(axis=1).astype(np.float64)
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.zeros((BINS, len(y)))
    gaps[bins, np.arange(len(y))] = (proba.argmax(axis=1) == y) - confidence
    return _share(np.abs(gaps @ weights).sum(axis=0), weights.sum(axis=0))


def log_loss(y: Labels, proba: Proba, weights: Weights, positive: int | None) -> Values:
    """The mean of minus the logarithm of the label's probability, in nats; >= 0, lower is better."""
    of_label = proba[np.arange(len(y)), y]
    losses = -np.log(np.clip(of_label, np.finfo(proba.dtype).eps, 1)).astype(np.float64)
    return _share(losses @ weights, weights.sum(axis=0))


METRICS = {
    "accuracy": Metric("Accuracy", accuracy),
    "f1": Metric("F1", f1),
    "macro_f1": Metric("Macro F1", macro_f1),
    "average_precision": Metric("Average precision", average_precision),
    "auroc": Metric("AUROC", auroc),
    "calibration_error": Metric("Calibration error", calibration_error, higher_is_better=False),
    "log_loss": Metric("Log loss", log_loss, higher_is_better=False, bounded=False),
}
"""Every metric by its name."""


def _about(proba: Proba, positive: int | None) -> int | None:
    """The class a metric is about; None where it is about all of them."""
    return 1 if positive is None and proba.shape[1] == 2 else positive


def _share(part: Values, whole: Values) -> Values:
    """part / whole, NaN where the whole is 0."""
    shares: Values = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return shares


def _mean(of_classes: Sequence[Values] | NDArray[np.float64]) -> Values:
    """The mean over classes, (classes, R) -> (R,)."""
    mean: Values = np.mean(of_classes, axis=0)
    return mean


def _f1_of(classes: Labels, y: Labels, proba: Proba, weights: Weights) -> NDArray[np.float64]:
    """F1 of each class, (classes, R): twice the hits over the labels and the predictions."""
    is_label = (classes[:, None] == y).astype(np.float64)
    is_predicted = (classes[:, None] == proba.argmax(axis=1)).astype(np.float64)
    return _share(2 * (is_label * is_predicted) @ weights, (is_label + is_predicted) @ weights)


@dataclass(frozen=True)
class _Ranking:
    """The positives of a class, in the order of their scores, and what is ranked with and above each.

    All are (positives, R). `found` and `seen` weigh the positives, and all items, of at least the score of each;
    `found_above` and `seen_above` those of a higher score. `weights` are the positives' own, `total` (R,) everybody's.
    """

    weights: Weights
    found: Weights
    seen: Weights
    found_above: Weights
    seen_above: Weights
    total: Values


def _rankings(y: Labels, proba: Proba, weights: Weights, positive: int | None) -> Iterator[_Ranking]:
    """The ranking for the positive class, or for each class that is a label."""
    about = _about(proba, positive)
    for one in [about] if about is not None else np.unique(y):
        yield _ranking(y == one, proba[:, one], weights)


def _ranking(truth: NDArray[np.bool_], scores: NDArray[np.floating[Any]], weights: Weights) -> _Ranking:
    order = np.argsort(-scores, kind="stable")
    falling, hits = -scores[order], np.flatnonzero(truth[order])
    first, last = (np.searchsorted(falling, falling[hits], side) for side in ("left", "right"))
    own = weights[order[hits]]
    found, found_above = _sums_before(own, np.searchsorted(hits, last), np.searchsorted(hits, first))
    seen, seen_above = _sums_before(weights[order], last, first)
    return _Ranking(own, found, seen, found_above, seen_above, weights.sum(axis=0))


def _sums_before(weights: Weights, *ends: NDArray[np.intp]) -> list[Weights]:
    """For each `ends` (P,), the sum of the rows before each of them: (n, R) -> (P, R)."""
    cuts = np.unique(np.concatenate([[0], *ends]))
    sums = np.zeros((len(cuts), weights.shape[1]))
    if len(cuts) > 1:
        np.cumsum(np.add.reduceat(weights[: cuts[-1]], cuts[:-1], axis=0), axis=0, out=sums[1:])
    return [sums[np.searchsorted(cuts, end)] for end in ends]


def _average_precision_of(one: _Ranking) -> Values:
    return _share((one.weights * _share(one.found, one.seen)).sum(axis=0), one.weights.sum(axis=0))


def _auroc_of(one: _Ranking) -> Values:
    positives = one.weights.sum(axis=0)
    negatives = one.total - positives
    above = (one.seen - one.found + one.seen_above - one.found_above) / 2
    return _share((one.weights * (negatives - above)).sum(axis=0), positives * np.where(negatives > 1e-9, negatives, 0))
