"""Where a loop stands, as JSON types: what `alearn status` and `alearn serve` say of it.

Invariant: read from the store alone, in time that does not grow with the pool.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from alearn.loop.forecasting import History, effort, outlook
from alearn.loop.plan import plan
from alearn.loop.undertaking import Undertaking
from alearn.store.tables import CertificateRow, MetricRow


def status_of(loop: Undertaking) -> dict[str, Any]:
    """Where a loop stands, as JSON types."""
    seen, now = loop.store.look(), loop.snapshot()
    rounds = loop.store.rounds.history()
    return {
        "loop": loop.config.name,
        "home": str(loop.config.home_),
        "next": plan(now).value,
        "items": seen.items,
        "labels": seen.labels,
        "holdout_labels": seen.holdout_labels,
        "open": seen.open,
        "selectable": now.selectable,
        "rounds": seen.round,
        "target": loop.config.target.model_dump() if loop.config.target else None,
        "metrics": numbers(rounds[-1][1]) if rounds else {},
        "forecast": _forecast(loop, rounds, now.selectable),
        "hours": round(effort(loop).seconds / 3600, 2),
        "decision": {"kind": seen.kind, "reason": seen.reason} if seen.kind else None,
        "automatic": _automatic(loop),
        "annotators": loop.store.annotations.annotators(),
        "quarantined": [{"place": row.place, "reason": row.reason} for row in loop.store.items.quarantined()],
        "notices": [row.text for row in loop.store.annotations.notices()],
    }


def _automatic(loop: Undertaking) -> dict[str, Any] | None:
    """How many labels were given automatically, and under which certificate; None where none ever were."""
    told = loop.store.automatic.certificates()
    return {"labels": loop.store.automatic.count(), **certified(told[-1])} if told else None


def certified(row: CertificateRow) -> dict[str, Any]:
    """A certificate as JSON types."""
    return {"certificate": row.key, "version": row.version, "round": row.round, "at": row.at, **json.loads(row.facts)}


def _forecast(loop: Undertaking, history: History, selectable: int) -> dict[str, Any] | None:
    """How many more training labels the target needs; None where that is not known. Infinite numbers are None."""
    far = outlook(loop, history, selectable)
    if far is None:
        return None
    labels = {name: _finite(getattr(far.labels, name)) for name in ("low", "median", "high")}
    return {"labels": labels, "chance": far.chance, "words": far.words(effort(loop).each)}


def _finite(labels: float) -> int | None:
    return round(labels) if math.isfinite(labels) else None


def numbers(metrics: Mapping[str, MetricRow]) -> dict[str, Any]:
    """Metrics as JSON types; an interval's confidence is that of its lower bound, one-sided."""
    return {
        name: {"value": row.value, "low": row.low, "high": row.high, "n": row.n, "confidence": row.confidence}
        for name, row in sorted(metrics.items())
    }
