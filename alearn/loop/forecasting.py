"""Where a loop's learning curve is going: how many labels it takes until the target is certain.

Invariant: read from the rounds that are written down; the same rounds give the same forecast.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from statistics import NormalDist

from alearn.core.estimation import Interval
from alearn.core.forecast import Forecast, Growth, Outlook, forecast
from alearn.core.seeds import generator
from alearn.core.stopping import reached
from alearn.loop.spending import effort, price
from alearn.loop.undertaking import Undertaking
from alearn.store import Look
from alearn.store.tables import MetricRow, RoundRow

History = Sequence[tuple[RoundRow, Mapping[str, MetricRow]]]


def curve(history: History, metric: str) -> tuple[list[tuple[float, float]], list[float]]:
    """(training labels, value) of every round that measured the metric, and the standard error of each value."""
    points, errors = [], []
    for row, metrics in history:
        found = metrics.get(metric)
        if found is None or found.value is None or found.low is None:
            continue
        points.append((float(row.labels), found.value))
        width = NormalDist().inv_cdf(min(_confidence(row, found), 1 - 1e-9))
        errors.append((found.value - found.low) / max(width, 0.5))
    return points, errors


def forecast_of(loop: Undertaking, history: History) -> Forecast | None:
    """The curve of the target's metric, or of accuracy, from here on; None while there are too few rounds."""
    target = loop.config.stop_at
    points, errors = curve(history, target.metric if target else "accuracy")
    number = history[-1][0].number if history else 0
    return forecast(points, rng=generator(loop.config.seed, loop.config.name, number, "forecast"), error=errors)


def outlook(loop: Undertaking, history: History, seen: Look) -> Outlook | None:
    """How far it is until the target is certain; None without a target, with too few rounds, or when it is certain.

    A loop stops by the bound. So the metric has to be above the target by what the bound is below the metric, on a
    hold-out as large as it will be by then: `holdout.rate` of all labels, up to `holdout.most`, because it grows as
    soon as only its size keeps the target open. Where the metric is there already, what is missing are the hold-out's
    labels alone. The pool are the items outside the hold-out, but for near copies that are not asked about.
    """
    target, ahead = loop.config.stop_at, forecast_of(loop, history)
    if target is None or ahead is None:
        return None
    pool, last = max(seen.pool_left - left_out(loop, seen), 0), _last(history, target.metric)
    if last is None:
        return ahead.outlook(target.value, pool)
    if reached(last[0], target).stop:
        return None
    return ahead.outlook(target.value, pool, Growth(*last, loop.config.holdout.rate, holdout_full(loop, seen)))


def in_words(loop: Undertaking, far: Outlook, seen: Look) -> str:
    """A forecast for people, with what the labels will cost."""
    each = price(loop.config, effort(loop.store), seen.labels)
    return far.words(each.seconds, each.money, each.currency)


def holdout_full(loop: Undertaking, seen: Look) -> int:
    """How many hold-out labels there are when it has grown as far as the config and the items let it."""
    return min(max(loop.config.holdout_most, seen.holdout_wanted), seen.holdout_held + seen.holdout_left)


def left_out(loop: Undertaking, seen: Look) -> int:
    """How many items of the pool are never asked about, because they are near copies, as the last selection knew it."""
    before = loop.store.rounds.selections() if loop.config.query.copies == "once" else []
    out = int(json.loads(before[-1].facts).get("copies", {}).get("left_out", 0)) if before else 0
    if out:  # when nothing else is left, they are written down as picks
        out -= sum(one.closed == "copy" and one.round > before[-1].round for one in loop.store.rounds.picks())
    return min(max(out, 0), seen.pool_left)


def _last(history: History, metric: str) -> tuple[Interval, float] | None:
    """What the last round that has the metric measured, and the one-sided confidence of its bounds."""
    for row, metrics in reversed(history):
        found = metrics.get(metric)
        if found is not None and found.value is not None and found.low is not None:
            high = found.value if found.high is None else found.high
            return Interval(found.value, found.low, high, found.n), _confidence(row, found)
    return None


def _confidence(row: RoundRow, found: MetricRow) -> float:
    """The one-sided confidence at which a metric's bounds were computed: its look's, where it was one."""
    return float(json.loads(row.look)["confidence"]) if row.look else found.confidence or 0.95
