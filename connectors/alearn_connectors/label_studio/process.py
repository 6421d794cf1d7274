"""Processes that outlive the command that started them, and a lock that ends with its holder.

Invariant: a process is known by its pid *and* the moment it was born, so that a pid that the system gave to
somebody else since is never taken for ours, and never ended.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from alearn.errors import Unavailable

UNKNOWN = ""
"""The birth of a process where the system does not tell one."""


@dataclass(frozen=True)
class Process:
    """A process of ours: the leader of its own group. `born` is `UNKNOWN` where the system does not tell."""

    pid: int
    born: str

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return born(self.pid) == self.born

    def end(self, patience: float = 10.0) -> None:
        """End it and its children: asked first, forced after `patience` seconds."""
        for force in (False, True):
            if not self.alive():
                return
            _end_group(self.pid, force)
            _wait_until(lambda: not self.alive(), patience)


def detach(command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a process that goes on when this one, or its terminal, ends; its output goes to `log` (0600)."""
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
        return subprocess.Popen(
            list(command),
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            creationflags=_creation_flags(),
        )


def born(pid: int) -> str | None:
    """When the process was born, in the system's own words; None when no living process has this pid."""
    if Path("/proc/self/stat").exists():
        return _born_by_proc(pid)
    if sys.platform == "win32":
        listed = _output(["tasklist", "/FI", f"PID eq {pid}", "/NH", "/FO", "CSV"])
        return UNKNOWN if f'"{pid}"' in listed else None
    state, _, started = _output(["ps", "-o", "state=,lstart=", "-p", str(pid)]).strip().partition(" ")
    return " ".join(started.split()) if state and not state.startswith("Z") else None


@contextmanager
def locked(path: Path, waiting: Callable[[], None], patience: float = 1800.0) -> Iterator[None]:
    """Hold the lock file `path`; it is released however its holder ends. `waiting` is called once if it is taken.

    Raises:
        Unavailable: somebody else held it for `patience` seconds.
    """
    with path.open("a+b") as file:
        if not _acquire(file):
            waiting()
            if not _wait_until(lambda: _acquire(file), patience):
                raise Unavailable(f"{path} is held by another process for {patience:.0f} seconds now. Wait, or end it.")
        yield


def _born_by_proc(pid: int) -> str | None:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if after_name[0] in "ZX" and int(after_name[17]) <= 1:
        return None  # ended, and only its parent has not looked yet; while threads are left, files are open still
    with suppress(OSError):  # ticks count from the boot: two boots must not be confused
        return f"{after_name[19]}@{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}"
    return after_name[19]


def _output(command: Sequence[str]) -> str:
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    except OSError:
        return ""
    return run.stdout


def _end_group(pid: int, force: bool) -> None:
    if sys.platform == "win32":
        _output(["taskkill", "/T", "/F", "/PID", str(pid)])
        return
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL if force else signal.SIGTERM)


def _creation_flags() -> int:
    if sys.platform == "win32":
        return subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
    return 0


def _acquire(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _wait_until(done: Callable[[], bool], patience: float) -> bool:
    deadline = time.monotonic() + patience
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def last_lines(log: Path, count: int = 8) -> str:
    """The last lines of a log that say something, for an error message; without colours."""
    try:
        text = log.read_text(errors="replace")
    except OSError:
        return ""
    lines = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines() if line.strip()]
    return "\n".join(f"    {line}" for line in lines[-count:])
