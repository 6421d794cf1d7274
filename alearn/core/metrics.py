"""How well predictions agree with labels, as numbers that can be weighted.

Every metric takes a whole matrix of weights at once, a row per resample, because that is what estimation needs; the plain
value is the case of equal weights, and is then scikit-learn's.

Invariant: a metric that the labels cannot decide (no item of the class, no item at all) is NaN, never a guess.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Proba = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]
Weights = NDArray[np.float64]
Values = NDArray[np.float64]

Weighted = Callable[[Labels, Proba, Weights, int | None], Values]
"""(y (n,), proba (n, C), weights (R, n), positive) -> (R,): the metric under each row of weights."""

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

    def compute(self, y: Labels, proba: Proba, positive: int | None = None) -> float:
        """The metric of n labels (n,) in [0, C) and class probabilities (n, C); NaN where it is not defined.

        `positive` is the class that a metric about one class is about; None: the second of two, else the mean over classes.
        """
        if not len(y):
            return float("nan")
        return float(self.weighted(np.asarray(y), np.asarray(proba), np.ones((1, len(y))), positive)[0])


def accuracy(y: Labels, proba: Proba, weights: Weights, positive: int | None) -> Values:
    """The share of items whose likeliest class is their label; [0, 1], higher is better."""
    right = proba.argmax(axis=1) == y
    return _share(weights @ right, weights.sum(axis=1))


def f1(y: Labels, proba: Proba, weights: Weights, positive: int | None) -> Values:
    """The harmonic mean of precision and recall of the positive class, or `macro_f1`; [0, 1], higher is better.

    NaN where the class is neither a label nor a prediction.
    """
    about = _positive(proba, positive)
    if about is None:
        return macro_f1(y, proba, weights, None)
    return _f1_of(about, y, proba.argmax(axis=1), weights)


def macro_f1(y: Labels, proba: Proba, weights: Weights, positive: int | None) -> Values:
    """The mean of the F1 of every class that is a label or a prediction; [0, 1], higher is better."""
    predicted = proba.argmax(axis=1)
    classes = np.union1d(y, predicted)
    return np.mean([_f1_of(int(one), y, predicted, weights) for one in classes], axis=0)  # type: ignore[no-any-return]


def average_precision(y: Labels, proba: Proba, weights: Weights, positive: int | None) -> Values:
    """The mean precision over the positives, down the ranking by probability; [0, 1], higher is better.

    Without a positive class, the mean over the classes that are labels. NaN without a positive item.
    """
    return _over_classes(_average_precision_of, y, proba, weights, positive)


def auroc(y: Labels, proba: Proba, weights: Weights, positive: int | None) -> Values:
    """How often a positive item is ranked above a negative one, ties counting half; [0, 1], higher is better.

    Without a positive class, the mean of one class against the rest. NaN where all items are positive, or none is.
    """
    return _over_classes(_auroc_of, y, proba, weights, positive)


def calibration_error(y: Labels, proba: Proba, weights: Weights, positive: int | None) -> Values:
    """The mean gap between confidence and accuracy over 15 equal bins of confidence; [0, 1], lower is better.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """
    confidence = proba.max(axis=1).astype(np.float64)
    gap = (proba.argmax(axis=1) == y) - confidence
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    of_bin = np.zeros((len(y), BINS))
    of_bin[np.arange(len(y)), bins] = gap
    return _share(np.abs(weights @ of_bin).sum(axis=1), weights.sum(axis=1))


def log_loss(y: Labels, proba: Proba, weights: Weights, positive: int | None) -> Values:
    """The mean of minus the logarithm of the label's probability, in nats; >= 0, lower is better."""
    of_label = proba[np.arange(len(y)), y]
    losses = -np.log(np.clip(of_label, np.finfo(proba.dtype).eps, 1)).astype(np.float64)
    return _share(weights @ losses, weights.sum(axis=1))


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


def _positive(proba: Proba, positive: int | None) -> int | None:
    """The class a metric is about; None where it is about all of them."""
    return 1 if positive is None and proba.shape[1] == 2 else positive


def _share(part: Values, whole: Values) -> Values:
    """part / whole, NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


def _f1_of(about: int, y: Labels, predicted: Labels, weights: Weights) -> Values:
    """F1 of one class: twice the hits over the labels and the predictions."""
    is_label, is_predicted = y == about, predicted == about
    hits = weights @ (is_label & is_predicted)
    return _share(2 * hits, weights @ (is_label.astype(float) + is_predicted))


def _over_classes(
    of_class: Callable[[NDArray[np.bool_], Proba, Weights], Values],
    y: Labels,
    proba: Proba,
    weights: Weights,
    positive: int | None,
) -> Values:
    """The metric of the positive class, or the mean over the classes that are labels."""
    about = _positive(proba, positive)
    classes = [about] if about is not None else np.unique(y)
    return np.mean([of_class(y == one, proba[:, one], weights) for one in classes], axis=0)  # type: ignore[no-any-return]


def _down_the_ranking(
    truth: NDArray[np.bool_], scores: Proba, weights: Weights
) -> tuple[Weights, Weights]:
    """The weight of positives, and of negatives, at each distinct score: (R, levels), the highest score first."""
    order = np.argsort(-scores, kind="stable")
    ranked, levels = weights[:, order], np.flatnonzero(np.diff(scores[order], prepend=np.inf))
    hit = truth[order]
    return np.add.reduceat(ranked * hit, levels, axis=1), np.add.reduceat(ranked * ~hit, levels, axis=1)


def _average_precision_of(truth: NDArray[np.bool_], scores: Proba, weights: Weights) -> Values:
    hits, misses = _down_the_ranking(truth, scores, weights)
    found, seen = hits.cumsum(axis=1), (hits + misses).cumsum(axis=1)
    precision = np.divide(found, seen, out=np.zeros_like(found), where=seen > 0)
    return _share((hits * precision).sum(axis=1), found[:, -1])


def _auroc_of(truth: NDArray[np.bool_], scores: Proba, weights: Weights) -> Values:
    hits, misses = _down_the_ranking(truth, scores, weights)
    above = hits.cumsum(axis=1) - hits / 2
    return _share((above * misses).sum(axis=1), hits.sum(axis=1) * misses.sum(axis=1))
