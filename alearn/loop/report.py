"""What a loop tells the person who watches it."""

from __future__ import annotations

from typing import Protocol


class Report(Protocol):
    """Receives what happens; the CLI draws it, a server logs it."""

    def say(self, text: str) -> None:
        """Something worth a line."""
        ...

    def progress(self, what: str, done: int, total: int | None) -> None:
        """How far something long has come; `done == total` ends it."""
        ...


class Silent:
    """A report that nobody reads."""

    def say(self, text: str) -> None:
        """Nothing."""

    def progress(self, what: str, done: int, total: int | None) -> None:
        """Nothing."""
