"""One experiment at a time in a folder: two would do the same runs, and the later would write over the other's results.

Invariant: the folder is free again as soon as its process is gone, however that ended; the system takes the lock back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from alearn.errors import ConfigError

LOCK = "in-use"
"""An empty SQLite file: its lock is the same on every system, and no process has to be asked whether it still lives."""


@contextmanager
def occupied(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made where it is not there.

    Raises:
        ConfigError: another process holds it, or it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = sqlite3.connect(folder / LOCK, timeout=0, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise _refused(folder, error) from error
    with closing(lock):
        try:
            lock.execute("PRAGMA journal_mode = MEMORY")  # nothing is written, and no second file is left
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            raise _refused(folder, error) from error
        yield


def _refused(folder: Path, error: OSError | sqlite3.Error) -> ConfigError:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
        return ConfigError(
            f"--out must be a folder that no other `alearn simulate` works in. Got {folder}, in which one does. Wait "
            "until it is done, or name another."
        )
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return ConfigError(f"--out must be a folder that you may write to. Got {folder}: {reason}. Name another.")
