"""Which predictions may become labels without a person, and how surely few of them are wrong.

Predictions are taken from the surest down, to a threshold. The hold-out must rule out that too many of them are wrong,
threshold after threshold from strict to loose; the first that it cannot rule out ends it, so that all tests together
err as seldom as one (fixed-sequence testing). Counted are items that are both sure and wrong, in the whole hold-out. A
threshold must pass twice: for the share of such items that the model makes (Clopper and Pearson), and for their number
in this very pool, which is finite as the hold-out is.

Invariant: with probability at least `confidence` over the draw of the hold-out, at least `precision` of the automatic
labels are right, provided that hold-out items are drawn uniformly, are independent (hand in one item of each group) and
were never trained on. Where that cannot be shown nothing is labeled.

Source: Geifman & El-Yaniv, Selective Classification for Deep Neural Networks, 2017; Angelopoulos et al., Learn then
Test: Calibrating Predictive Algorithms to Achieve Risk Control, 2021; Clopper & Pearson 1934.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alearn.core.estimation import labels_to_pass

Floats = NDArray[np.float64]
Counts = NDArray[np.intp]

START = 0.2
"""The strictest threshold takes at least this share of the hold-out, so that one unlucky error does not end it all."""
FINER = 1.1
"""Each threshold takes at least so many times what the one before took."""


@dataclass(frozen=True)
class Certificate:
    """What may be labeled automatically.

    `thresholds` (C,) are the least probabilities at which a prediction of each class becomes a label; infinite: none
    does. `share` of the pool is labeled so. `needed`: about how many hold-out labels it takes where nothing is
    certified; None where no number would do, or none is needed.
    """

    precision: float
    confidence: float
    thresholds: tuple[float, ...]
    share: float
    reason: str
    needed: int | None = None

    @property
    def certified(self) -> bool:
        """Whether anything may be labeled."""
        return any(math.isfinite(one) for one in self.thresholds)


def certify(
    y: ArrayLike,
    proba: ArrayLike,
    pool: ArrayLike,
    *,
    precision: float,
    confidence: float = 0.95,
    per_class: bool = False,
    asked: int = 0,
) -> Certificate:
    """The thresholds for hold-out labels `y` (n,) in [0, C), with `proba` (n, C), and the `pool` (N, C) to be labeled.

    `precision` and `confidence` in (0, 1). `per_class`: a threshold for each class, all of which hold together at
    `confidence`, so each class's labels are as precise; else one for all. `asked`: items that left the pool because
    people were asked about them. The hold-out stands for these too, and the worst is assumed: that the model would
    have been right about all of them.
    """
    held, rest = np.asarray(proba), np.asarray(pool)
    classes = held.shape[1]
    found, there = _sides(np.asarray(y), held), _sides(None, rest)
    parts: list[int | None] = [one for one in range(classes) if np.any(there.predicted == one)] if per_class else [None]
    level = (1 - confidence) / max(len(parts), 1)
    thresholds = np.full(classes, math.inf)
    needs = list[int | None]()
    for part in parts:
        rows = _rows(found.only(part), there.only(part), len(held), len(rest) + asked)
        passed = rows.passed(1 - precision, level)
        needs.append(rows.needed(precision, level) if passed is None else None)
        if passed is not None:
            thresholds[slice(None) if part is None else part] = passed
    share = float(np.mean(there.sureness >= thresholds[there.predicted])) if len(rest) else 0.0
    needed = min((one for one in needs if one is not None), default=None) if not np.isfinite(thresholds).any() else None
    told = tuple(float(one) for one in thresholds)
    reason = _reason(told, share, precision, confidence, needed, len(held))
    return Certificate(precision, confidence, told, share, reason, needed)


def automatic(proba: ArrayLike, certificate: Certificate) -> Counts:
    """The class that each row of (N, C) is labeled with, or -1 where a person must look; (N,)."""
    side = _sides(None, np.asarray(proba))
    sure = side.sureness >= np.array(certificate.thresholds)[side.predicted]
    labels: Counts = np.where(sure, side.predicted, -1)
    return labels


@dataclass(frozen=True, eq=False)
class _Side:
    """Predictions: their classes, how sure they are, and, where it is known, which are wrong; each (n,)."""

    predicted: Counts
    sureness: Floats
    wrong: NDArray[np.bool_]

    def only(self, one: int | None) -> _Side:
        """Those of a class; None: all."""
        if one is None:
            return self
        kept = self.predicted == one
        return _Side(self.predicted[kept], self.sureness[kept], self.wrong[kept])


def _sides(y: NDArray[Any] | None, proba: NDArray[Any]) -> _Side:
    predicted = proba.argmax(axis=1)
    wrong = np.zeros(len(proba), bool) if y is None else predicted != y
    return _Side(predicted, proba.max(axis=1, initial=0).astype(np.float64), wrong)


@dataclass(frozen=True, eq=False)
class _Rows:
    """The thresholds to be tested, from strict to loose, each (T,).

    `taken` of the hold-out's predictions reach `at`, `wrong` of these are wrong, and `there` of the pool's reach it.
    `n` is the hold-out's size, `others` are all items that it stands for.
    """

    at: Floats
    taken: Counts
    wrong: Counts
    there: Counts
    n: int
    others: int

    def passed(self, risk: float, level: float) -> float | None:
        """The loosest threshold that passes; None: the strictest does not.

        Where to start is found without the labels: at the first threshold that could pass at all.
        """
        could = self._p_value(np.zeros_like(self.taken), self.there, risk) <= level
        tested = np.flatnonzero(could & (self.taken >= START * self.taken.max(initial=0)))
        p = self._p_value(self.wrong[tested], self.there[tested], risk)
        going = np.cumprod(p <= level).astype(bool)
        return float(self.at[tested[going][-1]]) if going.any() else None

    def _p_value(self, wrong: Counts, there: Counts, risk: float) -> Floats:
        """How probable so few `wrong` in the hold-out are if more than `risk` of those `there` are wrong; (T,).

        Counted are items that are both sure and wrong, in all of the hold-out and among all that it stands for.
        Thresholds at which the pool has nothing pass nothing.
        """
        from scipy.stats import binom, hypergeom

        too_many = np.floor(risk * there + 1e-9).astype(int) + 1
        model = binom.cdf(wrong, self.n, risk * there / max(self.others, 1))
        pool = hypergeom.cdf(wrong, self.n + self.others, wrong + too_many, self.n)
        p: Floats = np.where(there > 0, np.fmax(model, pool), 1.0)
        return p

    def needed(self, precision: float, level: float) -> int | None:
        """About how many hold-out labels it takes, at the threshold that takes fewest."""
        guesses = [
            math.ceil(few * self.n / taken)
            for taken, wrong in zip(self.taken.tolist(), self.wrong.tolist(), strict=True)
            if taken >= START * self.taken[-1]
            for few in [labels_to_pass(1 - wrong / taken, precision, confidence=1 - level)]
            if few is not None
        ]
        return max(min(guesses), self.n + 1) if guesses else None


def _rows(held: _Side, pool: _Side, n: int, others: int) -> _Rows:
    """Thresholds at hold-out predictions, each taking a tenth more than the one before; equal ones are one."""
    falling = np.sort(held.sureness)[::-1]
    if not len(falling):
        none = np.empty(0, np.intp)
        return _Rows(np.empty(0), none, none, none, n, others)
    steps = FINER ** np.arange(math.log(len(falling), FINER) + 1)
    sizes = np.unique(np.minimum(np.append(steps, len(falling)), len(falling)).astype(int))
    at = np.unique(falling[sizes - 1])[::-1]
    taken = np.searchsorted(-falling, -at, side="right")
    wrong = np.cumsum(held.wrong[np.argsort(-held.sureness, kind="stable")])[taken - 1]
    there = np.searchsorted(np.sort(-pool.sureness), -at, side="right")
    return _Rows(at, taken, wrong, there, n, others)


def _reason(  # noqa: PLR0917 - what the words tell of
    thresholds: tuple[float, ...], share: float, precision: float, confidence: float, needed: int | None, n: int
) -> str:
    """The certificate in words."""
    promise = f"at least {100 * precision:g} % of them right, with {100 * confidence:g} % confidence"
    if any(math.isfinite(one) for one in thresholds):
        left = sum(not math.isfinite(one) for one in thresholds)
        without = f"; nothing of {left} of {len(thresholds)} classes" if left else ""
        return f"{share:.1%} of the pool can be labeled automatically, {promise}{without}"
    if needed is None:
        return (
            f"Nothing can be labeled automatically with {promise}: even the surest predictions on {n} hold-out labels "
            "are wrong too often. Label more, so that the model gets better, or ask for less precision"
        )
    return (
        f"Nothing can be labeled automatically with {promise}, on {n} hold-out labels. With about {needed} it could be"
    )
