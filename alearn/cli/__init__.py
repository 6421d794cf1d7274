"""The command line: each command a few lines over loop/ and store/.

Invariant: nothing heavy is imported before a command needs it, so that `alearn --help` answers at once.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(BaseException):
    """Ctrl-C or a polite kill. Not KeyboardInterrupt: the command-line library would swallow that as exit code 1."""

    onward = "Run the same command again."
    """What the person can do now; `going_on` replaces it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = 128 + number


@contextmanager
def going_on(onward: str) -> Iterator[None]:
    """Say this when the block is interrupted: how the work in it goes on."""
    try:
        yield
    except Interrupted as stop:
        stop.onward = onward
        raise


def main() -> None:
    """Run a command.

    What a user can cause is one message on stderr and exit code 2; Ctrl-C and SIGTERM clean up: 130 and 143.
    """
    from alearn.cli.app import app
    from alearn.errors import AlearnError

    try:
        with _interruptible():
            app()
    except AlearnError as error:
        sys.stderr.write(f"alearn: {error}\n")
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(141)
    except Interrupted as stop:
        sys.stderr.write(f"\nalearn: stopped. Nothing is lost. {stop.onward}\n")
        sys.exit(stop.code)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turn the signals that ask a process to stop into an exception that unwinds everything."""
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(number)
