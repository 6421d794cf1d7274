"""How well predicted numbers agree with the true ones, and how sure that is.

The interval is the Bayesian bootstrap over groups. An error has no upper end, so the worst item that could come cannot
be imagined; one group more with the largest error that was seen stands in for the bad bound, one with no error for
the good one.

What such a stand-in cannot know is an error much larger than any seen: where errors have heavy tails, the intervals of
squared errors (RMSE, R²) hold less often than they say.

Invariant: as for classes; items of a group are never taken for independent evidence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alearn.core.estimation.interval import Interval, unknown

Floats = NDArray[np.float64]


def mean_absolute_error(y: Floats, predicted: Floats, weights: Floats) -> Floats:
    """The mean distance of predictions from the truth, (n,), (n,), (n, R) -> (R,); >= 0, lower is better."""
    error: Floats = np.abs(y - predicted) @ weights / weights.sum(axis=0)
    return error


def root_mean_squared_error(y: Floats, predicted: Floats, weights: Floats) -> Floats:
    """The root of the mean squared distance, (R,); >= 0, lower is better."""
    error: Floats = np.sqrt((y - predicted) ** 2 @ weights / weights.sum(axis=0))
    return error


def r2(y: Floats, predicted: Floats, weights: Floats) -> Floats:
    """The share of the truth's variance that predictions explain, (R,); <= 1, higher is better; NaN without any."""
    mean = y @ weights / weights.sum(axis=0)
    spread = y**2 @ weights - mean**2 * weights.sum(axis=0)
    left = (y - predicted) ** 2 @ weights
    flat = spread <= 1e-12 * max(float(y @ y), 1e-300)
    share: Floats = 1 - np.divide(left, spread, out=np.full(left.shape, np.nan), where=~flat)
    return share


@dataclass(frozen=True)
class NumberMetric:
    """A metric of numbers: `title` is what people call it, `weighted` computes it under columns of weights."""

    title: str
    weighted: Callable[[Floats, Floats, Floats], Floats]
    higher_is_better: bool = False


NUMBERS = {
    "mae": NumberMetric("Mean absolute error", mean_absolute_error),
    "rmse": NumberMetric("Root mean squared error", root_mean_squared_error),
    "r2": NumberMetric("R²", r2, higher_is_better=True),
}


def measure_numbers(
    y: ArrayLike,
    predicted: ArrayLike,
    groups: Sequence[Any] | NDArray[Any],
    metric: str,
    *,
    confidence: float = 0.95,
    rng: np.random.Generator,
    resamples: int = 1000,
) -> Interval:
    """The metric of true numbers `y` (n,) and `predicted` (n,), with its central interval at `confidence` in [0, 1).

    `groups` (n,) name what was drawn together.

    Raises:
        KeyError: `metric` is not in NUMBERS.
    """
    rule = NUMBERS[metric]
    truth, guess = np.asarray(y, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    value = float(rule.weighted(truth, guess, np.ones((len(truth), 1)))[0]) if len(truth) else math.nan
    if math.isnan(value):
        return unknown(len(truth))
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    tail, worst, none = (1 - confidence) / 2, float(np.abs(truth - guess).max()), 0.0
    bad, good = (
        _resampled(rule, truth, guess, group, error, rng.standard_exponential((group.max() + 2, resamples)))
        for error in (worst, none)
    )
    below, above = (bad, good) if rule.higher_is_better else (good, bad)
    low = float(np.nanquantile(below, tail, method="lower"))
    high = float(np.nanquantile(above, 1 - tail, method="higher"))
    return Interval(value, min(low, value), max(high, value), len(truth))


def _resampled(  # noqa: PLR0917 - what was measured, and one more
    rule: NumberMetric, y: Floats, predicted: Floats, group: NDArray[np.intp], error: float, draws: Floats
) -> Floats:
    """The metric under weights for each group and, in the last row, for an imagined one whose error is given: (R,)."""
    typical = float(y.mean())
    weights = np.concatenate([draws[group], draws[-1:] * len(y) / (len(draws) - 1)])
    return rule.weighted(np.append(y, typical), np.append(predicted, typical + error), weights)
