"""What came out of an experiment, as JSON types: curves, labels to a share of the full metric, and who is better.

Invariant: everything but the seconds follows from the rows of the runs alone, in whatever order and process they ran.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alearn.config import Config
from alearn.core import comparison
from alearn.core.curves import area_under, labels_to
from alearn.core.metrics import METRICS
from alearn.core.seeds import generator
from alearn.simulation.design import Design, metric_of
from alearn.simulation.experiment import Found

LEVELS = (0.90, 0.95, 0.98)
"""Shares of the metric that all labels give."""
WINDOW = 3
"""Rounds whose mean must reach a level, so that one lucky round does not count."""
TIE = 0.001
"""Areas under the curve that differ by less are a tie."""


def results_of(config: Config, design: Design, found: Found, *, replay: bool) -> dict[str, Any]:
    """Everything that the page and a script are told."""
    metric = metric_of(config)[0]
    scored = [_scored(row, found.full.get(row["seed"]), metric) for row in found.rows]
    whole = [row["values"][metric] for row in found.full.values()]
    return {
        "name": config.name,
        "replay": replay,
        "metric": {"name": metric, "title": METRICS[metric].title},
        "items": found.items,
        "sizes": sorted({(row["pool"], row["test"]) for row in found.rows}),
        "network": found.network,
        "strategies": list(design.strategies),
        "baseline": baseline(design.strategies),
        "seeds": design.seeds,
        "labels": min(design.labels, max((row["pool"] for row in found.rows), default=design.labels)),
        "full": {"values": {str(seed): row["values"][metric] for seed, row in sorted(found.full.items())}}
        | {"median": _median(whole)},
        "settings": [
            _setting(design, [row for row in scored if (row["batch"], row["noise"]) == (batch, noise)], batch, noise)
            for batch in design.batches
            for noise in design.noises
        ],
        "all": _compared(design, scored),
        "runs": scored,
        "failed": [{"run": title, "reason": reason} for title, reason in sorted(found.failed)],
    }


def baseline(strategies: Sequence[str]) -> str:
    """What the others are compared with: random picks, where they are among them."""
    return "random" if "random" in strategies else strategies[0]


def _scored(row: Mapping[str, Any], full: Mapping[str, Any] | None, metric: str) -> dict[str, Any]:
    """A run with what is read off its curve."""
    curve = [(one["labels"], one["values"][metric]) for one in row["rounds"]]
    points = [(float(labels), math.nan if value is None else value) for labels, value in curve]
    top = full["values"][metric] if full else None
    reached = {
        f"{level:.0%}": None if top is None else labels_to(points, level * top, window=WINDOW) for level in LEVELS
    }
    return {
        **{name: row[name] for name in ("strategy", "seed", "batch", "noise", "pool", "test")},
        "curve": curve,
        "labels_to": reached,
        "area": _plain(area_under(points)),
        "rounds": row["rounds"],
        "seconds": {**row["seconds"], "select_per_round": _median(row["select_seconds"])},
    }


def _setting(design: Design, rows: Sequence[Mapping[str, Any]], batch: int, noise: float) -> dict[str, Any]:
    """All runs of one batch size and rate of wrong answers."""
    return {
        "batch": batch,
        "noise": noise,
        "strategies": {
            name: _summary(name, [row for row in rows if row["strategy"] == name]) for name in design.strategies
        },
        **_compared(design, rows),
    }


def _summary(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One strategy over its seeds."""
    curves = [[(x, math.nan if y is None else y) for x, y in row["curve"]] for row in rows]
    drawn = comparison.band(curves, rng=generator(0, name, 0, "band"))
    return {
        "runs": len(rows),
        "band": {
            field: [round(float(one), 6) for one in getattr(drawn, field)]
            for field in ("labels", "mean", "low", "high")
        },
        "labels_to": {f"{level:.0%}": _spread([row["labels_to"][f"{level:.0%}"] for row in rows]) for level in LEVELS},
        "area": _median(row["area"] for row in rows),
        "seconds": {"select_per_round": _median(row["seconds"]["select_per_round"] for row in rows)},
    }


def _spread(found: Sequence[float | None]) -> dict[str, Any]:
    """Median, least and most of labels; a run that never got there counts as more than any."""
    known = sorted(math.inf if one is None else float(one) for one in found)
    if not known:
        return {"median": None, "least": None, "most": None, "reached": 0}
    at = [statistics.median(known), known[0], known[-1]]
    return dict(zip(("median", "least", "most"), [_plain(one) for one in at], strict=True)) | {
        "reached": sum(math.isfinite(one) for one in known)
    }


def _compared(design: Design, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Who is better by the area under the curve, block by block; a block is a seed of a batch size and a noise."""
    table = _table(design, rows)
    known = np.isfinite(table).astype(int)
    complete = int(known.all(axis=1).sum())
    ranks = comparison.mean_ranks(table)
    apart = comparison.critical_difference(len(design.strategies), complete)
    return {
        "blocks": complete,
        "p": _lists(comparison.pairwise(table)),
        "least_p": comparison.least_p(complete),
        "wins": comparison.wins(table, tie=TIE).tolist(),
        "losses": comparison.wins(-table, tie=TIE).tolist(),
        "both": (known.T @ known).tolist(),
        "ranks": _lists(ranks),
        "friedman": _plain(comparison.friedman(table)),
        "critical_difference": _plain(apart),
        "cliques": [list(one) for one in comparison.cliques(ranks, apart)] if math.isfinite(apart) else [],
    }


def _table(design: Design, rows: Sequence[Mapping[str, Any]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The areas, (blocks, strategies); NaN where a run is missing."""
    blocks = sorted({(row["batch"], row["noise"], row["seed"]) for row in rows})
    table = np.full((len(blocks), len(design.strategies)), np.nan)
    for row in rows:
        at = blocks.index((row["batch"], row["noise"], row["seed"])), design.strategies.index(row["strategy"])
        table[at] = math.nan if row["area"] is None else row["area"]
    return table


def _lists(values: np.ndarray[Any, Any]) -> Any:
    """Nested lists without NaN."""
    return [_lists(one) for one in values] if values.ndim > 1 else [_plain(float(one)) for one in values]


def _plain(value: float) -> float | None:
    """A number that JSON can say."""
    return round(value, 6) if math.isfinite(value) else None


def _median(values: Iterable[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return round(statistics.median(known), 6) if known else None


def write_table(path: Path, runs: Sequence[Mapping[str, Any]]) -> bool:
    """Write a row per round as Parquet; returns False where pyarrow is not installed."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        return False
    rows = [
        {name: run[name] for name in ("strategy", "seed", "batch", "noise")}
        | {"round": one["round"], "labels": one["labels"], **one["values"]}
        for run in runs
        for one in run["rounds"]
    ]
    aside = path.with_suffix(".part")
    pq.write_table(pa.Table.from_pylist(rows), aside)
    aside.replace(path)
    return True
