"""Whether the target is hit: the lower confidence bound on the hold-out has passed it.

Invariant: an estimate above the target is never enough, nor is any bound on fewer than 30 labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from alearn.core.estimation import Interval
from alearn.core.metrics import METRICS
from alearn.core.stopping.decision import Decision

FEWEST = 30
"""Hold-out labels below which no target is judged."""


@dataclass(frozen=True)
class Target:
    """What is to be reached: `metric` (of METRICS) at least `value`, with one-sided `confidence` in [0.5, 1).

    `positive` is the column of the class that a metric about one class is about.
    """

    metric: str
    value: float
    positive: int | None = None
    confidence: float = 0.95


def reached(interval: Interval | None, target: Target | None) -> Decision:
    """Stop when the `low` of the target's metric, a bound at the target's confidence, is at least its value.

    Looked at in every round, `low` must have been computed at `look_confidence` or one of its kind. None: no hold-out
    label yet, or no target.
    """
    told = standing(interval, target)
    if target and interval and interval.n >= FEWEST and interval.low >= target.value:
        return Decision(True, "target", f"{told}: target {target.value:g} hit")
    return Decision(False, "go", told)


def standing(interval: Interval | None, target: Target | None) -> str:
    """Where the loop stands with its target, in words."""
    if target is None:
        return "No target is set"
    title, goal = METRICS[target.metric].title, f"target {target.value:g}"
    if interval is None or interval.n == 0:
        return f"{title} has no hold-out label yet, and the {goal} needs {FEWEST}"
    if math.isnan(interval.value):
        return f"{title} cannot be computed yet: the {interval.n} hold-out labels lack a class it needs ({goal})"
    if interval.n < FEWEST:
        return f"{title} {interval.value:.3f} on {interval.n} hold-out labels; the {goal} needs {FEWEST}"
    bound = f"at least {_down(interval.low):.3f} with {100 * target.confidence:g} % confidence"
    told = f"{title} {interval.value:.3f}, {bound}"
    return told if interval.low >= target.value else f"{told}: {goal} not reached yet"


def _down(bound: float) -> float:
    """A lower bound to three digits, never rounded up past a target it has not reached."""
    return math.floor(bound * 1000) / 1000
