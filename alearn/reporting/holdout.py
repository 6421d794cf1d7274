"""How good the model is on the hold-out, as JSON types: metrics and classes with intervals, confusion, calibration.

Invariant: all of it is counted on the same labels with the same answers, so that tables and drawings agree.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.core.estimation import Interval, contributions, drawing, figures, lower_bound
from alearn.core.estimation.figures import MORE
from alearn.core.metrics import BINS, METRICS
from alearn.core.seeds import generator
from alearn.errors import ModelError
from alearn.loop.undertaking import Undertaking
from alearn.reporting.standing import Held, Standing

CONFIDENCE = 0.95
"""Of every interval here; central, and for looking at: a target is judged by the stricter bounds of its look."""


def holdout_of(loop: Undertaking, now: Standing, held: Held) -> dict[str, Any]:
    """Every number about the model's answers; raises ModelError where the hold-out has no label."""
    if not held.keys:
        raise ModelError("The hold-out has no label yet, so nothing is known of how good the model is")
    target, classes = loop.config.stop_at, loop.schema.classes
    rng = generator(loop.config.seed, loop.config.name, now.round.number, "report")
    found = figures(
        held.y,
        held.proba,
        held.groups,
        positive=target.positive if target else None,
        confidence=CONFIDENCE,
        rng=rng,
        even=True,
        weights=held.weights,
    )
    titles = {name: metric.title for name, metric in {**METRICS, **MORE}.items()}
    return {
        "version": now.version.key,
        "round": now.round.number,
        "labels": len(held.keys),
        "groups": len(set(held.groups)),
        "worth": None if held.weights is None else _worth(loop, held, held.weights),
        "confidence": CONFIDENCE,
        "overall": {name: {"title": titles[name], **interval(one)} for name, one in found.overall.items()},
        "classes": [
            {"name": name, "labels": one.labels, "predictions": one.predictions}
            | {part: interval(getattr(one, part)) for part in ("precision", "recall", "f1")}
            for name, one in zip(classes, found.classes, strict=True)
        ],
        "confusion": confusion(held, len(classes)),
        "calibration": list(calibration(held)),
    }


def interval(found: Interval) -> dict[str, float | None]:
    """An interval as JSON types; what is not known is None."""
    known = found.known
    return {name: float(getattr(found, name)) if known else None for name in ("value", "low", "high")}


def confusion(held: Held, classes: int) -> list[list[int]]:
    """How many items of each label (row) are predicted as each class (column), (C, C)."""
    found = np.zeros((classes, classes), dtype=np.intp)
    np.add.at(found, (held.y, held.proba.argmax(axis=1)), 1)
    counts: list[list[int]] = found.tolist()
    return counts


def calibration(held: Held) -> Iterator[dict[str, Any]]:
    """How sure the model is and how often it is right, in the equal bins of the calibration error that hold items."""
    sure = held.proba.max(axis=1).astype(np.float64)
    right = held.proba.argmax(axis=1) == held.y
    bins = np.clip(np.ceil(sure * BINS).astype(int) - 1, 0, BINS - 1)
    for one in np.unique(bins):
        inside = bins == one
        weights = np.ones(len(sure)) if held.weights is None else held.weights
        share = _share(right[inside], weights[inside])
        yield {"from": one / BINS, "to": (one + 1) / BINS, "items": int(inside.sum())} | {
            "confidence": float(np.average(sure[inside], weights=weights[inside])),
            "accuracy": interval(share),
        }


def _worth(loop: Undertaking, held: Held, weights: NDArray[np.float64]) -> int | None:
    """About how many evenly drawn labels would tell as much of the loop's metric; None where that is not known."""
    target = loop.config.stop_at
    name, positive = (target.metric, target.positive) if target else ("accuracy", None)
    added = contributions(held.y, held.proba, name, positive=positive, weights=weights)
    found = drawing.worth(added, weights)
    return round(len(held.keys) * found) if math.isfinite(found) else None


def _share(right: NDArray[np.bool_], weights: NDArray[np.float64]) -> Interval:
    """How often the model is right, with an exact interval; unequal weights are worth fewer equal ones (Kish)."""
    worth = float(weights.sum() ** 2 / (weights**2).sum())
    value = float(np.average(right, weights=weights))
    sides = lower_bound([value * worth, (1 - value) * worth], worth, confidence=(1 + CONFIDENCE) / 2)
    low, low_of_wrong = sides.tolist()
    return Interval(value, min(low, value), max(1 - low_of_wrong, value), len(right))
