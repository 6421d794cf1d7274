"""`alearn quickstart`: the main job on real data, from nothing to a model that has hit its target."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from alearn import platform as door
from alearn.cli import going_on
from alearn.cli.console import Terminal, emit, facts
from alearn.cli.loops import drive
from alearn.cli.options import DEFAULT_CONFIG
from alearn.cli.reading import write_labels, written
from alearn.cli.servers import NAME
from alearn.config import Config, dump, load, masked
from alearn.errors import ConfigError
from alearn.loop.controller import Outcome
from alearn.loop.export import export_model_of
from alearn.loop.plan import Step
from alearn.loop.status import status_of
from alearn.loop.undertaking import Undertaking, opened

SHIPPED = (Path(__file__).parents[1] / "configs", Path(__file__).parents[2] / "configs")
"""Where the example configs are: inside an installed package, or beside it in a checkout."""

HEAD = "# The config of a quickstart's loop, with every default. `alearn run` on this file goes on with it.\n"


def run_quickstart(name: str, *, keep: bool, human: bool, as_json: bool) -> None:
    """Start what is needed, run a new loop to its end, say what came of it, and stop what was started."""
    chosen, began = load(_find(name)), time.monotonic()
    robots = not human and door.has_robots(chosen.platform.name)
    file = _begin(chosen)
    config, onward = load(file), go_on_command(file, chosen, robots=robots)
    with going_on(f"Go on with: {onward}"), Terminal() as terminal, ExitStack() as started:
        terminal.say(f"Loop {config.name} in {config.home_}")
        terminal.say(f"After a stop, go on with: {onward}")
        place = _server(config, terminal, started, keep=keep)
        loop = started.enter_context(opened(config, terminal))
        if human and config.platform.name == NAME:
            terminal.say(_invitation(place))
        outcome = drive(loop, robots=robots)
        summary = _results(loop, outcome, minutes=(time.monotonic() - began) / 60, place=place)
    summary |= {"config": str(file), "go_on": onward}
    if as_json:
        emit(summary)
    else:
        _show(summary)


def _find(name: str) -> Path:
    """A config by its file, or by the name of a shipped one."""
    if Path(name).suffix in {".yaml", ".yml"}:
        return Path(name)
    for folder in SHIPPED:
        if (folder / f"{name}.yaml").exists():
            return folder / f"{name}.yaml"
    known = sorted({path.stem for folder in SHIPPED for path in folder.glob("*.yaml")})
    raise ConfigError(f"CONFIG must be a YAML file or one of {', '.join(known)}. Got {name!r}. Correct it.")


def _begin(config: Config) -> Path:
    """Write the config of a loop of its own, so that a quickstart never goes on with an older one; returns the file."""
    home = _new_folder(Path.cwd() / "runs", f"{config.name[:40]}-{datetime.now():%Y%m%d-%H%M%S}")
    text = HEAD + dump(config, name=home.name, home=".")
    file = home / DEFAULT_CONFIG
    file.touch(mode=0o600 if masked(config.store.url) != config.store.url else 0o666)
    file.write_text(text, encoding="utf-8")
    return file


def _new_folder(parent: Path, name: str) -> Path:
    """A folder that was not there; a number is added to the name of one that was."""
    for number in count(1):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise ConfigError(
                f"A quickstart keeps its loop in a folder of its own. {folder} cannot be made: {error.strerror}. "
                "Change to a folder that you may write to."
            ) from error
        break
    return folder


def go_on_command(file: Path, config: Config, *, robots: bool) -> str:
    """What goes on with the loop, to be copied into a shell in the present folder."""
    here = Path.cwd()
    shown = file.relative_to(here) if file.is_relative_to(here) else file
    run = f"{_program()} run {shlex.quote(str(shown))}{' --robots' if robots else ''}"
    return f"{_program()} label-studio up && {run}" if _private(config) else run


def _program() -> str:
    """How to call alearn from here: the environment that it is in may not be activated."""
    if shutil.which("alearn"):
        return "alearn"
    script = Path(sys.executable).with_name("alearn")
    if not script.exists():
        return f"{shlex.quote(sys.executable)} -m alearn"
    return shlex.quote(os.path.relpath(script) if script.is_relative_to(Path.cwd()) else str(script))


def _private(config: Config) -> bool:
    """Whether people annotate in the private Label Studio."""
    return config.platform.name == NAME and not config.platform.options.get("url")


def _server(config: Config, terminal: Terminal, started: ExitStack, *, keep: bool) -> Mapping[str, str]:
    """The private Label Studio, running; stopped at the end when it was started here and is not to be kept."""
    if not _private(config):
        return {}
    server = door.server(NAME)
    ran_before = server.status() is not None
    found = server.up(terminal.say)
    if not (keep or ran_before):
        started.callback(server.down)
    return found


def _invitation(place: Mapping[str, str]) -> str:
    """What a person who is to label needs to know now."""
    login = f" Log in as {place['username']}, with the password in {place['password_file']}." if place else ""
    return f"Label in your browser; the project's address follows.{login} Ctrl-C stops the loop."


def _results(loop: Undertaking, outcome: Outcome, *, minutes: float, place: Mapping[str, str]) -> dict[str, Any]:
    home, model = loop.config.home_, None
    if outcome.step is Step.DONE and loop.store.rounds.last() is not None:
        model = str(export_model_of(loop, home / "model"))
    write_labels(loop, home / "labels.csv")
    return {
        "outcome": outcome.step.value,
        "reason": outcome.reason,
        **status_of(loop),
        "minutes": round(minutes, 2),
        "labels_file": str(home / "labels.csv"),
        "model_folder": model,
        "links": dict(loop.platform.links()),
        "label_studio": dict(place),
    }


def _show(found: Mapping[str, Any]) -> None:
    """One clear summary."""
    target, metrics = found["target"], found["metrics"]
    spent = f"{found['labels']:,} spent of {found['items']:,} items; {found['holdout_labels']:,} of them to measure"
    facts(
        [
            ("result", found["reason"]),
            *([("target", _goal(target))] if target else []),
            *((name, written(name, row)) for name, row in metrics.items() if not target or name == target["metric"]),
            ("labels", spent),
            ("rounds", found["rounds"]),
            ("minutes", found["minutes"]),
            ("labels file", found["labels_file"]),
            ("model", found["model_folder"] or "none: nothing was learned"),
            ("config", found["config"]),
            ("to go on", "raise the target or the budget in that config, then:"),
            ("", found["go_on"]),
            *found["links"].items(),
            *_login(found["label_studio"]),
        ]
    )


def _goal(target: Mapping[str, Any]) -> str:
    return f"{target['metric']} of {target['value']} or better, with {target['confidence']:.0%} confidence"


def _login(place: Mapping[str, str]) -> list[tuple[str, str]]:
    if not place:
        return []
    runs = door.server(NAME).status() is not None
    state = "runs; `alearn label-studio down` stops it" if runs else "was stopped; `alearn label-studio up` starts it"
    return [
        ("Label Studio", f"{place['url']} {state}"),
        ("log in as", f"{place['username']}, with the password in {place['password_file']}"),
    ]
