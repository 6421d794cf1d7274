"""Being called by the platform, so that looks without a call can be rare.

Invariant: what is asked of the platform is asked again now and then, so that whoever removes it is not the end of it;
and when a controller ends, nothing is left that would call where nobody answers.
"""

from __future__ import annotations

from types import TracebackType

from alearn.errors import PlatformError
from alearn.loop.undertaking import Undertaking
from alearn.platform import Listening

HEARD_POLL = 30.0
"""Seconds between two looks where the platform calls: what covers for calls that were lost."""


class Subscription:
    """A loop's, at an address; a context, which removes it at its end. Without an address it does nothing."""

    def __init__(self, loop: Undertaking, address: str | None) -> None:
        self._loop = loop
        self._address = address if isinstance(loop.platform, Listening) else None
        self._failed = ""
        self.heard = False

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._address is not None:
            self._remove()

    @property
    def poll(self) -> float:
        """Seconds to the next look."""
        usual = self._loop.config.platform.poll
        return max(usual, HEARD_POLL) if self.heard else usual

    def renew(self) -> None:
        """Ask the platform to call, or see that it still will. Where it cannot be had, the loop polls, and says why."""
        platform = self._loop.platform
        if self._address is None or not isinstance(platform, Listening):
            return
        try:
            self.heard = platform.subscribe(self._address)
            self._failed = ""
        except PlatformError as error:
            self._remove()
            self._tell(f"{error} Until then the loop looks every {self._loop.config.platform.poll:g} s.")

    def _tell(self, text: str) -> None:
        if text != self._failed:
            self._loop.report.say(text)
            self._loop.store.annotations.note(text, at=self._loop.clock.now())
        self._failed = text

    def _remove(self) -> None:
        """Nothing calls any more; a platform that is gone is told by the next controller."""
        self.heard, platform = False, self._loop.platform
        assert isinstance(platform, Listening)
        try:
            platform.subscribe(None)
        except PlatformError as error:
            self._loop.report.say(f"What was to call alearn may still be there: {error}")
