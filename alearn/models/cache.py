"""Activations on disk, computed once per item whatever happens to the process that computes them.

A cache is a folder of shards. A shard is a safetensors file with `x` (n, *shape), of one type, and `keys` (n, 16)
uint8, named by the SHA-256 of its bytes, written aside and renamed, and never changed. So any number of processes may
read and append, a kill loses at most the shard that was being written, and a damaged shard shows by its name.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from alearn.core.keys import KEY_LENGTH
from alearn.errors import ModelError
from alearn.models.files import write_file
from alearn.models.gathers import gathered
from alearn.models.shards import SUFFIX, Index, Kind, Shard, opened, packed

IN_MEMORY = 256 * 2**20
"""Rows of more bytes than this are gathered into a file that is mapped, not into memory."""

_LOG = logging.getLogger(__name__)


class ActivationCache:
    """Embeddings or activations by item key, for one trunk's `cache_key`: arrays of one `shape` and `dtype`.

    Raises:
        ModelError: the folder cannot be used, or holds arrays of another shape or type.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> None:
        self.folder = folder
        self.kind = Kind(tuple(shape), np.dtype(dtype))
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
        names = {name for name in os.listdir(self.folder) if name.endswith(SUFFIX) and not name.startswith(".")}
        fresh, gone = names - self._shards.keys(), self._shards.keys() - names
        for name in sorted(fresh):
            shard = opened(self.folder / name, self.kind)
            if shard is None:
                self._drop(name)
            else:
                self._shards[name] = shard
        for name in gone:
            del self._shards[name]
        if fresh or gone:
            self._index = Index([(name, shard.keys()) for name, shard in sorted(self._shards.items())])

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
                sound = hashlib.file_digest(file, "sha256").hexdigest()[:KEY_LENGTH] == name.removesuffix(SUFFIX)
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

    def append(self, keys: Sequence[str], x: NDArray[Any]) -> None:
        """Keep the arrays of these items, (n, *shape); when this returns they survive a crash.

        Raises:
            ValueError: a key is not 32 hexadecimal digits, or the shape is not (len(keys), *shape).
            ModelError: the folder cannot be written to.
        """
        from safetensors.numpy import save

        if x.shape != (len(keys), *self.kind.shape):
            raise ValueError(f"shape {x.shape} for {len(keys)} keys of {self.kind}")
        if not len(keys):
            return
        content = save({"keys": packed(keys), "x": np.ascontiguousarray(x, dtype=self.kind.dtype)})
        name = hashlib.sha256(content).hexdigest()[:KEY_LENGTH] + SUFFIX
        try:
            write_file(self.folder / name, content)
        except OSError as error:
            raise ModelError(f"Embeddings cannot be written to {self.folder}: {error}. Make room there.") from error
        self._sound.add(name)

    def rows(self, keys: Sequence[str]) -> NDArray[Any]:
        """The arrays of these items, (n, *shape), in the order of the keys.

        Above 256 MiB they are mapped from a file, so that a million rows need little memory: read them in blocks, and
        ask for the same keys in the same order again, for then the file is there already (`gathers`).

        Raises:
            KeyError: an item has nothing here; ask `missing` first.
            ModelError: there is no room for the file.
        """
        if len(keys) * self.kind.bytes <= IN_MEMORY:
            found = np.empty((len(keys), *self.kind.shape), self.kind.dtype)
            for rows, x in self._blocks(keys):
                found[rows] = x
            return found
        try:
            return gathered(self.folder, packed(keys), self.kind, lambda path: self._fill(path, keys))
        except OSError as error:
            raise ModelError(f"Rows cannot be gathered in {self.folder}: {error}. Make room there.") from error

    def _blocks(self, keys: Sequence[str]) -> Iterator[tuple[NDArray[np.intp], NDArray[Any]]]:
        """Which of the keys are in a shard, and their arrays there; shard by shard."""
        shards, at = self._found(keys)
        order = np.argsort(shards, kind="stable")
        for block in np.split(order, np.flatnonzero(np.diff(shards[order])) + 1) if len(keys) else []:
            (name,) = self._index.names(shards[block])
            yield block, self._shards[name].mapped(self.kind)[at[block]]

    def _found(self, keys: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """As `Index.find`; raises KeyError: one has nothing here."""
        shards, at = self._index.find(keys)
        if len(keys) and shards.min() < 0:
            self.refresh()
            shards, at = self._index.find(keys)
            if shards.min() < 0:
                raise KeyError(keys[int(shards.argmin())])
        return shards, at

    def _fill(self, path: Path, keys: Sequence[str]) -> None:
        """Write the rows into a file that has room for them."""
        for rows, x in self._blocks(keys):
            # Mapped anew for each shard: what is written would all count as this process's memory.
            room = np.memmap(path, self.kind.dtype, mode="r+", shape=(len(keys), *self.kind.shape))
            room[rows] = x
