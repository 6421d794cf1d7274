"""Embeddings on disk, computed once per item whatever happens to the process that computes them.

A cache is a folder of shards. A shard is a safetensors file with `x` (n, dim) float32 and `keys` (n, 16) uint8, named
by the SHA-256 of its bytes, written aside and renamed, and never changed. So any number of processes may read and
append, a kill loses at most the shard that was being written, and a damaged shard shows by its name.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alearn.core.keys import KEY_LENGTH
from alearn.errors import ModelError
from alearn.models.files import write_file

IN_MEMORY = 256 * 2**20
"""Gathered rows of more bytes than this are put into a temporary file that is mapped, not into memory."""

_LOG = logging.getLogger(__name__)
_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Shard:
    """One file: where its rows begin, in bytes, and how many it has."""

    path: Path
    rows: int
    x_at: int
    keys_at: int


class EmbeddingCache:
    """Embeddings by item key, for one trunk's fingerprint.

    Raises:
        ModelError: the folder cannot be used, or holds embeddings of another length.
    """

    def __init__(self, folder: Path, dim: int) -> None:
        self.folder = folder
        self.dim = dim
        self._shards: dict[str, Shard] = {}
        self._sound: set[str] = set()
        self._index = Index()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ModelError(f"{folder} must be a folder for embeddings: {error}. Choose another `home`.") from error
        self.refresh()

    def __contains__(self, key: str) -> bool:
        return not self.missing([key])

    def __len__(self) -> int:
        self.refresh()
        return len(self._index)

    def refresh(self) -> None:
        """Take notice of shards that other processes have written or removed."""
        names = {name for name in os.listdir(self.folder) if name.endswith(_SUFFIX) and not name.startswith(".")}
        fresh, gone = names - self._shards.keys(), self._shards.keys() - names
        for name in sorted(fresh):
            shard = _opened(self.folder / name, self.dim)
            if shard is None:
                self._drop(name)
            else:
                self._shards[name] = shard
        for name in gone:
            del self._shards[name]
        if fresh or gone:
            self._index = Index([(name, _keys(shard)) for name, shard in sorted(self._shards.items())])

    def missing(self, keys: Sequence[str]) -> list[str]:
        """Which of these have no sound embedding here, in their order, each once.

        Every shard that holds one of them is checked against its name, once per process; a damaged one is removed, and
        what it held is missing.
        """
        self.refresh()
        shards, _ = self._index.find(keys)
        damaged = [name for name in self._index.names(shards) if not self._check(name)]
        if damaged:
            self.refresh()
            shards, _ = self._index.find(keys)
        return list(dict.fromkeys(key for key, shard in zip(keys, shards, strict=True) if shard < 0))

    def _check(self, name: str) -> bool:
        if name in self._sound:
            return True
        try:
            with (self.folder / name).open("rb") as file:
                sound = hashlib.file_digest(file, "sha256").hexdigest()[:KEY_LENGTH] == name.removesuffix(_SUFFIX)
        except OSError:
            sound = False
        if sound:
            self._sound.add(name)
        else:
            self._drop(name)
        return sound

    def _drop(self, name: str) -> None:
        _LOG.warning("%s is damaged; its embeddings will be computed again", self.folder / name)
        (self.folder / name).unlink(missing_ok=True)

    def append(self, keys: Sequence[str], x: NDArray[np.float32]) -> None:
        """Keep embeddings, shape (n, dim), float32; when this returns they survive a crash.

        Raises:
            ValueError: a key is not 32 hexadecimal digits, or the shape is not (len(keys), dim).
            ModelError: the folder cannot be written to.
        """
        from safetensors.numpy import save

        if x.shape != (len(keys), self.dim):
            raise ValueError(f"shape {x.shape} for {len(keys)} keys of dimension {self.dim}")
        if not len(keys):
            return
        content = save({"keys": _packed(keys), "x": np.ascontiguousarray(x, dtype=np.float32)})
        name = hashlib.sha256(content).hexdigest()[:KEY_LENGTH] + _SUFFIX
        try:
            write_file(self.folder / name, content)
        except OSError as error:
            raise ModelError(f"Embeddings cannot be written to {self.folder}: {error}. Make room there.") from error
        self._sound.add(name)

    def rows(self, keys: Sequence[str]) -> NDArray[np.float32]:
        """The embeddings of these items, shape (n, dim), float32, in the order of the keys.

        Above 256 MiB it is mapped from a temporary file that vanishes with the array, so a million rows need little
        memory: read it in blocks.

        Raises:
            KeyError: an item has no embedding here; ask `missing` first.
        """
        shards, at = self._index.find(keys)
        if len(keys) and shards.min() < 0:
            self.refresh()
            shards, at = self._index.find(keys)
            if shards.min() < 0:
                raise KeyError(keys[int(shards.argmin())])
        found = self._room(len(keys))
        order = np.argsort(shards, kind="stable")
        for block in np.split(order, np.flatnonzero(np.diff(shards[order])) + 1) if len(keys) else []:
            (name,) = self._index.names(shards[block])
            found[block] = _mapped(self._shards[name], self.dim)[at[block]]
        return found

    def _room(self, rows: int) -> NDArray[np.float32]:
        if rows * self.dim * 4 <= IN_MEMORY:
            return np.empty((rows, self.dim), dtype=np.float32)
        with tempfile.TemporaryFile(dir=self.folder) as file:
            return np.memmap(file, dtype=np.float32, mode="w+", shape=(rows, self.dim))


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
        wanted = _packed(keys).view(">u8").astype(np.uint64)
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


def _packed(keys: Sequence[str]) -> NDArray[np.uint8]:
    """The keys as bytes, shape (n, 16), uint8."""
    content = bytes.fromhex("".join(keys))
    if len(content) * 2 != KEY_LENGTH * len(keys) or any(len(key) != KEY_LENGTH for key in keys):
        raise ValueError(f"a key must be {KEY_LENGTH} hexadecimal digits")
    return np.frombuffer(content, dtype=np.uint8).reshape(-1, KEY_LENGTH // 2)


def _opened(path: Path, dim: int) -> Shard | None:
    """The shard in a file, told from its header; None where it is no sound one."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length < 10_000 else {}
        rows, width = header["x"]["shape"]
        (x_from, x_to), (keys_from, keys_to) = header["x"]["data_offsets"], header["keys"]["data_offsets"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    start = 8 + length
    whole = path.stat().st_size == start + max(x_to, keys_to) and x_to - x_from == rows * width * 4
    if whole and width != dim:
        raise ModelError(f"{path.parent} must hold embeddings of {dim} numbers. It holds {width}. Remove the folder.")
    return Shard(path, rows, start + x_from, start + keys_from) if whole else None


def _keys(shard: Shard) -> NDArray[np.uint64]:
    """Its keys, shape (n, 2): the two halves of each as numbers."""
    found = np.fromfile(shard.path, dtype=">u8", count=2 * shard.rows, offset=shard.keys_at)
    return found.astype(np.uint64).reshape(-1, 2)


def _mapped(shard: Shard, dim: int) -> NDArray[np.float32]:
    return np.memmap(shard.path, dtype=np.float32, mode="r", offset=shard.x_at, shape=(shard.rows, dim))
