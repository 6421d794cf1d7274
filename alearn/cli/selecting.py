"""`alearn select`: which pretrained network, cut where, suits a loop's labels; a person chooses, the config says it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alearn.cli import going_on
from alearn.cli.console import Terminal, emit, facts, table
from alearn.config import load
from alearn.core.metrics import METRICS
from alearn.loop.choosing import rank
from alearn.loop.undertaking import opened
from alearn.models.selecting import MEASURED, Option, Selection

SHOWN = 20
"""Rows in a terminal; --json has them all."""

COLUMNS = ["", "network", "behind", "{metric}", "95 % interval", "log loss", "kNN", "bytes/item", "params, M", "MB"]


def select_network(path_of_config: Path, names: Sequence[str], *, as_json: bool) -> None:
    """`alearn select`: rank the networks of these names, or the config's, or those whose weights are here.

    Raises:
        ModelError: the loop has no labels yet, or no candidate can be used.
    """
    config = load(path_of_config)
    metric = config.target.metric if config.target else "accuracy"
    again = "The same command goes on from here."
    with going_on(again), Terminal() as terminal, opened(config, terminal, create=False) as loop:
        found = rank(loop, tuple(names), measured=MEASURED)
    if as_json:
        emit(as_values(found, metric))
        return
    show(found, metric)


def show(found: Selection, metric: str) -> None:
    """The ranking as a table, what was left out, and what to write into the config."""
    columns = [name.format(metric=METRICS[metric].title) for name in [*COLUMNS, "items/s"]]
    table(f"On {found.labels:,} labels", columns, [_line(option, found) for option in found.rows[:SHOWN]])
    said: list[tuple[str, str]] = []
    if len(found.rows) > SHOWN:
        said.append(("", f"… and {len(found.rows) - SHOWN} more; --json has them all"))
    said += [("left out", f"{name}: {reason}") for name, reason in found.left_out.items()]
    engine = found.first.cost.engine if found.first.cost else None
    said += [("measured", f"items/s, on {engine}, without decoding")] if engine else []
    facts([*said, ("first choice", found.reason), ("config", lines(found.first))])


def _line(option: Option, found: Selection) -> list[object]:
    row, cost = option.row, option.cost
    mark = "first" if option is found.first else "tied" if row.tied else ""
    return [
        mark,
        option.network,
        row.candidate.tap,
        _short(row.score.value),
        f"{_short(row.score.low)} to {_short(row.score.high)}",
        _short(row.log_loss),
        _short(row.knn),
        option.width * 4,
        *(
            [f"{cost.parameters / 1e6:.2f}", f"{cost.megabytes:.1f}", f"{cost.items_per_second:.0f}"]
            if cost
            else [""] * 3
        ),
    ]


def lines(option: Option) -> str:
    """What a config says to use this network and tap."""
    tap = "" if option.tap is None else f", tap: {option.tap}"
    return f"model: {{name: {_quoted(option.network)}{tap}}}"


def _quoted(name: str) -> str:
    """A name as YAML takes it inside braces."""
    return f'"{name}"' if set(name) & set(':,[]{}#&*!|>"%@`') else name


def as_values(found: Selection, metric: str) -> dict[str, Any]:
    """A selection as JSON types; what is not known is null."""
    return {
        "metric": metric,
        "labels": found.labels,
        "reason": found.reason,
        "config": {"name": found.first.network, "tap": found.first.tap},
        "candidates": [_values(option) for option in found.rows],
        "left_out": found.left_out,
    }


def _values(option: Option) -> dict[str, Any]:
    row, cost = option.row, option.cost
    measured = {
        "parameters": cost.parameters if cost else None,
        "megabytes": cost.megabytes if cost else None,
        "items_per_second": round(cost.items_per_second, 1) if cost else None,
        "engine": cost.engine if cost else None,
    }
    return {
        "network": option.network,
        "tap": row.candidate.tap,
        "tied": row.tied,
        "score": _number(row.score.value),
        "low": _number(row.score.low),
        "high": _number(row.score.high),
        "behind": [_number(row.behind.value), _number(row.behind.low), _number(row.behind.high)],
        "log_loss": _number(row.log_loss),
        "knn": _number(row.knn),
        "h_score": _number(row.h_score),
        "bytes_per_item": option.width * 4,
        **measured,
    }


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def _short(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"
