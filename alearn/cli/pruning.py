"""`alearn prune`: a thinner network of the same use, or the reason why there is none."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alearn.cli import going_on
from alearn.cli.console import Terminal, emit, facts, table
from alearn.config import load
from alearn.errors import ConfigError
from alearn.loop.pruning import prune_newest
from alearn.loop.undertaking import opened

if TYPE_CHECKING:
    from alearn.models.pruning import Budget, Pruned

ONWARD = (
    "it is current: `alearn run` measures it on the hold-out, and `alearn restore` brings the other back. New labels "
    "train one that is not pruned: prune at the end."
)

_BUDGET = re.compile(r"(\d+(?:\.\d+)?)\s*(%|ms|MB)", re.IGNORECASE)


def prune_model(path: Path, *, budget: str, tolerance: float, as_json: bool) -> None:
    """Thin the newest model of a loop.

    Raises:
        ConfigError: a budget that cannot be read.
    """
    config, wanted = load(path), parse_budget(budget)
    with going_on("The same command goes on from here."), Terminal() as terminal:  # noqa: SIM117 - one thing each
        with opened(config, terminal, create=False) as loop:
            found = prune_newest(loop, wanted, tolerance=tolerance, say=terminal.say)
    if as_json:
        emit(as_values(found))
        return
    table("Pruning", ["", "before", "after"], found.table())
    facts([("result", found.verdict.reason), ("model", ONWARD if found.tuned is not None else "unchanged")])


def parse_budget(text: str) -> Budget:
    """What `--budget` says: a share of the computation, milliseconds an item, or megabytes; raises ConfigError."""
    match = _BUDGET.fullmatch(text.strip())
    value = float(match[1]) if match else 0.0
    unit = match[2].lower() if match else ""
    if value <= 0 or (unit == "%" and value >= 100):
        raise ConfigError(
            f"--budget must be a share below 100 such as 50%, a time such as 2ms, or a size such as 3MB. Got {text!r}."
        )
    from alearn.models.pruning import Budget

    return {
        "%": lambda: Budget(macs=value / 100),
        "ms": lambda: Budget(latency_ms=value),
        "mb": lambda: Budget(megabytes=value),
    }[unit]()


def as_values(found: Pruned) -> dict[str, Any]:
    """The outcome as JSON types."""
    steps = [
        {"ratio": one.ratio, "tap": one.tap, "accepted": one.verdict.accepted, "reason": one.verdict.reason}
        | asdict(one.found)
        for one in found.steps
    ]
    return {
        "pruned": found.tuned is not None,
        "reason": found.verdict.reason,
        "before": asdict(found.before),
        "after": asdict(found.after),
        "steps": steps,
    }
