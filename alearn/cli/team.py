"""`alearn annotators`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alearn.cli.console import emit, facts, table
from alearn.config import load
from alearn.loop.team import team_of
from alearn.loop.undertaking import opened


def show_annotators(path: Path, *, hourly: float | None, as_json: bool) -> None:
    """Who annotates, how reliably, how fast."""
    with opened(load(path), create=False) as loop:
        found = team_of(loop, hourly)
    if as_json:
        emit(found)
        return
    heads = ["annotator", "answers", "skips", "median s", "hours", "accuracy", "tests", "compared", "weight", ""]
    rows = [_row(one) for one in found["annotators"]]
    priced = any("cost" in one for one in found["annotators"])
    table("Annotators", heads + (["cost"] if priced else []), rows)
    if found["alpha"] is not None:
        facts([("agreement", f"Krippendorff's alpha {found['alpha']:.3f} (1: all agree, 0: as by chance)")])
    else:
        facts([("agreement", "not known: nobody has answered what another has; set `consensus.overlap` or `tests`")])


def _row(one: Mapping[str, Any]) -> list[object]:
    known = "mean" in one
    accuracy = f"{one['mean']:.0%} ({one['low']:.0%} to {one['high']:.0%})" if known else "not known"
    row: list[object] = [one["name"], one["answers"], one["skips"], one["seconds"] or "", one["hours"], accuracy]
    row += [one["asked"], one["compared"], round(one["weight"], 2)] if known else [0, 0, ""]
    row.append("flagged" if one.get("flagged") else "")
    return [*row, one["cost"]] if "cost" in one else row
