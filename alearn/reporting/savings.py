"""What a loop has spent, and what it saved against labels at random, as JSON types; each says how it is known.

Invariant: where the labels there are cannot tell, the answer is that it is not known, and why.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from alearn.core.forecast import forecast
from alearn.core.metrics import METRICS
from alearn.core.seeds import generator
from alearn.errors import ModelError
from alearn.loop.drawing import uneven
from alearn.loop.learning import groups_of, readable
from alearn.loop.spending import cost, effort, price
from alearn.loop.undertaking import Undertaking
from alearn.reporting.at_random import FEWEST, SMALLEST, Curves, Lot, Question, compared, saved
from alearn.reporting.course import metric_of
from alearn.reporting.standing import Held, Standing
from alearn.store.tables import PickRow

FAR = 20
"""Random labels are not forecast beyond so many times those that the loop learned from."""
CENTRAL = (0.025, 0.975)


def spent_of(loop: Undertaking) -> dict[str, Any]:
    """Labels by what they were asked for, annotations, annotators' time, and what their work has cost."""
    seen, rows, worked = loop.store.look(), loop.store.annotations.all(), effort(loop.store)
    given = [row for row in rows if not row.deleted]
    began, budget = loop.store.loop().created_at, loop.config.spend
    picks = {pick.key: pick for pick in loop.store.rounds.picks()}
    why = Counter(_why(picks.get(label.key)) for label, _ in loop.store.annotations.labels())
    return {
        "labels": seen.labels,
        "training": seen.labels - seen.holdout_labels,
        "holdout": seen.holdout_labels,
        "open": seen.open,
        "asked_for": dict(sorted(why.items())),
        "annotations": sum(row.value is not None for row in given),
        "skips": sum(row.skipped for row in given),
        "hours": round(worked.seconds / 3600, 3) if worked.annotations else None,
        "timed": worked.annotations,
        "seconds_each": None if worked.each is None else round(worked.each, 2),
        "money": cost(loop.config, worked),
        "money_each": price(loop.config, worked, seen.labels).money,
        "currency": loop.config.costs.currency,
        "began": began,
        "days": round(max(loop.clock.seconds() - datetime.fromisoformat(began).timestamp(), 0) / 86_400, 2),
        "budget": {"labels": budget.labels, "hours": budget.hours, "money": budget.money, "days": budget.days},
    }


def _why(pick: PickRow | None) -> str:
    """What a label was asked for; "found": it was on the platform before anything was asked."""
    return "found" if pick is None or pick.strategy == "found" else pick.purpose


def saved_of(loop: Undertaking, now: Standing, held: Held) -> dict[str, Any]:
    """Chosen labels beside random ones on the hold-out; raises ModelError where they cannot be compared."""
    picks = {pick.key: pick for pick in loop.store.rounds.picks()}
    metric, target = metric_of(loop), loop.config.stop_at
    chosen, more, drawn = _lots(loop, now, held, picks)
    question = Question(
        len(loop.schema.classes),
        metric,
        target.positive if target else None,
        loop.config.seed,
        lambda done, total: loop.features.progress("Comparing with random labels", done, total),
    )
    rng = generator(loop.config.seed, loop.config.name, now.round.number, "report-random")
    found = compared(chosen, drawn, more, question, rng)
    if found is None:
        raise ModelError(
            f"It takes {FEWEST} drawn hold-out labels and more than {SMALLEST} to learn from to compare with random "
            f"labels. There are {len(drawn.y)} and {len(chosen.y)}"
        )
    if not all(np.isfinite(one[..., 0]).all() for one in (found.chosen, found.random, found.whole)):
        raise ModelError(f"The hold-out cannot decide {METRICS[metric].title}: it lacks a class that it needs")
    return {
        "how": "hold-out",
        "metric": metric,
        "title": METRICS[metric].title,
        "drawn": {"holdout": len(drawn.y), "uneven": len(uneven(loop, held.keys)), "guard": len(more.y)},
        **_told(found),
        "beyond": _beyond(found, rng),
    }


