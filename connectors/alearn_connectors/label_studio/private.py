"""A private Label Studio for a person who has none: loopback only, its own environment, its own secrets.

Several servers share one installation; each has a home of its own (see `home`).

Invariant: at most one server per home runs, and only a process that `up` started is ever ended.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import httpx

from alearn.errors import PlatformError, Refused, Unavailable
from alearn.places import data_folder
from alearn_connectors.label_studio.home import Home
from alearn_connectors.label_studio.installation import NAME, Installation, install, make_folder
from alearn_connectors.label_studio.process import UNKNOWN, Process, born, detach, last_lines, locked

PORT = 8080
"""Label Studio's own port is asked for first; the one of the last start comes before it, so that bookmarks hold."""

BOOT_SECONDS = 300.0
BUSY_SECONDS = 60.0

_PORT_TRIES = 5
_INTERNAL = ("phase", "port", "born")  # what the state holds and nobody else needs


class _PortTaken(Exception):  # noqa: N818 - internal: another port is tried
    """Somebody took the port between our look and Label Studio's."""


class PrivateServer:
    """Installs, starts, finds and stops one Label Studio (see `alearn.platform.Server`).

    `home` is where its data lives; by default in the user's data folder, because people's
    annotations are in it; the installation is in the user's cache.
    """

    def __init__(self, home: Path | None = None) -> None:
        self.home = Home((home or data_folder() / NAME).absolute())
        self._child: subprocess.Popen[bytes] | None = None  # kept, so that the system can bury it when it ends

    def up(self, progress: Callable[[str], None]) -> Mapping[str, str]:
        """Install and start it when needed; returns url, username, password_file, token_file, media_root, log, pid, ….

        Raises:
            Unavailable: it could not be installed, or runs and does not answer.
            Refused: it ended while starting; the message ends with its log's last lines.
            ConfigError: its folder cannot be written.
        """
        make_folder(self.home.folder)
        with locked(self.home.lock, lambda: progress("waiting for another process that starts it")):
            if running := self.status():
                self._wait_for_answer(running, progress)
                return running
            if left_over := self._process():  # an `up` that was killed while this one started
                left_over.end()
            return self._start(install(progress), progress)

    def down(self) -> bool:
        """Stop it; False when it was not running.

        Raises:
            Unavailable: it does not end.
        """
        process = self._process()
        if process is None:
            return False
        process.end()
        if self._child is not None:
            self._child.poll()
        if process.alive():
            raise Unavailable(f"Label Studio (process {process.pid}) must end. Got: it goes on. End it yourself.")
        return True

    def status(self) -> Mapping[str, str] | None:
        """What `up` returned, or None when it is not running (or has not finished starting)."""
        state = self.home.state()
        return _public(state) if state.get("phase") == "ready" and self._process() else None

    def _start(self, installed: Installation, progress: Callable[[str], None]) -> Mapping[str, str]:
        self.home.prepare(installed.template)
        for _ in range(_PORT_TRIES):
            state = self._launch(installed, free_port(int(self.home.state().get("port", PORT))))
            progress(f"starting Label Studio {installed.version} on {state['url']}")
            with suppress(_PortTaken):
                self._wait_for_boot(state, progress)
                self.home.settled.touch()
                self.home.write_state({**state, "phase": "ready"})
                return _public(state)
        raise Unavailable(f"Label Studio must have a port. Got {_PORT_TRIES} that were taken at once. Try again.")

    def _launch(self, installed: Installation, port: int) -> dict[str, str]:
        """Start the process and write down who it is, before anything can go wrong."""
        arguments = ["start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port)]
        home = self.home
        self._child = detach([*installed.command, *arguments], home.environment(), home.data, home.log)
        state = home.facts() | {
            "phase": "starting",
            "url": f"http://127.0.0.1:{port}",
            "port": str(port),
            "pid": str(self._child.pid),
            "born": born(self._child.pid) or UNKNOWN,
            "version": installed.version,
        }
        home.write_state(state)
        return state

    def _wait_for_boot(self, state: Mapping[str, str], progress: Callable[[str], None]) -> None:
        """Wait until the process just started answers; when it does not, end it and say why."""
        started = told = time.monotonic()
        try:
            while not self._answers(state, patience=3.0):  # whoever took the port may never answer
                self._look_for_failure(time.monotonic() - started)
                if time.monotonic() - told > 5:
                    told = time.monotonic()
                    progress(f"waiting for Label Studio ({told - started:.0f} s)")
                time.sleep(0.2)
        except BaseException:
            Process(int(state["pid"]), state["born"]).end()
            raise

    def _look_for_failure(self, waited: float) -> None:
        if "is in use" in last_lines(self.home.log, 50):  # Label Studio moves to the next port, and does not fail
            raise _PortTaken
        if self._child is None or self._child.poll() is not None:
            raise self._failure(Refused, "Label Studio must start. Got: it ended")
        if waited > BOOT_SECONDS:
            raise self._failure(Unavailable, f"Label Studio must start in {BOOT_SECONDS:.0f} s. Got: no answer")

    def _wait_for_answer(self, running: Mapping[str, str], progress: Callable[[str], None]) -> None:
        """A server that runs may be busy; it is never ended for that."""
        deadline = time.monotonic() + BUSY_SECONDS
        while not self._answers(running):
            if time.monotonic() > deadline:
                what = f"Label Studio (process {running['pid']}) must answer at {running['url']}. Got: silence"
                raise self._failure(Unavailable, what)
            progress(f"waiting for the Label Studio that runs at {running['url']}")
            time.sleep(1)

    def _failure(self, kind: type[PlatformError], what: str) -> PlatformError:
        log = self.home.log
        return kind(f"{what}. Mend what {log} says, then run this again. Its last lines:\n{last_lines(log)}")

    def _answers(self, state: Mapping[str, str], patience: float = 10.0) -> bool:
        """Whether our server answers there: whoever knows our token is ours."""
        try:
            headers = {"Authorization": f"Token {self.home.token_file.read_text()}"}
            with httpx.Client(base_url=state["url"], headers=headers, timeout=patience, trust_env=False) as client:
                return (
                    client.get("/health").is_success
                    and client.get("/api/version").json().get("release") == state["version"]
                    and client.get("/api/current-user/whoami").is_success
                )
        except (httpx.HTTPError, OSError, ValueError, AttributeError):
            return False

    def _process(self) -> Process | None:
        """Our process if it lives. Where the system tells no births, it must also know our token."""
        state = self.home.state()
        if not {"pid", "born", "url", "version"} <= state.keys():
            return None
        process = Process(int(state["pid"]), state["born"])
        known = process.alive() and (process.born != UNKNOWN or self._answers(state))
        return process if known else None


def free_port(preferred: int) -> int:
    """`preferred` when nobody listens there on loopback, else one that the system picks."""
    for port in (preferred, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            if os.name == "posix":  # else a port that was closed a moment ago counts as taken
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise Unavailable("Label Studio must have a port on 127.0.0.1. Got: none is free. Close what listens.")


def _public(state: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in state.items() if name not in _INTERNAL}
