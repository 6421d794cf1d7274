"""The learning curve as JSON types: what each round measured, and where the curve is going.

Invariant: read from the rounds that are written down; the same rounds give the same curve and the same forecast.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from alearn.core.forecast import Forecast, Outlook
from alearn.core.metrics import METRICS
from alearn.loop.forecasting import History, forecast_of, in_words, outlook
from alearn.loop.undertaking import Undertaking

AHEAD = 2.0
"""The forecast is drawn to so many times the labels of now, unless the target is nearer or a little farther."""
FARTHEST = 4.0
STEPS = 24


def metric_of(loop: Undertaking) -> str:
    """The metric that a loop is about: its target's, else accuracy."""
    return loop.config.target.metric if loop.config.target else "accuracy"


def curve_of(loop: Undertaking, history: History) -> dict[str, Any]:
    """Every round's metric with its bounds, and the target."""
    name, target = metric_of(loop), loop.config.target
    return {
        "metric": name,
        "title": METRICS[name].title,
        "about": target.positive if target else None,
        "target": target.value if target else None,
        "confidence": target.confidence if target else 0.95,
        "points": [
            {"round": row.number, "labels": row.labels, "holdout_labels": row.holdout_labels}
            | {"value": found.value, "low": found.low, "high": found.high}
            for row, metrics in history
            if (found := metrics.get(name)) is not None and found.value is not None
        ],
    }


def ahead_of(loop: Undertaking, history: History, selectable: int) -> dict[str, Any] | None:
    """What the curve may do beyond the last round, with 80 % intervals; None while there are too few rounds."""
    seen = loop.store.look()
    ahead, far = forecast_of(loop, history), outlook(loop, history, seen)
    if ahead is None:
        return None
    found = {name: _finite(getattr(far.labels, name)) for name in ("low", "median", "high")} if far else None
    return {
        "points": _points(ahead, far, selectable),
        "labels": found,
        "chance": far.chance if far else None,
        "holdout": far.holdout if far else None,
        "words": in_words(loop, far, seen) if far else None,
    }


def _points(ahead: Forecast, far: Outlook | None, selectable: int) -> list[dict[str, float]]:
    """The forecast at some numbers of labels, as far as the pool goes."""
    end = AHEAD * ahead.last
    if far is not None and math.isfinite(far.labels.median):
        end = min(max(end, ahead.last + 1.2 * far.labels.median), FARTHEST * ahead.last)
    end = min(end, ahead.last + selectable)
    points = []
    for labels in np.unique(np.linspace(ahead.last, end, STEPS).round()) if end > ahead.last else ():
        found = ahead.value(float(labels))
        points.append({"labels": int(labels), "low": found.low, "median": found.median, "high": found.high})
    return points


def rounds_of(loop: Undertaking, history: History) -> list[dict[str, Any]]:
    """Every round with its version, as it can be asked for again."""
    versions = {row.key: row for row in loop.store.rounds.versions()}
    used = loop.store.rounds.picks()
    return [
        {
            "round": row.number,
            "at": row.at,
            "labels": row.labels,
            "holdout_labels": row.holdout_labels,
            "metrics": {name: found.value for name, found in sorted(metrics.items())},
            "strategies": sorted({pick.strategy for pick in used if pick.round == row.number}),
            "version": row.version,
            "rung": versions[row.version].rung,
            "parent": versions[row.version].parent,
            "training_set": versions[row.version].training_set,
            "weights": versions[row.version].weights,
            "placed": row.placed,
            "seconds": round(row.seconds, 2),
            "decision": row.kind,
            "libraries": json.loads(row.libraries),
        }
        for row, metrics in history
    ]


def _finite(labels: float) -> int | None:
    return round(labels) if math.isfinite(labels) else None
