"""Which items of a loop are near copies of each other, found once for the items that there are.

Invariant: families follow from the items' contents alone. Signatures are kept beside the embeddings, families in one
file that says of which items they are; both can be thrown away and are then made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alearn.core.health import families, near_pairs, strict
from alearn.core.health.signatures import ALIKE, PICTURE, SIDE, TEXT, picture_signature, text_kind, text_signature
from alearn.data.ahead import ahead
from alearn.data.decode import read_image
from alearn.errors import DataError, Unreachable
from alearn.loop.undertaking import Undertaking
from alearn.models import ActivationCache
from alearn.store.blobs import write_whole
from alearn.store.items import Candidate, Content

EDITION = 1
"""To be raised when signatures, or what counts as a copy, change their meaning."""
PIECE = 5120
"""Items whose contents are in memory at once."""
SHARD = 512
READERS = 8
SAMPLE = 2048
"""Items that tell how alike any two are; their order is that of their hashes."""
WIDE = 4
"""Pictures are decoded so many times wider than their signature, at least."""


@dataclass(frozen=True)
class Copies:
    """Families of near copies, of two keys at least, each ordered."""

    families: tuple[tuple[str, ...], ...] = ()

    def twins(self, keys: Sequence[str]) -> NDArray[np.intp] | None:
        """Numbers (n,) that two of the keys share if they are near copies; None where there are no copies."""
        if not self.families:
            return None
        row = {key: at for at, key in enumerate(keys)}
        found = np.arange(len(keys))
        for one in self.families:
            rows = [row[key] for key in one if key in row]
            found[rows] = min(rows, default=0)
        return found

    def beside(self, some: Collection[str]) -> frozenset[str]:
        """The keys, not among `some`, whose family has one that is."""
        found = (key for one in self.families if any(key in some for key in one) for key in one)
        return frozenset(key for key in found if key not in some)


def copies_of(loop: Undertaking, candidates: Sequence[Candidate]) -> Copies:
    """The families among these items.

    Raises:
        Unreachable: the items' storage does not answer now.
    """
    keys = sorted(one.key for one in candidates)
    named, path = _name(keys), loop.config.home_ / "health" / "copies.json"
    known = _read(path)
    if known is not None and known[0] == named:
        return known[1]
    found = _found(loop, keys)
    write_whole(path, json.dumps({"items": named, "families": found.families}).encode())
    return found


def _name(keys: Sequence[str]) -> str:
    return hashlib.sha256(f"{EDITION} {' '.join(keys)}".encode()).hexdigest()


def _read(path: Path) -> tuple[str, Copies] | None:
    """The items that families were found for, and these; None where there are none, or the file is damaged."""
    try:
        found = json.loads(path.read_bytes())
        return str(found["items"]), Copies(tuple(tuple(map(str, one)) for one in found["families"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _found(loop: Undertaking, keys: Sequence[str]) -> Copies:
    data = loop.config.task.data
    length = PICTURE if data == "image" else TEXT
    folder = loop.config.home_ / "embeddings" / f"signatures-{data}-{EDITION}"
    cache = ActivationCache(folder, (length,), np.float16)
    unread = _sign(loop, cache, cache.missing(keys))
    keys = [key for key in keys if key not in unread]
    x = cache.rows(keys)
    kinds = _kinds(loop, keys) if data == "text" else None
    number = families(len(keys), near_pairs(x, strict(x[:SAMPLE], ALIKE[data]), kinds=kinds))
    grouped: dict[int, list[str]] = {}
    for row in np.flatnonzero(np.bincount(number, minlength=len(keys))[number] > 1):
        grouped.setdefault(int(number[row]), []).append(keys[row])
    return Copies(tuple(sorted(tuple(one) for one in grouped.values())))


def _sign(loop: Undertaking, cache: ActivationCache, keys: Sequence[str]) -> frozenset[str]:
    """Put the signatures of these items into the cache; returns the keys of what cannot be read."""
    unread: set[str] = set()
    for start in range(0, len(keys), PIECE):
        some = keys[start : start + PIECE]
        contents = loop.store.items.contents(some)
        with closing(ahead(lambda one: _signature(loop, one), [contents[key] for key in some], READERS)) as found:
            for at in range(0, len(some), SHARD):
                rows = zip(some[at : at + SHARD], found, strict=False)
                read = {key: row for key, row in rows if row is not None}
                unread.update(set(some[at : at + SHARD]) - read.keys())
                cache.append(list(read), np.array(list(read.values()), dtype=np.float16).reshape(-1, *cache.kind.shape))
                loop.report.progress("Looking for copies", start + at + len(some[at : at + SHARD]), len(keys))
    return frozenset(unread)


def _signature(loop: Undertaking, item: Content) -> NDArray[np.float32] | None:
    """Of an item; None: it cannot be read, which those who need it find out and tell."""
    if item.uri is None:
        return text_signature(item.text or "")
    try:
        picture = read_image(item.uri, max_pixels=loop.config.items.max_pixels, size=WIDE * SIDE)
    except Unreachable:
        raise
    except DataError:
        return None
    return picture_signature(np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)))


def _kinds(loop: Undertaking, keys: Sequence[str]) -> NDArray[np.int64]:
    found = np.empty(len(keys), dtype=np.int64)
    for start in range(0, len(keys), PIECE):
        some = keys[start : start + PIECE]
        contents = loop.store.items.contents(some)
        found[start : start + len(some)] = [text_kind(contents[key].text or "") for key in some]
    return found
