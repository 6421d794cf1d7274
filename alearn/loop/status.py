"""Where a loop stands, as JSON types: what `alearn status` and `alearn serve` say of it.

Invariant: read from the store alone, in time that does not grow with the pool.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from alearn.loop import spending
from alearn.loop.forecasting import History, in_words, left_out, outlook
from alearn.loop.plan import plan
from alearn.loop.undertaking import Undertaking
from alearn.store import Look
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
        "selectable": now.selectable - left_out(loop, seen),
        "rounds": seen.round,
        "target": loop.config.target.model_dump() if loop.config.target else None,
        "metrics": numbers(rounds[-1][1]) if rounds else {},
        "forecast": _forecast(loop, rounds, seen),
        **_spent(loop),
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


def promise(row: Mapping[str, Any]) -> str:
    """A certificate in words."""
    each = " of each class's" if row["per_class"] else ""
    return (
        f"{row['labeled']:,} of {row['pool']:,} items labeled by version {row['version'][:8]} at {row['at']}: at least "
        f"{row['precision']:.4g}{each} right, with {row['confidence']:.4g} confidence ({row['wrong']} wrong of "
        f"{row['taken']} such hold-out labels)"
    )


def _spent(loop: Undertaking) -> dict[str, Any]:
    """Annotators' hours, and what their work has cost; None where the config says no price."""
    found = spending.told(loop.config, loop.store)
    money = {"amount": found["money"], "currency": found["currency"], "words": found["words"]}
    return {"hours": found["hours"], "costs": None if found["money"] is None else money}


def _forecast(loop: Undertaking, history: History, seen: Look) -> dict[str, Any] | None:
    """How many more labels it takes until the target is certain, to train on and of the hold-out, and what has to be
    measured for that; None where that is not known. Infinite numbers are None.
    """
    far = outlook(loop, history, seen)
    if far is None:
        return None
    labels = {name: _finite(getattr(far.labels, name)) for name in ("low", "median", "high")}
    measured = far.measured if far.measured is not None and math.isfinite(far.measured) else None
    more = {"holdout": far.holdout, "measured": measured}
    return {"labels": labels, **more, "chance": far.chance, "words": in_words(loop, far, seen)}


def _finite(labels: float) -> int | None:
    return round(labels) if math.isfinite(labels) else None


def numbers(metrics: Mapping[str, MetricRow]) -> dict[str, Any]:
    """Metrics as JSON types; an interval's confidence is that of its lower bound, one-sided."""
    return {
        name: {"value": row.value, "low": row.low, "high": row.high, "n": row.n, "confidence": row.confidence}
        for name, row in sorted(metrics.items())
    }
