"""The controller processes of a server: started, started again when they die, and stopped.

Invariant: at most one process for each loop; one that dies again and again is started ever more rarely.
"""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from alearn.config import Config
from alearn.loop.controller import pause
from alearn.server.control import control

GRACE = 20.0
"""Seconds that a controller has to end after its step."""
SOUND = 60.0
"""Seconds after which a process that dies has not died at once."""


@dataclass(frozen=True)
class State:
    """What a controller last said of itself: running, standby, failed, or starting; and why."""

    kind: str = "starting"
    reason: str = ""


@dataclass
class Controller:
    """The process of one loop, and its keeper, a thread that starts it again."""

    config: Config
    address: str
    state: State = State()
    _pipe: Connection | None = field(default=None, repr=False)
    _process: BaseProcess | None = field(default=None, repr=False)
    _stopping: threading.Event = field(default_factory=threading.Event, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _keeper: threading.Thread | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start it, and see to it that it runs."""
        self._keeper = threading.Thread(target=self._keep, name=f"keeper of {self.config.name}", daemon=True)
        self._keeper.start()

    def send(self, word: str) -> None:
        """Say `call`, `train` or `stop`; lost while there is no process, which looks at everything when it begins."""
        with self._lock, suppress(OSError):
            if self._pipe is not None:
                self._pipe.send(word)

    @property
    def pid(self) -> int | None:
        """The process's number; None while there is none."""
        return self._process.pid if self._process is not None and self._process.is_alive() else None

    def stop(self) -> None:
        """Begin to end."""
        self._stopping.set()
        self.send("stop")

    def join(self, deadline: float) -> None:
        """Wait until it has ended, until a moment of the monotonic clock; then end it."""
        if self._process is not None:
            self._process.join(max(0.0, deadline - time.monotonic()))
            if self._process.is_alive():
                self._process.kill()
        if self._keeper is not None:
            self._keeper.join()

    def _keep(self) -> None:
        deaths = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            self._run()
            if self._stopping.is_set():
                break
            deaths = 0 if time.monotonic() - began > SOUND else deaths + 1
            code = self._process.exitcode if self._process is not None else None
            self.state = State("failed", f"its process ended with exit code {code}")
            sys.stderr.write(f"alearn: the controller of {self.config.name} ended ({code}); it is started again\n")
            self._stopping.wait(pause(1.0, deaths))
        self.state = State("stopped")

    def _run(self) -> None:
        """One life of the process."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=control, args=(theirs, self.config, self.address), name=self.config.name)
        with self._lock:
            process.start()
            self._pipe, self._process = ours, process
        theirs.close()
        if self._stopping.is_set():
            self.send("stop")
        with suppress(EOFError, OSError):
            while True:
                self.state = State(*ours.recv())
        process.join()
        with self._lock:
            self._pipe = None
            ours.close()


@dataclass(frozen=True)
class Fleet:
    """All controllers of a server, by loop."""

    controllers: Mapping[str, Controller]

    @classmethod
    def of(cls, configs: Sequence[Config], address: str) -> Fleet:
        """One controller for each config; nothing is started yet."""
        return cls({one.name: Controller(one, f"{address}/loops/{one.name}") for one in configs})

    def start(self) -> None:
        """Start all."""
        for one in self.controllers.values():
            one.start()

    def stop(self) -> None:
        """End all, each after the step that it is at, and at the latest after GRACE seconds."""
        for one in self.controllers.values():
            one.stop()
        deadline = time.monotonic() + GRACE
        for one in self.controllers.values():
            one.join(deadline)
