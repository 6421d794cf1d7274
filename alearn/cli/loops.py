"""Commands that move a loop."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from pathlib import Path

from alearn import platform as door
from alearn.cli import going_on
from alearn.cli.console import Terminal, emit
from alearn.config import ItemSpec, load
from alearn.loop.controller import Outcome, holding
from alearn.loop.controller import run as run_controller
from alearn.loop.intake import add as take_in_source
from alearn.loop.intake import take_in
from alearn.loop.status import status_of
from alearn.loop.undertaking import Undertaking, opened
from alearn.loop.versions import find, place
from alearn.loop.wake import Wake

SAME = "The same command goes on from here."


def add_items(path_of_config: Path, *, path: str, as_json: bool) -> None:
    """`alearn add`."""
    config = load(path_of_config)
    with going_on(SAME), Terminal() as terminal, opened(config, terminal) as loop:
        if path:
            spec = ItemSpec(**{**config.items.model_dump(), "path": path, "package": None})
            result = take_in_source(loop, spec)
        else:
            result = take_in(loop, again=True)
        total = loop.store.loop().items
    if as_json:
        emit({**dataclasses.asdict(result), "items": total})
        return
    terminal.say(
        f"{result.added:,} new items of {result.seen:,}; {result.unreadable:,} put aside; {total:,} in the loop"
    )


def run_loop(path_of_config: Path, *, once: bool, robots: bool, as_json: bool) -> None:
    """`alearn run`."""
    config = load(path_of_config)
    with going_on(SAME), Terminal() as terminal, opened(config, terminal) as loop:
        outcome = drive(loop, robots=robots, once=once)
        summary = status_of(loop)
    if as_json:
        emit({"outcome": outcome.step.value, "reason": outcome.reason, **summary})
    else:
        terminal.say(f"{outcome.step.value}: {outcome.reason}")


def restore_version(path_of_config: Path, version: str, *, as_json: bool) -> None:
    """`alearn restore`."""
    config = load(path_of_config)
    with Terminal() as terminal, opened(config, terminal, create=False) as loop:
        found = find(loop, version)
        with holding(loop):
            number = place(loop, found)
    if as_json:
        emit({"version": found.key, "round": number})
        return
    terminal.say(
        f"Round {number}: version {found.key[:8]}, trained on {found.labels} labels, is current. `alearn run` measures "
        "it and orders the queue by it; new labels bring a newer one."
    )


def drive(loop: Undertaking, *, robots: bool, once: bool = False) -> Outcome:
    """Run the controller, with robot annotators at work beside it when asked for; people do not wait for training."""
    config = loop.config
    with ExitStack() as stack:
        if robots:
            loop.verify()  # before the platform is touched
            take_in(loop)
            loop.platform.prepare()
            stack.enter_context(door.robots(config.platform.name, loop.setting, config.profile, config.robots.count))
        people = isinstance(loop.platform, door.Listening) and not (robots or once)
        return run_controller(loop, once=once, wake=Wake() if people else None)
