"""Names that are computed, never drawn: the same content gives the same key on every machine.

Invariant: a key is 32 lower-case hexadecimal characters, the first half of a SHA-256.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

KEY_LENGTH = 32


def content_key(content: bytes) -> str:
    """The key of an item whose content is these bytes."""
    return hashlib.sha256(content).hexdigest()[:KEY_LENGTH]


def fingerprint(value: Any) -> str:
    """The key of a value made of JSON types; mappings are compared without regard to order.

    Raises:
        TypeError: the value holds something that JSON cannot say.
    """
    return content_key(json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode())


def unit_interval(text: str, seed: int) -> float:
    """A number in [0, 1) that depends on the text and the seed alone, uniform over texts."""
    digest = hashlib.sha256(f"{seed}\0{text}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56
