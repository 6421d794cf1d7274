"""Rows that are too many for memory, gathered once into a file in the order they were asked for, and kept.

The file is named by a hash of its keys, so that a later round, or another process, maps it at once: what would cost a
copy of gigabytes every round costs it once. Invariant: a file of that name is whole; it is written aside and renamed.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.models.shards import Kind

KEPT = 2
"""Files that stay: a loop asks for one or two sets of keys, over and over."""

YOUNG = 600.0
"""Seconds since its last use within which a file, or what is written aside, may be in use by another process."""

_PREFIX = "rows-"

Fill = Callable[[Path], None]
"""Writes all rows, one after the other, into a file that is there and of the right size."""


def gathered(folder: Path, keys: NDArray[np.uint8], kind: Kind, fill: Fill) -> NDArray[Any]:
    """The rows of these keys (n, 16), mapped from the file that is kept for them; `fill` writes it where there is none.

    Older files are removed; who has one mapped keeps it until he is done, as is the way of POSIX.
    """
    path = folder / f"{_PREFIX}{hashlib.sha256(keys.tobytes()).hexdigest()[:32]}"
    found = _mapped(path, len(keys), kind)
    if found is None:
        _write(path, len(keys) * kind.bytes, fill)
        found = _mapped(path, len(keys), kind)
        assert found is not None, "it is young, so that no one removes it"
    _tidy(folder, path)
    return found


def _mapped(path: Path, count: int, kind: Kind) -> NDArray[Any] | None:
    try:
        os.utime(path)
        found = np.memmap(path, kind.dtype, mode="r")
    except (OSError, ValueError):
        return None
    return found.reshape(count, *kind.shape) if found.nbytes == count * kind.bytes else None


def _write(path: Path, size: int, fill: Fill) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        _room(aside, size)
        fill(aside)
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _room(path: Path, size: int) -> None:
    """A file of that size; raises OSError now where the disk is too full, instead of a signal when it is written."""
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)


def _tidy(folder: Path, used: Path) -> None:
    """Remove what was not used for a while: all but the latest files, and what a killed process left."""
    ages = {}
    for path in [*folder.glob(f"{_PREFIX}*"), *folder.glob(f".{_PREFIX}*")]:
        with suppress(OSError):
            ages[path] = time.time() - path.stat().st_mtime
    whole = sorted((path for path in ages if not path.name.startswith(".")), key=lambda path: ages[path])
    kept = {used, *whole[:KEPT]}
    for path in ages.keys() - kept:
        if ages[path] > YOUNG:
            # Another process may have been quicker, or, on Windows, may have it mapped.
            with suppress(OSError):
                path.unlink()
