"""`alearn doctor`: what a loop relies on, looked at before anybody waits for it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import typer

from alearn.cli.console import emit, table
from alearn.config import Config, load
from alearn.core.strategies import resolve
from alearn.errors import AlearnError
from alearn.loop.undertaking import Undertaking, opened
from alearn.platform import Finding

ROOM_GB = 1.0


def examine(path: Path, *, as_json: bool) -> None:
    """Print every finding; exit code 1 when one is not well."""
    found = list(_findings(path))
    if as_json:
        emit([{"what": one.what, "ok": one.ok, "advice": one.advice} for one in found])
    else:
        table("", ["", "what", "to do"], [("ok" if one.ok else "WRONG", one.what, one.advice) for one in found])
    raise typer.Exit(0 if all(one.ok for one in found) else 1)


def _findings(path: Path) -> Iterator[Finding]:
    config = load(path)
    yield Finding(f"{path} is a sound config", ok=True)
    yield _room(config)
    yield _tried(
        "The query strategies can be loaded", lambda: [resolve(config.query.strategy), resolve(config.query.cold_start)]
    )
    try:
        with opened(config) as loop:
            yield Finding("The store opens", ok=True)
            yield _tried("The pretrained network loads", lambda: loop.features.trunk)
            yield from _platform(loop)
    except AlearnError as error:
        yield Finding("The store opens", ok=False, advice=str(error))


def _room(config: Config) -> Finding:
    folder = next(one for one in (config.home_, *config.home_.parents) if one.exists())
    free = shutil.disk_usage(folder).free / 1e9
    return Finding(
        f"{free:.1f} GB are free in {folder}", ok=free > ROOM_GB, advice="" if free > ROOM_GB else "Free some."
    )


def _tried(what: str, act: object) -> Finding:
    try:
        act()  # type: ignore[operator]
    except AlearnError as error:
        return Finding(what, ok=False, advice=str(error))
    return Finding(what, ok=True)


def _platform(loop: Undertaking) -> Iterator[Finding]:
    try:
        yield from loop.platform.check()
    except AlearnError as error:
        yield Finding(f"The platform {loop.config.platform.name} can be used", ok=False, advice=str(error))
