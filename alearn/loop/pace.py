"""How fast annotators answer, as one controller sees it: the queue must hold enough until the next order is there.

Invariant: what is known here is forgotten with the controller, and only says how early more is asked.
"""

from __future__ import annotations

import math
from collections import deque

AHEAD = 20.0
"""Seconds of answers that the queue holds: longer than a look, a linear version, a selection and a push take."""
MEMORY, SHORTEST = 30.0, 5.0
"""Seconds that are looked back on, and over which a first answer is spread."""


class Pace:
    """The answers of the last MEMORY seconds."""

    def __init__(self) -> None:
        self._came: deque[tuple[float, int]] = deque()

    def note(self, answers: int, at: float) -> None:
        """So many came, at a time in seconds."""
        if answers:
            self._came.append((at, answers))

    def ahead(self, at: float) -> int:
        """How many will come in the next AHEAD seconds, if people go on as they do."""
        while self._came and self._came[0][0] <= at - MEMORY:
            self._came.popleft()
        if not self._came:
            return 0
        seconds = max(at - self._came[0][0], SHORTEST)
        return math.ceil(AHEAD * sum(answers for _, answers in self._came) / seconds)
