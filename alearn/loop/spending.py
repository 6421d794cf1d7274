"""What a loop has cost so far: annotators' time and money, and what a label more will.

A paid annotation is one that was submitted: second opinions, answers to test questions, those that are deleted since,
and those that were on the platform before the loop; skips are not.

Invariant: reckoned from the annotations in the store and the prices in the config alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alearn.config import Config
from alearn.core.stopping import Spent, amount
from alearn.store import Store

LONGEST = 600.0
"""Seconds that one annotation counts for at most: people leave tasks open."""
EXACT = 6
"""Digits behind the point to which money is reckoned, so that a hundred times 0.07 are 7."""


@dataclass(frozen=True)
class Effort:
    """What annotators have worked: `annotations` whose time is known, the `seconds` they took in all, and how many were
    `submitted`, whether their time is known or not.
    """

    annotations: int
    seconds: float
    submitted: int = 0

    @property
    def each(self) -> float | None:
        """Seconds per annotation; None while no time is known."""
        return self.seconds / self.annotations if self.annotations else None


@dataclass(frozen=True)
class Price:
    """What one label more takes, as labels did so far: `seconds` of work and `money`; None: not known, or not set."""

    seconds: float | None
    money: float | None
    currency: str


def effort(store: Store) -> Effort:
    """What annotators have worked so far."""
    return Effort(*store.annotations.effort(LONGEST), store.annotations.submitted())


def cost(config: Config, worked: Effort) -> float | None:
    """What that work costs; None where the config says no price."""
    costs = config.costs
    if not (costs.annotation or costs.hour):
        return None
    return round(worked.submitted * (costs.annotation or 0) + worked.seconds / 3600 * (costs.hour or 0), EXACT)


def price(config: Config, worked: Effort, labels: int) -> Price:
    """What one label more takes, when `labels` took that work: as many annotations a label as so far, at least one."""
    costs = config.costs
    opinions = max(worked.submitted / labels, 1) if labels else 1.0
    seconds = None if worked.each is None else opinions * worked.each
    known = costs.annotation or (costs.hour and seconds)
    money = opinions * (costs.annotation or 0) + (seconds or 0) / 3600 * (costs.hour or 0)
    return Price(seconds, money if known else None, costs.currency)


def spent(config: Config, store: Store, labels: int, *, now: float) -> Spent:
    """What is spent of each budget; `labels` are those there are, `now` is in seconds since the epoch."""
    worked = effort(store)
    began = datetime.fromisoformat(store.loop().created_at).timestamp()
    return Spent(
        labels,
        hours=worked.seconds / 3600,
        money=cost(config, worked) or 0.0,
        days=max(now - began, 0.0) / 86_400,
        each=price(config, worked, labels).money or 0.0,
    )


def by_round(config: Config, store: Store, numbers: Iterable[int]) -> list[dict[str, Any]]:
    """What the items took that were asked about up to each of these rounds, as JSON types, by now.

    By items, because clocks differ: a second opinion that came later counts to the round that asked about its item, and
    what was on the platform before to all.
    """
    asked = {pick.key: pick.round for pick in store.rounds.picks()}
    rows = sorted(store.annotations.all(), key=lambda row: asked.get(row.key, 0))
    worked = [Effort(0, 0.0)]
    for row in rows:
        last, seconds = worked[-1], min(row.lead_time or 0.0, LONGEST)
        timed, submitted = last.annotations + (row.lead_time is not None), last.submitted + (not row.skipped)
        worked.append(Effort(timed, last.seconds + seconds, submitted))
    then = [worked[bisect_right(rows, number, key=lambda row: asked.get(row.key, 0))] for number in numbers]
    return [
        {"annotations": one.submitted, "hours": round(one.seconds / 3600, 3), "money": cost(config, one)}
        for one in then
    ]


def told(config: Config, store: Store) -> dict[str, Any]:
    """Hours and money as JSON types, with the money in words; None: the config says no price."""
    worked = effort(store)
    money, limit, currency = cost(config, worked), config.budget.money, config.costs.currency
    found: dict[str, Any] = {"hours": round(worked.seconds / 3600, 2), "annotations": worked.submitted}
    if money is None:
        return found | {"money": None, "currency": None, "words": None}
    of = "" if limit is None else f" of {amount(limit, currency)}"
    return found | {"money": money, "currency": currency, "words": amount(money, currency) + of}
