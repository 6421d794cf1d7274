"""`alearn report`: the page about a loop, and the numbers that are on it."""

from __future__ import annotations

import json
from pathlib import Path

from alearn.cli import going_on
from alearn.cli.console import Terminal, emit, facts
from alearn.config import load
from alearn.errors import ConfigError
from alearn.loop.undertaking import opened
from alearn.reporting.gathering import gather, shown_items
from alearn.reporting.page import page
from alearn.reporting.pictures import pictures
from alearn.store.blobs import write_whole

PAGE = Path("report.html")
SUFFIXES = {".html", ".htm", ".json"}


def write_report(path: Path, *, out: Path | None, as_json: bool) -> None:
    """Write the page, or the numbers where the file's name ends in .json; with `as_json` print them.

    Raises:
        ConfigError: another kind of file.
        StoreError: the loop has not begun, or the file cannot be written.
    """
    if out is not None and out.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"--out must end in .html or .json. Got {out}. Rename it.")
    file = out or (None if as_json else PAGE)
    config = load(path)
    with going_on("Nothing was written."), Terminal() as terminal, opened(config, terminal, create=False) as loop:
        numbers = gather(loop, str(path))
        if file is not None and file.suffix.lower() == ".json":
            write_whole(file, (json.dumps(numbers, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode())
        elif file is not None:
            write_whole(file, page(numbers, pictures(loop, shown_items(numbers))).encode())
    if as_json and (file is None or file.suffix.lower() != ".json"):
        emit(numbers)
    elif file is not None:
        facts([("report", f"{file.resolve()}")])
