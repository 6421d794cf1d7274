"""When a loop has done its job, or cannot go on.

Invariant: a target is hit only by the lower confidence bound on the hold-out, never by the estimate itself, and never
on fewer than 30 labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from alearn.core.estimation import Interval
from alearn.core.metrics import METRICS

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


@dataclass(frozen=True)
class Budget:
    """What may be spent: `labels` in all, the hold-out's included; None: no limit."""

    labels: int | None = None


@dataclass(frozen=True)
class Decision:
    """Stop or go on, and why in words."""

    stop: bool
    kind: Literal["go", "target", "budget", "empty"]
    reason: str


def decide(  # noqa: PLR0917 - what a decision depends on, in the order in which it is read
    interval: Interval | None, labels: int, pool_left: int, open_: int, target: Target | None, budget: Budget
) -> Decision:
    """Whether to stop: at the target, at the budget, or when there is nothing left to ask about.

    `interval` is the target's metric on the hold-out, its `low` being a bound at the target's confidence; None while
    there is no hold-out label. `labels` are spent, `pool_left` items may still be asked about, `open_` are being asked
    about.
    """
    standing = _standing(interval, target)
    if target and interval and interval.n >= FEWEST and interval.low >= target.value:
        return Decision(True, "target", f"{standing}: target {target.value:g} hit")
    if budget.labels is not None and labels >= budget.labels:
        return Decision(True, "budget", f"{standing}; the budget of {budget.labels} labels is spent")
    if pool_left <= 0 and open_ <= 0:
        return Decision(True, "empty", f"{standing}; no item is left to ask about, after {labels} labels")
    return Decision(False, "go", f"{standing}; {_spent(labels, budget)}")


def look_confidence(confidence: float, look: int) -> float:
    """The confidence to use at the `look`-th look (1, 2, …) so that all looks together are wrong at most 1 -
    `confidence`.

    A look at each round is a chance more to be lucky. The error that is allowed is split: look k gets 1 / (k (k + 1))
    of it, which sums to all of it, however many looks there will be.
    """
    return 1 - (1 - confidence) / (look * (look + 1))


def _standing(interval: Interval | None, target: Target | None) -> str:
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
    sure = f"{title} {interval.value:.3f}, {bound}"
    return sure if interval.low >= target.value else f"{sure}: {goal} not reached yet"


def _down(bound: float) -> float:
    """A lower bound to three digits, never rounded up past a target it has not reached."""
    return math.floor(bound * 1000) / 1000


def _spent(labels: int, budget: Budget) -> str:
    return f"{labels} labels so far" if budget.labels is None else f"{labels} of {budget.labels} labels spent"
