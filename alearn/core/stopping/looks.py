"""The error of many looks at one hold-out: each look is a chance more to be lucky, and together they may err once.

The error that is allowed is split over the looks without knowing how many there will be. `look_confidence` adds the
parts up as if no look had anything to do with another (Bonferroni), which holds whatever the models are. In truth a
model and its successor are right about nearly the same items of nearly the same hold-out, so that most of that error
is never used: `look_confidences` computes what a look adds, given how far it agrees with the one before.

Invariant: the probability that any look errs is at most 1 - confidence: for `look_confidence` always, for
`look_confidences` as far as the looks' errors are normal and depend on earlier ones through the last.

Source: Lan & DeMets, Discrete Sequential Boundaries for Clinical Trials, 1983; Armitage, McPherson & Rowe 1969 for the
recursion; Jennison & Turnbull, Group Sequential Methods, chapter 19.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

CLOSEST = 0.995
"""Looks that are more alike than this are taken for no more alike."""
SPREAD = 10
"""The looks that share half of the error: most loops stop after five to thirty."""
STEP, WIDEST = 0.04, 8.0
"""The grid on which the distribution of a look's error is followed, in standard errors."""


def look_confidence(confidence: float, look: int, *, spread: int = SPREAD) -> float:
    """The confidence to use at the `look`-th look (1, 2, …) so that all looks together are wrong at most 1 -
    `confidence`, however many there will be and whatever their models have in common; see `share`.
    """
    return 1 - (1 - confidence) * share(look, spread)


def share(look: int, spread: int = SPREAD) -> float:
    """The part of the error that look k = 1, 2, … may spend; all looks ever have 1 to spend, half of it the first
    `spread` >= 1.

    spread / ((k + spread - 1) (k + spread)): the first look gets little more than its neighbours, because a loop that
    stops at all seldom does so at its first looks, on few hold-out labels.
    """
    return spread / ((look + spread - 1) * (look + spread))


def look_confidences(confidence: float, overlaps: Sequence[float], *, spread: int = SPREAD) -> list[float]:
    """The confidence to use at each look, given how alike each is to the one before; [look 1, look 2, …].

    `overlaps` (looks - 1,) are the correlations of the estimate at look 2, 3, … with that before it, in [0, 1], see
    `overlap`. All 0: nearly `look_confidence`. All 1: the confidence itself, but for what the schedule keeps back for
    looks to come. What is decided at a look does not depend on later ones.
    """
    z = np.linspace(-WIDEST, WIDEST, round(2 * WIDEST / STEP) + 1, dtype=np.float64)
    density: Floats = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    found = []
    for look, alike in enumerate([None, *overlaps], start=1):
        density = density if alike is None else _carried(density, z, min(max(alike, 0.0), CLOSEST))
        bound, density = _cut(density, z, (1 - confidence) * share(look, spread))
        found.append(NormalDist().cdf(bound))
    return found


def overlap(before: ArrayLike, now: ArrayLike, groups: Sequence[Any] | NDArray[Any] | None = None) -> float:
    """How alike two looks at the same items are: the correlation of their estimates, in [0, 1].

    `before` and `now` (n,) hold what each item adds to the metric, for accuracy 1 where the model is right and 0 where
    not, NaN where the item had no label yet. Items of a group (n,) move together. 0 where there is nothing to compare.
    One standard error is taken off, so that few items do not promise much.
    """
    first, second = np.asarray(before, dtype=np.float64), np.asarray(now, dtype=np.float64)
    group = np.arange(len(first)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    a, b = (_spread(one, group) for one in (first, second))
    size = math.sqrt(float(a @ a) * float(b @ b))
    shared = int(np.count_nonzero(np.bincount(group, ~np.isnan(first) & ~np.isnan(second))))
    if size <= 0 or shared < 3:
        return 0.0
    alike = float(a @ b) / size
    return min(max(alike - (1 - alike**2) / math.sqrt(shared), 0.0), 1.0)


def _spread(values: Floats, group: NDArray[np.intp]) -> Floats:
    """The sum over each group of what its items differ from the mean; unlabeled ones do not."""
    apart = np.nan_to_num(values - (np.nanmean(values) if not np.isnan(values).all() else 0.0))
    sums: Floats = np.bincount(group, apart).astype(np.float64)
    return sums


def _cut(density: Floats, z: Floats, error: float) -> tuple[float, Floats]:
    """The bound beyond which `error` of the density lies, and what is left of the density below it.

    A value of the grid stands for the cell around it; the cell with the bound is cut through.
    """
    beyond = np.append(np.cumsum(density[::-1])[::-1] * STEP, 0.0)
    last = int(np.count_nonzero(beyond > error)) - 1
    part = (error - float(beyond[last + 1])) / (float(density[last]) * STEP)
    left = np.where(np.arange(len(z)) <= last, density, 0.0)
    left[last] *= 1 - part
    return float(z[last]) + STEP * (0.5 - part), left


def _carried(density: Floats, z: Floats, alike: float) -> Floats:
    """The density at the next look of loops that have not stopped: each error shrinks by `alike` and gets new noise."""
    spread = math.sqrt(1 - alike**2)
    kernel = np.exp(-(((z[:, None] - alike * z) / spread) ** 2) / 2) / (spread * math.sqrt(2 * math.pi))
    moved: Floats = kernel @ density * STEP
    return moved
