"""How large a hold-out must be, before anybody is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alearn.cli.console import emit, facts, table
from alearn.config import load
from alearn.core.estimation import exact, labels_for_margin, labels_to_pass
from alearn.errors import ConfigError

BETTER = (0.01, 0.02, 0.03, 0.05, 0.1)
"""By how much a model may be better than the target."""


def show_holdout(path: Path, *, margin: float, expect: float | None, as_json: bool) -> None:
    """`alearn holdout`."""
    for name, value in (("margin", margin), ("expect", 0.9 if expect is None else expect)):
        if not 0 < value < 1:
            raise ConfigError(f"--{name} must lie between 0 and 1. Got {value:g}. 0.03 are three points.")
    config = load(path)
    target = config.target.value if config.target else None
    near = expect if expect is not None else target or 0.9
    found: dict[str, Any] = {
        "labels": config.holdout.size,
        "most": config.holdout_most,
        "near": near,
        "margin": _margin(near, config.holdout.size),
        "wanted": {"margin": margin, "labels": labels_for_margin(margin, value=near)},
    }
    if config.target and config.target.metric == "accuracy":
        found["passing"] = _passing(config.target.value, config.target.confidence)
    if as_json:
        emit(found)
        return
    facts(_lines(found))
    if "passing" in found:
        rows = [(one["true"], one["labels"] or "no number does") for one in found["passing"]]
        table("", ["if the accuracy is really", f"{target:g} is certain at one look after hold-out labels"], rows)


def _passing(target: float, confidence: float) -> list[dict[str, Any]]:
    """The hold-out labels after which models that are better than the target by so much pass it."""
    true = [round(target + more, 4) for more in BETTER if target + more < 1]
    return [{"true": one, "labels": labels_to_pass(one, target, confidence=confidence)} for one in true]


def _margin(value: float, labels: int) -> float | None:
    """Half the width of the exact interval of a share that was measured as `value`."""
    if not labels:
        return None
    found = exact(round(value * labels), labels)
    return float(found.high - found.low) / 2


def _lines(found: dict[str, Any]) -> list[tuple[str, object]]:
    near, wanted = found["near"], found["wanted"]
    if found["margin"] is None:
        there = "none"
    else:
        there = f"{found['labels']:,} labels tell a share near {near:g} to about ±{found['margin']:.3f} (95 %)"
    return [
        ("hold-out", there),
        ("wanted", f"±{wanted['margin']:g} needs about {wanted['labels']:,} labels"),
        ("grows to", f"{found['most']:,} while only its size keeps the target open (`holdout.most`)"),
        ("share", "such as the accuracy; on a class's recall only that class's labels tell anything"),
    ]
