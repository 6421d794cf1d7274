"""The loop's usual mixture of rules: the target, the budget, others that are set, and the end of the pool.

Invariant: total; the target is asked first, so that a loop that has both hit it and spent its budget says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from alearn.core.estimation import Interval
from alearn.core.stopping.budget import Budget, Spent, exhausted
from alearn.core.stopping.decision import Decision, any_of
from alearn.core.stopping.target import Target, reached


def decide(  # noqa: PLR0917 - what a decision depends on, in the order in which it is read
    interval: Interval | None,
    labels: int,
    pool_left: int,
    open_: int,
    target: Target | None,
    budget: Budget,
    *,
    spent: Spent | None = None,
    others: Sequence[Decision] = (),
) -> Decision:
    """Whether to stop: at the target, at the budget, by another rule, or when there is nothing left to ask about.

    `interval` is the target's metric on the hold-out, its `low` being a bound at the target's confidence; None while
    there is no hold-out label. `labels` are spent, `pool_left` items may still be asked about, `open_` are being asked
    about. `spent` tells of hours, money and days where the budget limits them; `others` are what plateau or stability
    decided, any of which is enough (`all_of` makes one of several).
    """
    aim, purse = reached(interval, target), exhausted(budget, spent or Spent(labels))
    if aim.stop:
        return aim
    if purse.stop:
        return Decision(True, "budget", f"{aim.reason}; {purse.reason}")
    told = any_of(others)
    if told.stop:
        return Decision(True, told.kind, f"{aim.reason}; {told.reason}")
    if pool_left <= 0 and open_ <= 0:
        return Decision(True, "empty", f"{aim.reason}; no item is left to ask about, after {labels} labels")
    return Decision(False, "go", "; ".join([aim.reason, purse.reason, *(one.reason for one in others)]))
