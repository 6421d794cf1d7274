"""What a version is made of, besides labels: the config's part of it, and the network it stands on."""

from __future__ import annotations

import json
from typing import Any

from alearn.config import Config
from alearn.loop.features import Cut


def recipe(config: Config, cut: Cut, trunk: str) -> dict[str, Any]:
    """As it is written into the version's row; `trunk` is the fingerprint of the loaded network."""
    return {**config.recipe, **standing_on(cut, trunk)}


def standing_on(cut: Cut, trunk: str) -> dict[str, Any]:
    """The part of a recipe that says what a version stands on; `trunk` as in `recipe`."""
    return {"network": {"name": cut.network, "size": cut.size, "tap": cut.tap}, "trunk": trunk}


def cut_of(written: str) -> Cut:
    """The network of a written recipe."""
    made = json.loads(written)
    found = made.get("network") or made["model"]  # the first recipes named the network among the config's other terms
    return Cut(found["name"], found.get("size"), found.get("tap"))


def is_stale(config: Config, cut: Cut, written: str, trunk: str | None) -> bool:
    """Whether the present config would make another version; `trunk`: None where the network is not loaded."""
    made = json.loads(written)
    return bool(made != recipe(config, cut, made["trunk"] if trunk is None else trunk))
