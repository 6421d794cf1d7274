"""`alearn quickstart`: the main job on real data, from nothing to a model that has hit its target."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from alearn import platform as door
from alearn.cli.console import Terminal, emit, facts
from alearn.cli.loops import drive
from alearn.cli.reading import status_of, write_labels, written
from alearn.config import Config, load
from alearn.errors import ConfigError
from alearn.loop.controller import Outcome
from alearn.loop.export import export_model_of
from alearn.loop.plan import Step
from alearn.loop.undertaking import Undertaking, opened

SHIPPED = (Path(__file__).parents[1] / "configs", Path(__file__).parents[2] / "configs")
"""Where the example configs are: inside an installed package, or beside it in a checkout."""


def run_quickstart(name: str, *, keep: bool, human: bool, as_json: bool) -> None:
    """Start what is needed, run a new loop to its end, say what came of it, and stop what was started."""
    config, began = _new_loop(load(_find(name))), time.monotonic()
    with Terminal() as terminal, ExitStack() as started:
        place = _server(config, terminal, started, keep=keep)
        loop = started.enter_context(opened(config, terminal))
        terminal.say(f"Loop {config.name} in {config.home_}")
        if human:
            terminal.say("Label in your browser now. Ctrl-C stops; the loop goes on when you run it again.")
        outcome = drive(loop, robots=not human and door.has_robots(config.platform.name))
        summary = _results(loop, outcome, minutes=(time.monotonic() - began) / 60, place=place)
    if as_json:
        emit(summary)
    else:
        _show(summary, stays=keep)


def _find(name: str) -> Path:
    """A config by its file, or by the name of a shipped one."""
    if Path(name).suffix in {".yaml", ".yml"}:
        return Path(name)
    for folder in SHIPPED:
        if (folder / f"{name}.yaml").exists():
            return folder / f"{name}.yaml"
    known = sorted({path.stem for folder in SHIPPED for path in folder.glob("*.yaml")})
    raise ConfigError(f"CONFIG must be a YAML file or one of {', '.join(known)}. Got {name!r}. Correct it.")


def _new_loop(config: Config) -> Config:
    """The same as a loop of its own, so that a quickstart never goes on with an older one."""
    name = f"{config.name[:40]}-{datetime.now():%Y%m%d-%H%M%S}"
    return config.model_copy(update={"name": name, "home": str(Path.cwd() / "runs" / name)})


def _server(config: Config, terminal: Terminal, started: ExitStack, *, keep: bool) -> Mapping[str, str]:
    """The private Label Studio, running; stopped at the end when it was started here and is not to be kept."""
    if config.platform.name != "label-studio":
        return {}
    server = door.server(config.platform.name)
    ran_before = server.status() is not None
    found = server.up(terminal.say)
    if not (keep or ran_before):
        started.callback(server.down)
    return found


def _results(loop: Undertaking, outcome: Outcome, *, minutes: float, place: Mapping[str, str]) -> dict[str, Any]:
    home = loop.config.home_
    if outcome.step is Step.DONE and loop.store.rounds.last() is not None:
        export_model_of(loop, home / "model")
    write_labels(loop, home / "labels.csv")
    return {
        "outcome": outcome.step.value,
        "reason": outcome.reason,
        **status_of(loop),
        "minutes": round(minutes, 2),
        "labels_file": str(home / "labels.csv"),
        "model_folder": str(home / "model"),
        "links": dict(loop.platform.links()),
        "label_studio": dict(place),
    }


def _show(found: Mapping[str, Any], *, stays: bool) -> None:
    """One clear summary."""
    target, metrics = found["target"], found["metrics"]
    spent = f"{found['labels']:,} spent of {found['items']:,} items; {found['holdout_labels']:,} of them to measure"
    facts(
        [
            ("result", found["reason"]),
            *([("target", _goal(target))] if target else []),
            *((name, written(row)) for name, row in metrics.items() if not target or name == target["metric"]),
            ("labels", spent),
            ("rounds", found["rounds"]),
            ("minutes", found["minutes"]),
            ("labels file", found["labels_file"]),
            ("model", found["model_folder"]),
            *found["links"].items(),
            *_login(found["label_studio"], stays=stays),
        ]
    )


def _goal(target: Mapping[str, Any]) -> str:
    return f"{target['metric']} of {target['value']} or better, with {target['confidence']:.0%} confidence"


def _login(place: Mapping[str, str], *, stays: bool) -> list[tuple[str, str]]:
    if not place:
        return []
    state = (
        "is running; `alearn label-studio down` stops it"
        if stays
        else "was stopped; `alearn label-studio up` starts it"
    )
    return [
        ("Label Studio", f"{place['url']} {state}"),
        ("log in as", f"{place['username']}, with the password in {place['password_file']}"),
    ]
