"""Commands for the private Label Studio."""

from __future__ import annotations

from collections.abc import Mapping

import typer

from alearn import platform as door
from alearn.cli.console import Terminal, emit, facts

NAME = "label-studio"


def up(*, as_json: bool) -> None:
    """`alearn label-studio up`."""
    with Terminal() as terminal:
        found = door.server(NAME).up(terminal.say)
    _show(found, as_json=as_json)


def down(*, as_json: bool) -> None:
    """`alearn label-studio down`."""
    stopped = door.server(NAME).down()
    if as_json:
        emit({"running": False, "stopped": stopped})
    else:
        typer.echo("Label Studio is stopped." if stopped else "Label Studio was not running.")


def status(*, as_json: bool) -> None:
    """`alearn label-studio status`."""
    found = door.server(NAME).status()
    if found is None:
        if as_json:
            emit({"running": False})
        else:
            typer.echo("Label Studio is not running. `alearn label-studio up` starts it.")
        raise typer.Exit(1)
    _show({"running": "yes", **found} if not as_json else found, as_json=as_json)


def _show(found: Mapping[str, str], *, as_json: bool) -> None:
    if as_json:
        emit({"running": True, **found})
    else:
        facts(list(found.items()))
