"""The files that an activation cache is made of, and where in them each key is."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from alearn.core.keys import KEY_LENGTH
from alearn.errors import ModelError

SUFFIX = ".safetensors"

_NAMES: dict[str, np.dtype[Any]] = {"F32": np.dtype(np.float32), "F16": np.dtype(np.float16)}
"""The names that safetensors has for the types of what is kept."""


@dataclass(frozen=True)
class Kind:
    """What an item becomes: an array of this shape and type."""

    shape: tuple[int, ...]
    dtype: DTypeLike

    @property
    def bytes(self) -> int:
        """Of one item."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    def __str__(self) -> str:
        return f"{' × '.join(map(str, self.shape))} numbers in {np.dtype(self.dtype).name}"


@dataclass(frozen=True)
class Shard:
    """One file: where its rows begin, in bytes, and how many it has."""

    path: Path
    rows: int
    x_at: int
    keys_at: int

    def keys(self) -> NDArray[np.uint64]:
        """Its keys, shape (n, 2): the two halves of each as numbers."""
        found = np.fromfile(self.path, dtype=">u8", count=2 * self.rows, offset=self.keys_at)
        return found.astype(np.uint64).reshape(-1, 2)

    def mapped(self, kind: Kind) -> NDArray[Any]:
        """Its rows, (n, *shape), not in memory."""
        return np.memmap(self.path, kind.dtype, mode="r", offset=self.x_at, shape=(self.rows, *kind.shape))


class Index:
    """Where each key is: sorted arrays, 32 bytes a key, so that a million keys cost 32 MB and no Python objects."""

    def __init__(self, shards: Sequence[tuple[str, NDArray[np.uint64]]] = ()) -> None:
        self._names = [name for name, _ in shards]
        keys = np.concatenate([keys for _, keys in shards]) if shards else np.empty((0, 2), dtype=np.uint64)
        lengths = [len(keys) for _, keys in shards]
        shard = np.repeat(np.arange(len(shards)), lengths)
        row = np.concatenate([np.arange(n) for n in lengths]) if shards else np.empty(0, dtype=np.int64)
        order = np.argsort(keys[:, 0], kind="stable")
        self._head, self._tail = keys[order, 0], keys[order, 1]
        self._shard, self._row = shard[order], row[order]

    def __len__(self) -> int:
        return len(self._head)

    def names(self, shards: NDArray[np.int64]) -> list[str]:
        """The names of the shards that occur; -1 is none."""
        return [self._names[shard] for shard in np.unique(shards) if shard >= 0]

    def find(self, keys: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The shard of each key, -1 for none, and its row there; both of shape (n,)."""
        shard = np.full(len(keys), -1, dtype=np.int64)
        row = np.zeros(len(keys), dtype=np.int64)
        if not len(keys) or not len(self):
            return shard, row
        wanted = packed(keys).view(">u8").astype(np.uint64)
        at = np.searchsorted(self._head, wanted[:, 0])
        open_ = np.arange(len(keys))
        while len(open_ := open_[at[open_] < len(self)]):
            # Two keys may share their first half: go on to the right until the second half agrees as well.
            open_ = open_[self._head[at[open_]] == wanted[open_, 0]]
            hit = open_[self._tail[at[open_]] == wanted[open_, 1]]
            shard[hit], row[hit] = self._shard[at[hit]], self._row[at[hit]]
            open_ = np.setdiff1d(open_, hit, assume_unique=True)
            at[open_] += 1
        return shard, row


def packed(keys: Sequence[str]) -> NDArray[np.uint8]:
    """The keys as bytes, shape (n, 16), uint8; raises ValueError: one is not 32 hexadecimal digits."""
    content = bytes.fromhex("".join(keys))
    if len(content) * 2 != KEY_LENGTH * len(keys) or any(len(key) != KEY_LENGTH for key in keys):
        raise ValueError(f"a key must be {KEY_LENGTH} hexadecimal digits")
    return np.frombuffer(content, dtype=np.uint8).reshape(-1, KEY_LENGTH // 2)


def opened(path: Path, kind: Kind) -> Shard | None:
    """The shard in a file, told from its header; None where it is no sound one.

    Raises:
        ModelError: it is sound, and holds something else than `kind`.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length < 10_000 else {}
        rows, *shape = header["x"]["shape"]
        held = Kind(tuple(shape), _NAMES[header["x"]["dtype"]])
        (x_from, x_to), (keys_from, keys_to) = header["x"]["data_offsets"], header["keys"]["data_offsets"]
        start = 8 + length
        whole = path.stat().st_size == start + max(x_to, keys_to) and x_to - x_from == rows * held.bytes
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if whole and (held.shape, held.dtype) != (kind.shape, np.dtype(kind.dtype)):
        raise ModelError(f"{path.parent} must hold {kind} for each item. It holds {held}. Remove the folder.")
    return Shard(path, rows, start + x_from, start + keys_from) if whole else None
