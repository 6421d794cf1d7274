"""A file of JSON lines that others append to, followed cheaply and without trusting it.

Invariant: `position` names what was read, its length and its hash, so that a file that was cut, edited in its middle or
replaced is noticed and read anew, and an unchanged one costs a stat.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_CHUNK = 1 << 20
_REMEMBERED = 1000  # hashes of earlier lengths; others are computed again when they are asked for
_DECODE = json.JSONDecoder()


@dataclass(frozen=True)
class Position:
    """How far a file was read: `length` bytes, which hash to `digest` (16 hexadecimal characters)."""

    length: int = 0
    digest: str = hashlib.blake2b(digest_size=8).hexdigest()


@dataclass(frozen=True)
class Line:
    """What stands in one line: objects (usually one), or the words for what is wrong. `end` is the offset behind it."""

    number: int
    end: int
    objects: tuple[dict[str, Any], ...] = ()
    fault: str = ""


def parse(raw: bytes) -> tuple[tuple[dict[str, Any], ...], str]:
    """The JSON objects in a line, and what is wrong with it ("" when nothing is). Whoever forgets a line end glues two.

    A line with a fault has no objects.
    """
    try:
        text = raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        return (), f"is not UTF-8 (byte 0x{raw[error.start]:02x})"
    objects: list[dict[str, Any]] = []
    while text:
        try:
            found, end = _DECODE.raw_decode(text)
        except (ValueError, RecursionError) as error:
            return (), f"is not JSON ({error})"
        if not isinstance(found, dict):
            return (), "is not a JSON object"
        objects.append(found)
        text = text[end:].lstrip()
    return tuple(objects), ""


class Journal:
    """Follows one file; `take` is called with each new line, `reset` before the file is read from its start again."""

    def __init__(self, path: Path, take: Callable[[Line], None], reset: Callable[[], None]) -> None:
        self.path = path
        self._take, self._reset = take, reset
        self._seen: tuple[int, int, int] | None = None
        self._begin()

    def _begin(self) -> None:
        self._hash = hashlib.blake2b(digest_size=8)
        self._length, self._newlines = 0, 0
        self._known: dict[int, str] = {0: Position().digest}

    @property
    def position(self) -> Position:
        """How far the file was read at the last `refresh`."""
        found = Position(self._length, self._hash.hexdigest())
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        self._known[found.length] = found.digest
        return found

    def refresh(self) -> None:
        """Read what is new; raises OSError."""
        try:
            with self.path.open("rb") as file:
                self._follow(file)
        except FileNotFoundError:
            self._seen = None
            if self._length:
                self._again()

    def _follow(self, file: IO[bytes]) -> None:
        found = os.fstat(file.fileno())
        seen = (found.st_ino, found.st_size, found.st_mtime_ns)
        if seen == self._seen:
            return
        if self._length and _digest(file, self._length) != self._hash.hexdigest():
            self._again()
        file.seek(self._length)
        for raw in file:
            if not self._consume(raw):
                break
        self._seen = seen

    def _again(self) -> None:
        self._begin()
        self._reset()

    def _consume(self, raw: bytes) -> bool:
        """Take one line; False for the last one while it is being written, which is left for the next time."""
        objects, fault = parse(raw)
        ended = raw.endswith(b"\n")
        if not ended and (fault or not objects):
            return False
        self._hash.update(raw)
        self._length += len(raw)
        if objects or fault:
            self._take(Line(self._newlines + 1, self._length, objects, fault))
        self._newlines += ended
        return True

    def holds(self, position: Position) -> bool:
        """Whether the file still begins with what was read up to `position`; raises OSError."""
        if position.length > self._length:
            return False
        if position.length not in self._known:
            with self.path.open("rb") as file:
                self._known[position.length] = _digest(file, position.length)
        return self._known[position.length] == position.digest


def _digest(file: IO[bytes], length: int) -> str:
    """The hash of the first `length` bytes, or of as many as there are."""
    found = hashlib.blake2b(digest_size=8)
    file.seek(0)
    while length > 0 and (chunk := file.read(min(_CHUNK, length))):
        found.update(chunk)
        length -= len(chunk)
    return found.hexdigest()
