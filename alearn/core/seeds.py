"""Randomness from what is being decided, never from a running generator.

Invariant: the same (seed, loop, round, purpose) gives the same numbers, in any process and after any crash.
"""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, loop: str, round_: int, purpose: str) -> np.random.Generator:
    """The generator for one decision of one round of one loop."""
    return np.random.default_rng(number(seed, loop, round_, purpose))


def number(seed: int, loop: str, round_: int, purpose: str) -> int:
    """The same as an integer in [0, 2**32), for libraries that want a seed."""
    digest = hashlib.sha256(f"{seed}\0{loop}\0{round_}\0{purpose}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
