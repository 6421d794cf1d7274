"""Folders and files that are either whole or not there: written aside, then renamed."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_file(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash at any point, finds the old one or the new one."""
    aside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `target` when the block ends well; what was there before is replaced then."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}")
    aside.mkdir()
    try:
        yield aside
        _put(aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _put(aside: Path, target: Path) -> None:
    """Rename; a folder cannot be renamed onto a filled one, so that one is moved out of the way first."""
    old = aside.with_name(f"{aside.name}-old")
    if target.exists():
        target.rename(old)
    try:
        aside.rename(target)
    except OSError:
        if not target.exists():
            if old.exists():
                old.rename(target)
            raise
        # Another process was quicker; it wrote the same.
    finally:
        shutil.rmtree(old, ignore_errors=True)