def _lots(loop: Undertaking, now: Standing, held: Held, picks: Mapping[str, PickRow]) -> tuple[Lot, Lot, Lot]:
    """The loop's labels in the order they were asked for, those that the guard drew, and the drawn hold-out."""
    known = readable(loop, loop.store.annotations.training(holdout=False), now.cut)
    order = sorted(range(len(known.keys)), key=lambda at: _asked(picks.get(known.keys[at]), known.keys[at]))
    keys, y = [known.keys[at] for at in order], known.y[order]
    at_random = [at for at, key in enumerate(keys) if key in picks and picks[key].purpose == "random"]
    out = uneven(loop, held.keys)
    drawn = [
        at for at, key in enumerate(held.keys) if key in picks and picks[key].strategy != "found" and key not in out
    ]
    x, held_x = (np.asarray(loop.features.rows(some, now.cut), dtype=np.float32) for some in (keys, held.keys))
    groups = groups_of(loop, keys)
    return (
        Lot(x, y, groups),
        Lot(x[at_random], y[at_random], [groups[at] for at in at_random]),
        Lot(held_x[drawn], held.y[drawn], [held.groups[at] for at in drawn]),
    )


def _asked(pick: PickRow | None, key: str) -> tuple[int, int, str]:
    """What was on the platform before anybody was asked comes first."""
    return (pick.round, pick.rank, key) if pick is not None else (0, 0, key)


def _told(found: Curves) -> dict[str, Any]:
    """The two curves, and what one kind of labels takes more than the other."""
    both = saved(found)
    fewer = both.random - both.chosen
    gap = found.chosen[-1] - found.random[-1]
    return {
        "points": [
            {"labels": int(labels), "chosen": _range(ours), "random": _range(theirs)}
            for labels, ours, theirs in zip(found.labels, found.chosen, found.random, strict=True)
        ],
        "level": float(both.level[0]),
        "labels": {"chosen": round(float(both.chosen[0])), "random": round(float(both.random[0]))},
        "saved": {name: round(value) for name, value in _range(fewer).items()},
        "share": float(fewer[0] / both.random[0]),
        "gap": {"labels": int(found.labels[-1]), **_range(gap)},
    }


def _beyond(found: Curves, rng: np.random.Generator) -> dict[str, Any] | None:
    """How many random labels it would take to where all the loop's labels came; None where that was measured already.

    From the random curve's own continuation, so with its 80 % interval; None in it: more than were looked at.
    """
    level, last = float(found.whole[0]), int(found.labels[-1])
    if found.spent <= last or level <= found.random[-1][0]:
        return None
    curve = [(float(labels), float(values[0])) for labels, values in zip(found.labels, found.random, strict=True)]
    error = (found.random - found.whole)[:, 1:].std(axis=1)  # of how far the curve is below the level, item by item
    ahead = forecast(curve, rng=rng, error=error)
    if ahead is None:
        return None
    most = FAR * found.spent
    far = ahead.outlook(level, most)
    ends = {name: getattr(far.labels, name) for name in ("low", "median", "high")}
    labels = {name: round(last + one) if math.isfinite(one) else None for name, one in ends.items()}
    return {"spent": found.spent, "level": level, "labels": labels, "most": last + most}


def _range(values: Sequence[float] | np.ndarray[Any, Any]) -> dict[str, float]:
    """What is measured, with the central 95 % interval of its resamples."""
    value, rest = float(values[0]), np.asarray(values[1:])
    low, high = np.nanquantile(rest, CENTRAL)
    return {"value": value, "low": min(float(low), value), "high": max(float(high), value)}


def simulated_of(loop: Undertaking) -> dict[str, Any] | None:
    """What an experiment on these items found that `alearn simulate` has finished, where it is by default; else None.

    A replay of the loop's own labels comes before one on answers that were known.
    """
    config = loop.config
    for name, command in ((f"{config.name}-replay", "alearn simulate --replay"), (config.name, "alearn simulate")):
        try:
            found = json.loads((config.home_.parent / "simulate" / name / "results.json").read_text(encoding="utf-8"))
            kept = {"words": [str(one) for one in found["words"]], "items": int(found["items"])}
            if found["name"] == config.name:
                return {"how": command, **kept, "seeds": int(found["seeds"]), "failed": len(found["failed"])}
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return None
