"""Whether what may be spent is spent: labels, annotator hours, money, time.

Invariant: reaching a limit is enough; a limit that is not set never stops.
"""

from __future__ import annotations

from dataclasses import dataclass

from alearn.core.stopping.decision import Decision


@dataclass(frozen=True)
class Budget:
    """What may be spent: `labels` in all, the hold-out's included; `hours` of annotators' work; `money` in whatever
    currency it is counted; `days` since the loop began. None: no limit."""

    labels: int | None = None
    hours: float | None = None
    money: float | None = None
    days: float | None = None


@dataclass(frozen=True)
class Spent:
    """What has been spent so far, in the units of `Budget`."""

    labels: int
    hours: float = 0.0
    money: float = 0.0
    days: float = 0.0


def exhausted(budget: Budget, spent: Spent) -> Decision:
    """Stop at the first limit that is reached, in the order labels, annotator hours, money, days."""
    for limit, used, unit in _limits(budget, spent):
        if used >= limit:
            return Decision(True, "budget", f"the budget of {_number(limit)} {unit} is spent")
    return Decision(False, "go", so_far(budget, spent))


def so_far(budget: Budget, spent: Spent) -> str:
    """What is spent of each limit, in words; the labels in any case."""
    labels = "" if budget.labels is not None else f"{spent.labels} labels so far"
    limits = [f"{_number(used)} of {_number(limit)} {unit} spent" for limit, used, unit in _limits(budget, spent)]
    return ", ".join([labels, *limits] if labels else limits)


def _limits(budget: Budget, spent: Spent) -> list[tuple[float, float, str]]:
    """(limit, used, unit) of every limit that is set."""
    pairs = [
        (budget.labels, float(spent.labels), "labels"),
        (budget.hours, spent.hours, "annotator hours"),
        (budget.money, spent.money, "money"),
        (budget.days, spent.days, "days"),
    ]
    return [(float(limit), used, unit) for limit, used, unit in pairs if limit is not None]


def _number(amount: float) -> str:
    """Whole numbers without a point, others with one digit."""
    return f"{amount:.0f}" if amount == round(amount) else f"{amount:.1f}"
