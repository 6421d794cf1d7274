"""From items to embeddings in the cache: decoding in threads, beside the engine, in batches of bounded memory.

Two windows are with the engine, so that it goes on with one while the other's results are written, and the readers take
the cores whenever it leaves one. Measured on two cores: a grey PNG of 300 × 300 pixels costs 1.6 ms of a core to read,
decode and resize, and 11.6 ms to embed at 224 px in float32; together they cost 13.2 ms, with one reader or eight. So
threads lose nothing, for Pillow lets the others run meanwhile, and processes could only add copies. Of the 1.6 ms, 1.3
are Pillow's decoding and resizing; OpenCV and torchvision decode 0.1 ms faster, which is not worth a dependency.

Invariant: an item that cannot be read is reported with its reason and stops nothing; storage that does not answer stops
it all and says nothing of any item; what was computed is kept, however it ends; the order of the items changes nothing
but rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.data.ahead import ahead
from alearn.data.decode import MAX_PIXELS, read_image
from alearn.errors import DataError, Unreachable
from alearn.models.cache import ActivationCache
from alearn.models.serving import Prepared, threads
from alearn.models.trunk import Trunk

Entry = tuple[str, str | None, str | None]
"""(key, URI of an image, text): one of the last two."""

Report = Callable[[int, int], None]
"""Called with how many items are done, and how many there are."""

SHARD_ROWS = 512
"""A kill loses at most this many embeddings."""

READERS = 8
"""Threads that read and decode, at least: more than cores, because storage may be slow to answer."""

BATCHES = 2
"""Windows of items that are with the engine at once."""

_WINDOW = {"image": 1, "text": 16}
"""Batches of the engine that are prepared before it begins; of texts many, for they are sorted by length."""

_Found = tuple[str, Prepared | str | Unreachable]
"""An item's key, and what the engine takes of it, why it is unreadable, or that its storage does not answer."""


@dataclass(frozen=True)
class _Window:
    """Some items, embedded: the keys and embeddings of the sound ones, and why the others are unreadable."""

    keys: list[str]
    x: NDArray[Any]
    unreadable: dict[str, str]


def embed_items(
    trunk: Trunk,
    cache: ActivationCache,
    items: Sequence[Entry],
    *,
    max_pixels: int = MAX_PIXELS,
    report: Report | None = None,
) -> dict[str, str]:
    """Put the embeddings of those items into the cache that it lacks; returns {key: reason} of the unreadable ones.

    An image of more than `max_pixels` is unreadable.

    Raises:
        Unreachable: the items' storage does not answer now; called again, it goes on behind what was embedded.
        ModelError: the cache cannot be written to, or an item needs more memory than there is.
    """
    lacking = set(cache.missing([key for key, _, _ in items]))
    todo = list({key: (key, uri, text) for key, uri, text in items if key in lacking}.values())
    done, total = len(items) - len(todo), len(items)
    unreadable: dict[str, str] = {}
    report = report or (lambda _done, _total: None)
    if not todo:
        report(total, total)
    readers = max(READERS, threads())
    with (
        closing(ahead(lambda entry: _prepared(trunk, entry, max_pixels), todo, readers, trunk.batch)) as found,
        closing(ahead(lambda some: _embedded(trunk, some), _windows(found, trunk), BATCHES, BATCHES + 1)) as windows,
        _shards(cache) as keep,
    ):
        for window in windows:
            keep(window.keys, window.x)
            unreadable.update(window.unreadable)
            done += len(window.keys) + len(window.unreadable)
            report(done, total)
    return unreadable


@contextmanager
def _shards(cache: ActivationCache) -> Iterator[Callable[[list[str], NDArray[Any]], None]]:
    """What collects (keys, embeddings) into shards of about SHARD_ROWS; the last one is written however it ends."""
    keys: list[str] = []
    rows: list[NDArray[Any]] = []

    def write() -> None:
        if keys:
            cache.append(keys, np.concatenate(rows))
            keys.clear()
            rows.clear()

    def keep(some: list[str], x: NDArray[Any]) -> None:
        keys.extend(some)
        rows.append(x)
        if len(keys) >= SHARD_ROWS:
            write()

    try:
        yield keep
    finally:
        write()


def _windows(source: Iterable[_Found], trunk: Trunk) -> Iterator[list[_Found]]:
    """The items in lists of bounded length; what does not answer is in a list of its own, behind what came before."""
    window: list[_Found] = []
    for key, found in source:
        if isinstance(found, Unreachable):
            yield window
            yield [(key, found)]
            return
        window.append((key, found))
        if len(window) >= _WINDOW[trunk.data] * trunk.batch:
            yield window
            window = []
    if window:
        yield window


def prepare_items(
    trunk: Trunk, items: Sequence[Entry], *, max_pixels: int = MAX_PIXELS
) -> tuple[dict[str, Prepared], dict[str, str]]:
    """The items by key as the trunk's engine takes them, all in memory; and {key: reason} of the unreadable ones.

    Raises:
        Unreachable: the items' storage does not answer now.
    """
    ready: dict[str, Prepared] = {}
    unreadable: dict[str, str] = {}
    for key, found in ahead(lambda entry: _prepared(trunk, entry, max_pixels), items, max(READERS, threads())):
        if isinstance(found, Unreachable):
            raise found
        if isinstance(found, str):
            unreadable[key] = found
        else:
            ready[key] = found
    return ready, unreadable


def _ready(trunk: Trunk, entry: Entry, max_pixels: int) -> Prepared:
    _, uri, text = entry
    if text is not None:
        return trunk.prepare(text)
    if uri is None:
        raise DataError("has neither a text nor an image")
    return trunk.prepare(read_image(uri, max_pixels=max_pixels, size=trunk.about.inputs.get("size"), grey=True))


def _prepared(trunk: Trunk, entry: Entry, max_pixels: int) -> _Found:
    try:
        return entry[0], _ready(trunk, entry, max_pixels)
    except Unreachable as error:
        return entry[0], error
    except DataError as error:
        return entry[0], str(error)


def _embedded(trunk: Trunk, window: Sequence[_Found]) -> _Window:
    """A window, embedded by length, because a batch of texts is as slow as its longest; raises Unreachable."""
    for _, found in window:
        if isinstance(found, Unreachable):
            raise found
    sound = [(key, found) for key, found in window if isinstance(found, np.ndarray)]
    order = sorted(range(len(sound)), key=lambda at: len(sound[at][1]))
    x = np.empty((len(sound), *trunk.about.shape), trunk.about.dtype)
    for start in range(0, len(order), trunk.batch):
        rows = order[start : start + trunk.batch]
        x[rows] = trunk.embed([sound[at][1] for at in rows])
    return _Window([key for key, _ in sound], x, {key: found for key, found in window if isinstance(found, str)})
