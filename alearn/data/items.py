"""What comes out of an item source: items, and the reasons why some things are none.

Invariant: everything in an `Item` can be stored by any database: no NUL, no half of a surrogate pair.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to be labeled. Exactly one of `uri` (an absolute path or a URL) and `text` is set.

    `key` is the hash of the content; `group` ties items that the hold-out must not split and is the key where nothing
    else was said; `truth` is the answer that is already known, for robots and simulated annotators only.
    """

    key: str
    uri: str | None
    text: str | None
    group: str
    truth: str | None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What cannot become an item. `where`: a path, a URL or `file.jsonl:17`; "`where` `reason`" is a sentence."""

    where: str
    reason: str


def unstorable(text: str) -> str | None:
    """Why this text cannot be stored, or None: databases take neither NUL nor half a surrogate pair."""
    if "\0" in text:
        return "holds a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return _half(error.object[error.start])
    return None


def _half(character: str) -> str:
    # Bytes that are not UTF-8 are read as U+DC80 to U+DCFF ("surrogateescape"); other halves were written as \ud83d.
    if 0xDC80 <= ord(character) <= 0xDCFF:
        return f"is not UTF-8: byte 0x{ord(character) - 0xDC00:02x}"
    return f"holds half a surrogate pair, U+{ord(character):04X}"


def printable_name(path: str) -> str:
    """A path as it can be stored and shown, whatever bytes are in its name."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").replace("\0", "\\x00")
