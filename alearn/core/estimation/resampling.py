"""How sure we can be of a metric that was measured on few items.

The interval is a Bayesian bootstrap over groups (each resample weights the groups by exponential draws), with one
imagined group more: the worst that could come for the lower bound, the best for the upper. For the accuracy of single
items this is the interval of Clopper and Pearson, so 30 right answers of 30 mean at least 0.905 and not 1.000.

A percentile or BCa bootstrap can only repeat what it has seen: it certifies a good model on luck, and inflates average
precision by the items it repeats. Weights that are never 0 also keep every class in every resample. The price is a
lower bound that is rather too low than too high where few items decide, as in AUROC and average precision with few
positives.

Where an interval is to be looked at and not to be stopped by, it may be `even`: half a group of the worst and half of
the best are imagined for both bounds. For accuracy that is Jeffreys' interval, which is right on the average.

Invariant: low <= value <= high, or all three are NaN; items of a group are never taken for independent evidence.

Source: Rubin, The Bayesian Bootstrap, 1981; Gaffke 2005 and Learned-Miller & Thomas 2019 for the imagined observation;
Clopper & Pearson 1934; Brown, Cai & DasGupta 2001 for Jeffreys' interval.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alearn.core.estimation.interval import Interval, unknown
from alearn.core.metrics import METRICS, Labels, Metric, Proba, Values, Weights

CELLS = 1 << 22
"""Weights held at once."""
IN_TAIL, MOST = 10, 50_000
"""More resamples are drawn where fewer than so many would lie beyond a bound, up to this number in all."""
RARE = 4
"""Classes among which the worst and the best imagined item are looked for: one item weighs most in a rare class."""


def bootstrap(
    y: ArrayLike,
    proba: ArrayLike,
    groups: Sequence[Any] | NDArray[Any],
    metric: str | Metric,
    *,
    positive: int | None = None,
    confidence: float = 0.95,
    rng: np.random.Generator,
    resamples: int = 1000,
    even: bool = False,
    weights: ArrayLike | None = None,
) -> Interval:
    """The metric of labels `y` (n,) in [0, C) and `proba` (n, C), with its interval at `confidence` in [0, 1).

    `groups` (n,) name what was drawn together: items of a group count as one piece of evidence. Each bound leaves
    (1 - confidence) / 2 outside, so `low` alone is a lower bound at confidence (1 + confidence) / 2. `positive` is the
    class that a metric about one class is about. `even` bounds are right on the average; others hold at least as often
    as they say. `weights` (n,), mean 1, say for how much each item counts where some were likelier to be drawn.

    Raises:
        KeyError: `metric` is not in METRICS.
    """
    rule = METRICS[metric] if isinstance(metric, str) else metric
    labels, p = np.asarray(y, dtype=np.intp), np.asarray(proba)
    each = np.ones(len(labels)) if weights is None else np.asarray(weights, dtype=np.float64)
    value = rule.compute(labels, p, positive, each)
    if math.isnan(value):
        return unknown(len(labels))
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    seen = _Seen(rule, labels, p, positive, group, each)
    tail = (1 - confidence) / 2
    resamples = max(resamples, min(math.ceil(IN_TAIL / tail), MOST))
    below, above = seen.drawn(resamples, rng, even=even)
    low, high = np.quantile(below, tail, method="lower"), np.quantile(above, 1 - tail, method="higher")
    top = 1.0 if rule.bounded else math.inf
    return Interval(value, max(min(float(low), value), 0.0), min(max(float(high), value), top), len(labels))


Imagined = tuple[int, int]
"""An item that was not seen: its label, and the class it is predicted as with probability 1."""


@dataclass(frozen=True)
class _Seen:
    """What was measured, and how: `group` (n,) numbers the groups from 0, `each` (n,) is for how much items count."""

    rule: Metric
    y: Labels
    proba: Proba
    positive: int | None
    group: NDArray[np.intp]
    each: NDArray[np.float64]

    @property
    def groups(self) -> int:
        return int(self.group.max()) + 1

    @property
    def typical(self) -> float:
        """What an unseen group weighs: as many items as the mean, each as heavy as the mean of what they stand for.

        What is likely not to be drawn is likely not to be seen, and weighs more (Kish's mean of the weights).
        """
        return len(self.y) / self.groups * float((self.each**2).sum() / self.each.sum())

    def drawn(self, resamples: int, rng: np.random.Generator, *, even: bool) -> tuple[Values, Values]:
        """The metric in resamples for the lower bound and for the upper, each (resamples,)."""
        if not self.rule.bounded:
            return self._resampled((), resamples, rng), self._resampled((), resamples, rng)
        worst, best = self.extremes()
        if even:
            both = self._resampled((worst, best), resamples, rng)
            return both, both
        return self._resampled((worst,), resamples, rng), self._resampled((best,), resamples, rng)

    def extremes(self) -> tuple[Imagined, Imagined]:
        """The imagined items that would lower, and raise, the metric most."""
        equal = np.ones((self.groups + 1, 1))
        moved = {one: self._weighted((one,), equal)[0] for one in self._imaginable()}
        known = {one: float(value) for one, value in moved.items() if not math.isnan(value)}
        return min(known, key=known.__getitem__), max(known, key=known.__getitem__)

    def _imaginable(self) -> Iterator[Imagined]:
        """Every pair among the rarest classes that are labels, and the positive one; among two classes at least."""
        counts = np.bincount(self.y, minlength=self.proba.shape[1])
        order = np.argsort(np.where(counts > 0, counts, len(self.y) + 1), kind="stable")
        rare = order[: min(max(np.count_nonzero(counts), 2), RARE)].tolist()
        return product(*[dict.fromkeys(rare + ([] if self.positive is None else [self.positive]))] * 2)

    def _resampled(self, imagined: tuple[Imagined, ...], resamples: int, rng: np.random.Generator) -> Values:
        """The metric in each resample, (resamples,); in pieces, so that all weights need not fit in memory.

        What is imagined weighs one group together.
        """
        at_once = max(1, CELLS // len(self.y))
        counts = [min(at_once, resamples - start) for start in range(0, resamples, at_once)]
        return np.concatenate([self._weighted(imagined, self._draws(len(imagined), count, rng)) for count in counts])

    def _draws(self, imagined: int, count: int, rng: np.random.Generator) -> Weights:
        """A weight for each group, and for what is imagined: (groups + imagined, count)."""
        if imagined < 2:
            return rng.standard_exponential((self.groups + imagined, count))
        seen = rng.standard_exponential((self.groups, count))
        return np.concatenate([seen, rng.standard_gamma(1 / imagined, (imagined, count))])

    def _weighted(self, imagined: tuple[Imagined, ...], draws: Weights) -> Values:
        """The metric under weights for each group, (groups, R) -> (R,); what is imagined has the last rows.

        An imagined item weighs as a typical group.
        """
        weights = draws[self.group] * self.each[:, None]
        if not imagined:
            return self.rule.weighted(self.y, self.proba, weights, self.positive)
        labels, predicted = zip(*imagined, strict=True)
        rows = np.eye(self.proba.shape[1], dtype=self.proba.dtype)[list(predicted)]
        weights = np.concatenate([weights, draws[self.groups :] * self.typical])
        y, proba = np.append(self.y, labels), np.concatenate([self.proba, rows])
        return self.rule.weighted(y, proba, weights, self.positive)
