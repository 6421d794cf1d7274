"""Deciding after every round whether the loop goes on, and whether the hold-out is to grow.

Invariant: follows from what is written down of the rounds, and the clock.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from alearn.core.estimation import Interval, labels_to_pass, labels_to_tighten
from alearn.core.stopping import Decision, Target, all_of, changed, kappa, plateau, stable, sure, unchanged
from alearn.core.stopping import decide as decide_stop
from alearn.loop.forecasting import History, forecast_of, in_words, outlook
from alearn.loop.spending import spent
from alearn.loop.undertaking import Undertaking
from alearn.store import Look
from alearn.store.tables import MetricRow


def decide(loop: Undertaking) -> None:
    """Go on, or stop: at the target, at the budget, by a rule that the config sets, or at the end of the pool."""
    rounds, now, looked = loop.store.rounds, loop.snapshot(), loop.store.look()
    history = rounds.history()
    round_, metrics = history[-1]
    target = loop.config.stop_at
    interval = _interval(metrics.get(target.metric)) if target else None
    rules = list(_rules(loop, history))
    rules = [all_of(rules)] if rules and loop.config.stop.combine == "all" else rules
    used = spent(loop.config, loop.store, looked.labels, now=loop.clock.seconds())
    decision = decide_stop(
        interval, looked.labels, now.selectable, now.open, target, loop.config.spend, spent=used, others=rules
    )
    wanted = None if decision.stop or not target else _holdout(loop, looked, interval, target)
    reason = decision.reason
    if wanted is not None:
        reason += f"; the hold-out grows to {wanted} labels, because only its size keeps the target open"
    elif decision.kind != "target" and (far := outlook(loop, history, looked)) is not None:
        reason += f"; {in_words(loop, far, looked)}"
    rounds.decided(round_.number, kind=decision.kind, reason=reason, terms=loop.config.terms, holdout_wanted=wanted)
    loop.report.say(f"Round {round_.number}: {reason}")


def _interval(found: MetricRow | None) -> Interval | None:
    if found is None:
        return None
    value, low, high = (float("nan") if one is None else one for one in (found.value, found.low, found.high))
    return Interval(value, low, high, found.n)


def _rules(loop: Undertaking, history: History) -> Iterator[Decision]:
    """What the rules say that the config sets besides the target and the budget."""
    stop = loop.config.stop
    if stop.plateau is not None:
        yield plateau(forecast_of(loop, history), stop.plateau.labels, stop.plateau.gain)
    if stop.stability is not None:
        yield stable(_compared(loop, kappa), level=stop.stability.kappa, window=stop.stability.rounds)
    if stop.changes is not None:
        yield unchanged(_compared(loop, changed), most=stop.changes.most, window=stop.changes.rounds)
    if stop.uncertainty is not None:
        unsure = [one["entropy"] for one in _answers(loop) if "entropy" in one]
        yield sure(unsure, most=stop.uncertainty.most, window=stop.uncertainty.rounds)


def _compared(loop: Undertaking, how: Callable[[list[int], list[int]], float]) -> list[float]:
    """Each version's answers beside those of the version before, where both were asked the same items."""
    return [how(was["classes"], is_["classes"]) for was, is_ in pairwise(_answers(loop)) if was["of"] == is_["of"]]


def _answers(loop: Undertaking) -> list[dict[str, Any]]:
    """What each version that has chosen items said of some of the pool (see `asking`), oldest first."""
    told = [json.loads(row.facts).get("answers") for row in loop.store.rounds.selections()]
    return [one for one in told if one]


def _holdout(loop: Undertaking, looked: Look, interval: Interval | None, target: Target) -> int | None:
    """To how many labels the hold-out grows, when it is full and only its size keeps the target open; None: not now."""
    size, most = max(loop.config.holdout.size, looked.holdout_wanted), loop.config.holdout_most
    if interval is None or not interval.value > target.value or looked.holdout_held < size or size >= most:
        return None
    needed = (
        labels_to_pass(interval.value, target.value, confidence=target.confidence)
        if target.metric == "accuracy" and loop.config.holdout.sampling == "even"
        else labels_to_tighten(interval, interval.value - target.value)
    )
    return min(max(needed or most, size + 1), size + loop.config.query.batch, most)
