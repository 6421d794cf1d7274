"""Whether a thinner network may take the place of the one it was made of: only if the metric holds.

Both are scored on the same items, which neither was trained on. How far the difference may be by chance is told beside
it: the items are weighted again and again, those of a group alike, each time in the same way for both. Invariant: pure;
the same numbers give the same verdict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.core.metrics import METRICS
from alearn.models.folds import Groups, numbered

RESAMPLES = 500

Proba = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Comparison:
    """A metric on `items` before and after; `error` is the standard error of their difference, paired by item.

    All are NaN where the items cannot decide the metric. `loss`: how much worse it became, whatever its direction.
    """

    metric: str
    before: float
    after: float
    error: float
    items: int

    @property
    def loss(self) -> float:
        """Positive: worse than before."""
        down = self.before - self.after
        return down if METRICS[self.metric].higher_is_better else -down


@dataclass(frozen=True)
class Verdict:
    """What the gate says, and why, in words for a user."""

    accepted: bool
    reason: str


def compare(
    y: NDArray[np.integer[Any]],
    before: Proba,
    after: Proba,
    metric: str,
    *,
    positive: int | None = None,
    groups: Groups = None,
    seed: int,
) -> Comparison:
    """The metric of the labels `y` (n,) and two matrices of probabilities (n, C) of the same items.

    Items of a group are one piece of evidence.

    Raises:
        KeyError: `metric` is not in METRICS.
    """
    rule = METRICS[metric]
    was, is_ = (rule.compute(y, proba, positive) for proba in (before, after))
    if not (math.isfinite(was) and math.isfinite(is_)):
        return Comparison(metric, was, is_, math.nan, len(y))
    group = numbered(groups, len(y))
    weights = np.random.default_rng(seed).exponential(size=(int(group.max()) + 1, RESAMPLES))[group]
    down = np.subtract(*(rule.weighted(y, proba, weights, positive) for proba in (before, after)))
    return Comparison(metric, was, is_, float(np.nanstd(down)), len(y))


def accept(found: Comparison, tolerance: float) -> Verdict:
    """Accepted where the metric lost at most `tolerance` >= 0."""
    title = METRICS[found.metric].title
    if not math.isfinite(found.loss):
        return Verdict(False, f"{title} cannot be told from the {found.items} labels that were held out.")
    way = "lost" if found.loss > 0 else "gained"
    said = (
        f"{title} {way} {abs(found.loss):.4f} (standard error {found.error:.4f}), from {found.before:.4f} to "
        f"{found.after:.4f} on {found.items} held-out labels"
    )
    if found.loss > tolerance:
        return Verdict(False, f"{said}; at most {tolerance:g} may be lost.")
    unsure = "" if found.loss + found.error <= tolerance else "; more labels would make this surer"
    return Verdict(True, f"{said}; {tolerance:g} may be lost{unsure}.")


@dataclass(frozen=True)
class Gate:
    """What is compared, the metric with its `positive` class, and how much of it may be lost."""

    metric: str
    positive: int | None
    tolerance: float
    seed: int

    def judge(
        self, y: NDArray[np.integer[Any]], before: Proba, after: Proba, groups: Groups
    ) -> tuple[Comparison, Verdict]:
        """`compare`, and `accept` what was found."""
        found = compare(y, before, after, self.metric, positive=self.positive, groups=groups, seed=self.seed)
        return found, accept(found, self.tolerance)


def shortest_tap(scores: Mapping[str, float], tolerance: float) -> str | None:
    """The earliest tap whose score is within `tolerance` of the best one's; what is behind it can be dropped.

    `scores`, higher is better, are in the order of the network; a tap without a score, NaN, is never taken. None: no
    tap has one.
    """
    known = {tap: score for tap, score in scores.items() if math.isfinite(score)}
    return next((tap for tap, score in known.items() if score >= max(known.values()) - tolerance), None)
