"""Whether what may be spent is spent: labels, annotator hours, money, time.

Invariant: reaching a limit is enough; a limit that is not set never stops. Money is not overspent where that can be
known: it counts as spent when what is left does not pay for one label more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from alearn.core.stopping.decision import Decision


@dataclass(frozen=True)
class Budget:
    """What may be spent: `labels` in all, the hold-out's included; `hours` of annotators' work; `money`, counted in
    `currency`; `days` since the loop began. None: no limit."""

    labels: int | None = None
    hours: float | None = None
    money: float | None = None
    days: float | None = None
    currency: str = "money"


@dataclass(frozen=True)
class Spent:
    """What has been spent so far, in the units of `Budget`; a label more costs `each`, 0: not known."""

    labels: int
    hours: float = 0.0
    money: float = 0.0
    days: float = 0.0
    each: float = 0.0


def exhausted(budget: Budget, spent: Spent) -> Decision:
    """Stop at the first limit that is reached, in the order labels, annotator hours, money, days."""
    for limit, used, unit, digits in _limits(budget, spent):
        if used >= limit:
            return Decision(True, "budget", f"the budget of {_number(limit, digits)} {unit} is spent")
    if payable(budget, spent) == 0:
        return Decision(True, "budget", _too_little(budget, spent))
    return Decision(False, "go", so_far(budget, spent))


def payable(budget: Budget, spent: Spent) -> int | None:
    """How many labels more the money pays for; None: that is not limited, or what a label costs is not known."""
    if budget.money is None or spent.each <= 0:
        return None
    return max(math.floor((budget.money - spent.money) / spent.each + 1e-9), 0)


def _too_little(budget: Budget, spent: Spent) -> str:
    """Why money that is left is no money for a label."""
    limit, unit = budget.money or 0.0, budget.currency
    left, each = amount(limit - spent.money, unit), amount(spent.each, unit)
    return f"the budget of {amount(limit, unit)} is spent: {left} is left, and a label costs about {each}"


def amount(money: float, currency: str) -> str:
    """Money in words, to two digits behind the point; whole numbers without, less than a hundredth to one digit."""
    return f"{money:.1g} {currency}" if 0 < abs(money) < 0.01 else f"{_number(money, 2)} {currency}"


def so_far(budget: Budget, spent: Spent) -> str:
    """What is spent of each limit, in words; the labels in any case."""
    labels = "" if budget.labels is not None else f"{spent.labels} labels so far"
    limits = [
        f"{_number(used, digits)} of {_number(limit, digits)} {unit} spent"
        for limit, used, unit, digits in _limits(budget, spent)
    ]
    return ", ".join([labels, *limits] if labels else limits)


def _limits(budget: Budget, spent: Spent) -> list[tuple[float, float, str, int]]:
    """(limit, used, unit, digits behind the point) of every limit that is set."""
    pairs = [
        (budget.labels, float(spent.labels), "labels", 0),
        (budget.hours, spent.hours, "annotator hours", 1),
        (budget.money, spent.money, budget.currency, 2),
        (budget.days, spent.days, "days", 1),
    ]
    return [(float(limit), used, unit, digits) for limit, used, unit, digits in pairs if limit is not None]


def _number(amount: float, digits: int) -> str:
    """Whole numbers without a point."""
    return f"{amount:.0f}" if amount == round(amount) else f"{amount:.{digits}f}"
