"""Everything that it takes to do the loop again, as JSON types: config, seeds, libraries, versions and commands.

Invariant: passwords are masked; a command is written so that a shell takes it as one.
"""

from __future__ import annotations

import json
import platform
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

import alearn
from alearn.config import masked
from alearn.loop.undertaking import Undertaking
from alearn.loop.versions import RECORDED_LIBRARIES, libraries
from alearn.reporting.standing import Standing

RANDOMNESS = "sha256(seed, loop, round, purpose): never a running generator, so every step can be done again alone"


def recipe_of(
    loop: Undertaking, rounds: Sequence[Mapping[str, Any]], now: Standing | None, file: str
) -> dict[str, Any]:
    """The recipe of a loop whose config is in `file`; `rounds` as in `course`."""
    shown = masked(loop.config.model_dump(mode="json"))
    return {
        "config": yaml.safe_dump(shown, sort_keys=False, allow_unicode=True),
        "seeds": {"config": loop.config.seed, "robots": loop.config.profile.seed, "how": RANDOMNESS},
        "libraries": _libraries(rounds),
        "system": {
            "alearn": alearn.__version__,
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "model": None if now is None else _model(now),
        "commands": _commands(rounds, now, shlex.quote(file)),
    }


def _libraries(rounds: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """{library: its versions, in the order in which rounds used them}; without a round those of now."""
    used = [one["libraries"] for one in rounds] or [json.loads(libraries())]
    found = {name: list(dict.fromkeys(one[name] for one in used if name in one)) for name in RECORDED_LIBRARIES}
    return {name: versions for name, versions in found.items() if versions}


def _model(now: Standing) -> dict[str, Any]:
    """What the version is made of."""
    version = now.version
    return {
        "version": version.key,
        "round": now.round.number,
        "network": now.cut.network,
        "size": now.cut.size,
        "tap": now.cut.tap,
        "trunk": version.trunk,
        "rung": version.rung,
        "weights": version.weights,
        "training_set": version.training_set,
        "labels": version.labels,
    }


def _commands(rounds: Sequence[Mapping[str, Any]], now: Standing | None, file: str) -> list[dict[str, str]]:
    """What to type, and what it does."""
    found = [{"command": f"alearn run {file}", "does": "goes on from here, or begins anew in an empty home"}]
    if rounds:
        found.append({"command": f"alearn replay {file} --round {rounds[-1]['round']}", "does": "does a round again"})
    if now is not None:
        key = now.version.key[:8]
        found += [
            {"command": f"alearn export {file} --labels labels.csv", "does": "writes the labels"},
            {"command": f"alearn export {file} --model model/ --version {key}", "does": "writes this model"},
        ]
    return [*found, {"command": f"alearn report {file}", "does": "makes this page anew"}]
