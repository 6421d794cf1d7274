"""Where a loop's learning curve is going: how many labels the target still needs, and how much work that is.

Invariant: read from the rounds that are written down; the same rounds give the same forecast.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from alearn.core.forecast import Forecast, Outlook, forecast
from alearn.core.seeds import generator
from alearn.loop.undertaking import Undertaking
from alearn.store.tables import MetricRow, RoundRow

LONGEST = 600.0
"""Seconds that one annotation counts for at most: people leave tasks open."""

History = Sequence[tuple[RoundRow, Mapping[str, MetricRow]]]


@dataclass(frozen=True)
class Effort:
    """What annotators have worked: `annotations` whose time is known, and the `seconds` they took in all."""

    annotations: int
    seconds: float

    @property
    def each(self) -> float | None:
        """Seconds per annotation; None while no time is known."""
        return self.seconds / self.annotations if self.annotations else None


def effort(loop: Undertaking) -> Effort:
    """What annotators have worked so far."""
    return Effort(*loop.store.annotations.effort(LONGEST))


def curve(history: History, metric: str) -> tuple[list[tuple[float, float]], list[float]]:
    """(training labels, value) of every round that measured the metric, and the standard error of each value."""
    points, errors = [], []
    for row, metrics in history:
        found = metrics.get(metric)
        if found is None or found.value is None or found.low is None:
            continue
        confidence = json.loads(row.look)["confidence"] if row.look else found.confidence or 0.95
        points.append((float(row.labels), found.value))
        errors.append((found.value - found.low) / max(NormalDist().inv_cdf(min(confidence, 1 - 1e-9)), 0.5))
    return points, errors


def forecast_of(loop: Undertaking, history: History) -> Forecast | None:
    """The curve of the target's metric, or of accuracy, from here on; None while there are too few rounds."""
    target = loop.config.stop_at
    points, errors = curve(history, target.metric if target else "accuracy")
    number = history[-1][0].number if history else 0
    return forecast(points, rng=generator(loop.config.seed, loop.config.name, number, "forecast"), error=errors)


def outlook(loop: Undertaking, history: History, selectable: int) -> Outlook | None:
    """How far the target is, of a pool of so many items; None without a target, with too few rounds, or when the curve
    has reached it, and only the bound has not.
    """
    target = loop.config.stop_at
    ahead = forecast_of(loop, history) if target else None
    far = None if ahead is None or target is None else ahead.outlook(target.value, selectable)
    return far if far is not None and far.labels.median > 0 else None
