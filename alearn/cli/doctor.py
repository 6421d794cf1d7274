"""`alearn doctor`: what a loop relies on, looked at before anybody waits for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from alearn.cli.console import emit, table
from alearn.config import Config, load
from alearn.core.strategies import resolve, resolve_cold_start
from alearn.data import read_items
from alearn.errors import AlearnError, StoreError
from alearn.loop.undertaking import Clock, Undertaking, opened
from alearn.platform import Finding
from alearn.store import Store
from alearn.store.database import Database

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
    query = config.query
    yield _tried(
        "The query strategies can be used", lambda: [resolve(query.strategy), resolve_cold_start(query.cold_start)]
    )
    yield _tried("The items can be read", lambda: _first_item(config))
    with ExitStack() as stack:
        loop, store = _loop(config, stack)
        yield store
        yield _tried("The pretrained network loads", lambda: loop.features.trunk)
        yield Finding(f"Training happens on {_trains_on(config)}", ok=True)
        yield from _platform(loop)


def _loop(config: Config, stack: ExitStack) -> tuple[Undertaking, Finding]:
    """The loop when there is one; else its config over an empty store in a temporary folder: nothing is begun."""
    try:
        found = _begun(config, stack)
    except AlearnError as error:
        found, store = None, Finding("The store can be used", ok=False, advice=str(error))
    else:
        what = "The store opens" if found else "The loop has not begun yet; `alearn add` or `alearn run` begins it"
        store = Finding(what, ok=True)
    return found or stack.enter_context(_unbegun(config)), store


def _begun(config: Config, stack: ExitStack) -> Undertaking | None:
    """The loop, or None when it has not begun. Raises what `opened` does for a store or classes that are wrong."""
    file = config.home_ / "alearn.sqlite3" if config.store.url is None else _file(config.store.url)
    if file is not None and not file.exists():
        return None
    if config.store.url is not None:
        Database(config.store.url).close()  # so that what is raised below is about the loop
    try:
        return stack.enter_context(opened(config, create=False))
    except StoreError:
        if config.store.url is None:
            raise
        return None


def _file(url: str) -> Path | None:
    """The file that an SQLite URL names; None for a server's."""
    scheme, _, place = url.partition(":///")
    return Path(place.partition("?")[0]) if scheme.partition("+")[0] == "sqlite" and place else None


@contextmanager
def _unbegun(config: Config) -> Iterator[Undertaking]:
    with TemporaryDirectory() as folder:
        store = Store.open(config.name, config.schema_, url=None, home=Path(folder), at=Clock.now())
        loop = Undertaking(config, store)
        try:
            yield loop
        finally:
            loop.close()


def _first_item(config: Config) -> None:
    """Read until something is found; raises DataError when the source is missing, empty or of no known kind."""
    with TemporaryDirectory() as folder:
        next(read_items(config.source, config.task.data, Path(folder)), None)


def _room(config: Config) -> Finding:
    folder = next(one for one in (config.home_, *config.home_.parents) if one.exists())
    free = shutil.disk_usage(folder).free / 1e9
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        return Finding(f"{folder} can be written", ok=False, advice="Get write access to it, or set another `home`.")
    advice = "" if free > ROOM_GB else f"Free some: at least {ROOM_GB:g} GB, for embeddings and models."
    return Finding(f"{free:.1f} GB are free in {folder}", ok=not advice, advice=advice)


def _trains_on(config: Config) -> str:
    from alearn.models.training.device import described, device

    return described(device(config.model.engine))


def _tried(what: str, act: Callable[[], object]) -> Finding:
    try:
        act()
    except AlearnError as error:
        return Finding(what, ok=False, advice=str(error))
    return Finding(what, ok=True)


def _platform(loop: Undertaking) -> Iterator[Finding]:
    try:
        yield from loop.platform.check()
    except AlearnError as error:
        yield Finding(f"The platform {loop.config.platform.name} can be used", ok=False, advice=str(error))
