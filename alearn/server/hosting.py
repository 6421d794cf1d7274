"""A loop as the server answers for it: from its store, without a model and without the platform's network.

Invariant: no answer waits for a controller. What a caller says can at most wake one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from alearn.config import Config
from alearn.loop.status import status_of
from alearn.loop.undertaking import Clock, Undertaking
from alearn.platform import Call, Listening, Reply, Suggestion
from alearn.store import Store


class Hosted:
    """A loop (see `alearn.platform.Host`); its store is opened at the first use. `send` speaks to its controller."""

    def __init__(self, config: Config, send: Callable[[str], None]) -> None:
        self.config = config
        self._send = send
        self._lock = threading.Lock()

    def wake(self) -> None:
        """The controller looks as soon as it can."""
        self._send("call")

    def train(self) -> None:
        """It trains on what there is."""
        self._send("train")

    def version(self) -> str | None:
        """The newest version's key."""
        last = self._loop.store.rounds.last()
        return last.version if last else None

    def suggest(self, keys: Sequence[str]) -> Mapping[str, Suggestion]:
        """What was believed of these items when they were last put in order; nothing of the hold-out."""
        found = self._loop.store.rounds.suggestions(keys)
        return {key: Suggestion(label, confidence) for key, (label, confidence) in found.items()}

    def hear(self, call: Call) -> Reply:
        """What the loop's platform answers to a call; 404 from one that hears nothing."""
        platform = self._loop.platform
        return platform.hear(call, self) if isinstance(platform, Listening) else Reply(404, {"detail": "Not found"})

    def status(self) -> dict[str, Any]:
        """Where the loop stands."""
        return status_of(self._loop)

    def close(self) -> None:
        """Close what was opened."""
        if "_opened" in self.__dict__:
            self._opened.close()

    @property
    def _loop(self) -> Undertaking:
        with self._lock:  # cached_property alone would open two for two threads
            return self._opened

    @cached_property
    def _opened(self) -> Undertaking:
        config, clock = self.config, Clock()
        store = Store.open(config.name, config.schema_, url=config.store.url, home=config.home_, at=clock.now())
        loop = Undertaking(config, store, clock=clock)
        assert loop.platform  # opened under the lock, too; it touches no network
        return loop
