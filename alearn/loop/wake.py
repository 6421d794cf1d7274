"""What a controller waits on: something may have changed, training is wanted, or it is to stop.

Invariant: a call wakes, and says nothing that is believed; many calls before a look are one look.
"""

from __future__ import annotations

import threading

GATHER = 0.2
"""Seconds in which calls are gathered, so that a burst is one look."""


class Wake:
    """Set from any thread, read by the controller's."""

    def __init__(self) -> None:
        self._called = threading.Event()
        self._training = threading.Event()
        self._stopping = threading.Event()

    def call(self) -> None:
        """Something may have changed."""
        self._called.set()

    def train(self) -> None:
        """Train as soon as may be, however few labels are new."""
        self._training.set()
        self._called.set()

    def stop(self) -> None:
        """End, leaving everything as it is."""
        self._stopping.set()
        self._called.set()

    @property
    def stopping(self) -> bool:
        """Whether it is to end."""
        return self._stopping.is_set()

    def wanted(self) -> bool:
        """Whether training was asked for since this was last called."""
        asked = self._training.is_set()
        self._training.clear()
        return asked

    def wait(self, seconds: float) -> None:
        """Until something calls, and a burst of calls is over; at most so long."""
        if self._called.wait(seconds) and not self.stopping:
            self._stopping.wait(GATHER)
        self._called.clear()
