"""The controller of one loop, in a process of its own that the server starts, wakes and stops.

Invariant: it stands by while another controller has the loop's lease, tries again when something fails, and ends with
the server, however that ended.
"""

from __future__ import annotations

import signal
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection

from alearn.config import Config
from alearn.errors import AlearnError, LeaseLost, StoreError
from alearn.executors import end_with_parent
from alearn.loop.controller import alive, pause, run
from alearn.loop.undertaking import opened
from alearn.loop.wake import Wake

STANDBY = 2.0
"""Seconds between two looks at a lease that another has."""
AGAIN = 5.0
"""Seconds until a loop that failed is tried again, at first."""


def control(pipe: Connection, config: Config, address: str) -> None:
    """Run a loop until the server says stop. `address` is where the platform reaches the server for this loop."""
    end_with_parent()
    wake = Wake()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server decides
    signal.signal(signal.SIGTERM, lambda *_: wake.stop())
    threading.Thread(target=_listen, args=(pipe, wake), name="server", daemon=True).start()
    report, failures = Lines(config.name), 0
    while not wake.stopping:
        try:
            if not _free(config):
                pipe.send(("standby", "another controller runs this loop"))
                wake.wait(STANDBY)
                continue
            pipe.send(("running", ""))
            with opened(config, report) as loop:
                run(loop, wake=wake, address=address, stay=True)
            failures = 0
        except LeaseLost as error:
            report.say(str(error))
        except AlearnError as error:
            failures += 1
            seconds = pause(AGAIN, failures - 1)
            report.say(f"{error} Trying again in {seconds:.0f} s.")
            pipe.send(("failed", str(error)))
            wake.wait(seconds)


def _listen(pipe: Connection, wake: Wake) -> None:
    """Do what the server says; without a server, stop."""
    act = {"call": wake.call, "train": wake.train, "stop": wake.stop}
    try:
        while True:
            act[pipe.recv()]()
    except EOFError:
        wake.stop()


def _free(config: Config) -> bool:
    """Whether no living controller has the loop; looked at before anything heavy is loaded."""
    with opened(config) as loop:
        try:
            holder = loop.store.holder(now=loop.clock.seconds())
        except StoreError:
            return True  # what is wrong with the store, the controller will say
    return holder is None or not alive(holder)


@dataclass(frozen=True)
class Lines:
    """A report as lines of a log: when, which loop, what. Progress is told where it ends, and every tenth."""

    loop: str

    def say(self, text: str) -> None:
        """One line."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        sys.stderr.write(f"{now} {self.loop}: {text}\n")

    def progress(self, what: str, done: int, total: int | None) -> None:
        """One line for the end of something long."""
        if total is not None and done >= total > 1000:
            self.say(f"{what}: {done:,} of {total:,}")
