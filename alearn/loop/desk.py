"""What a controller has beside its loop: whoever wakes it, and what is being made in the background.

Invariant: without anybody to wake it nothing is made in the background, and the same rows give the same steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alearn.loop.background import Background
from alearn.loop.plan import Step
from alearn.loop.undertaking import Clock, Undertaking
from alearn.loop.wake import Wake


class Desk:
    """One controller's."""

    def __init__(self, wake: Wake | None = None, background: Background | None = None) -> None:
        self._wake, self._background = wake, background
        self._asked = False

    @classmethod
    @contextmanager
    def open(cls, loop: Undertaking, wake: Wake | None) -> Iterator[Desk]:
        """For the length of a block; without a `wake` nothing is made in the background."""
        background = None if wake is None else Background(loop, wake.call)
        try:
            yield cls(wake, background)
        finally:
            if background is not None:
                background.stop()

    @property
    def stopping(self) -> bool:
        """Whether the controller is to end."""
        return self._wake is not None and self._wake.stopping

    @property
    def busy(self) -> bool:
        """Whether a version is being made."""
        return self._background is not None and self._background.busy

    @property
    def asked(self) -> bool:
        """Whether training was asked for and has not begun."""
        self._asked = self._asked or (self._wake is not None and self._wake.wanted())
        return self._asked

    def rest(self) -> None:
        """Nothing can be done now: a wish for training that found no new labels is over."""
        self._asked = self._asked and self.busy

    def take(self, step: Step) -> bool:
        """Begin a step in the background if it belongs there."""
        self._asked = self._asked and step is not Step.TRAIN
        return self._background is not None and self._background.take(step)

    def settle(self) -> None:
        """Write down what was made in the background."""
        if self._background is not None:
            self._background.settle()

    def wait(self, seconds: float, clock: Clock) -> None:
        """Until it is time to look again."""
        if self._wake is None:
            clock.sleep(seconds)
        else:
            self._wake.wait(seconds)
