"""Who annotates a loop: how reliably, how fast, and at what cost; as JSON types.

Invariant: read from the store alone. Accuracy is a posterior with its interval, never a bare count.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from alearn.core.agreement import krippendorff_alpha
from alearn.core.consensus import voices
from alearn.loop.spending import LONGEST
from alearn.loop.undertaking import Undertaking
from alearn.store.tables import AnnotationRow, AnnotatorRow


def team_of(loop: Undertaking, hourly: float | None = None) -> dict[str, Any]:
    """Every annotator and their agreement as a whole. `hourly`: what an hour costs, in place of the config's price."""
    costs = loop.config.costs
    prices = (costs.hour if hourly is None else hourly, costs.annotation)
    rows = [row for row in loop.store.annotations.all() if not row.deleted]
    standing = {row.name: row for row in loop.store.annotations.standings()}
    by_name: dict[str, list[AnnotationRow]] = {}
    for row in rows:
        by_name.setdefault(row.annotator, []).append(row)
    spoken = _spoken(rows)
    return {
        "loop": loop.config.name,
        "alpha": _number(krippendorff_alpha(spoken)),
        "annotators": [_one(name, by_name[name], standing.get(name), prices) for name in sorted(by_name)],
    }


def _spoken(rows: Sequence[AnnotationRow]) -> list[tuple[str, str, str]]:
    """Everybody's latest word of each item: (annotator, item, value)."""
    by_key: dict[str, list[AnnotationRow]] = {}
    for row in rows:
        by_key.setdefault(row.key, []).append(row)
    return [(one.annotator, key, value) for key, said in sorted(by_key.items()) for one, value in voices(said)]


def _one(
    name: str,
    rows: Sequence[AnnotationRow],
    standing: AnnotatorRow | None,
    prices: tuple[float | None, float | None],
) -> dict[str, Any]:
    """`prices` are those of an hour and of an annotation; None: not set."""
    times = [min(row.lead_time, LONGEST) for row in rows if row.lead_time is not None]
    hours = sum(times) / 3600
    answers = sum(row.value is not None for row in rows)
    found: dict[str, Any] = {
        "name": name,
        "answers": answers,
        "skips": sum(row.skipped for row in rows),
        "seconds": round(median(times), 2) if times else None,
        "hours": round(hours, 3),
    }
    if prices != (None, None):
        cost = hours * (prices[0] or 0) + sum(not row.skipped for row in rows) * (prices[1] or 0)
        found["cost"] = round(cost, 2)
        found["cost_per_answer"] = round(cost / answers, 4) if answers else None
    if standing is not None:
        kept = ("mean", "low", "high", "asked", "compared", "weight", "flagged")
        found |= {key: getattr(standing, key) for key in kept}
    return found


def _number(value: float) -> float | None:
    return None if value != value else round(value, 4)  # noqa: PLR0124 - NaN has no place in JSON
