"""From items to embeddings in the cache: decoding in threads, beside the engine, in batches of bounded memory.

Invariant: an item that cannot be read is reported with its reason and stops nothing; storage that does not answer stops
it all and says nothing of any item; what was computed is kept, however it ends; the order of the items changes nothing
but rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from alearn.data.ahead import ahead
from alearn.data.decode import MAX_PIXELS, read_image
from alearn.errors import DataError, Unreachable
from alearn.models.cache import EmbeddingCache
from alearn.models.serving import Prepared
from alearn.models.trunk import Trunk

Entry = tuple[str, str | None, str | None]
"""(key, URI of an image, text): one of the last two."""

Report = Callable[[int, int], None]
"""Called with how many items are done, and how many there are."""

SHARD_ROWS = 512
"""A kill loses at most this many embeddings."""

READERS = 8
"""Threads that read and decode; Pillow and the tokenizer let the others run meanwhile."""

_WINDOW = {"image": 32, "text": 1024}


def embed_items(
    trunk: Trunk,
    cache: EmbeddingCache,
    items: Sequence[Entry],
    *,
    max_pixels: int = MAX_PIXELS,
    report: Report | None = None,
) -> dict[str, str]:
    """Put the embeddings of those items into the cache that it lacks; returns {key: reason} of the unreadable ones.

    An image of more than `max_pixels` is unreadable.

    Raises:
        Unreachable: the items' storage does not answer now; called again, it goes on behind what was embedded.
        ModelError: the cache cannot be written to.
    """
    lacking = set(cache.missing([key for key, _, _ in items]))
    todo = list({key: (key, uri, text) for key, uri, text in items if key in lacking}.values())
    done, total = len(items) - len(todo), len(items)
    unreadable: dict[str, str] = {}
    report = report or (lambda _done, _total: None)
    if not todo:
        report(total, total)
    with _shards(cache) as keep:
        for window in _windows(ahead(lambda entry: _prepared(trunk, entry, max_pixels), todo, READERS), trunk):
            sound = {key: found for key, found in window if not isinstance(found, str)}
            unreadable.update((key, found) for key, found in window if isinstance(found, str))
            if sound:
                keep(list(sound), _embedded(trunk, list(sound.values())))
            done += len(window)
            report(done, total)
    return unreadable


@contextmanager
def _shards(cache: EmbeddingCache) -> Iterator[Callable[[list[str], NDArray[np.float32]], None]]:
    """What collects (keys, embeddings) into shards of about SHARD_ROWS; the last one is written however it ends."""
    keys: list[str] = []
    rows: list[NDArray[np.float32]] = []

    def write() -> None:
        if keys:
            cache.append(keys, np.concatenate(rows))
            keys.clear()
            rows.clear()

    def keep(some: list[str], x: NDArray[np.float32]) -> None:
        keys.extend(some)
        rows.append(x)
        if len(keys) >= SHARD_ROWS:
            write()

    try:
        yield keep
    finally:
        write()


def _windows(source: Iterable[tuple[str, Prepared | str]], trunk: Trunk) -> Iterator[list[tuple[str, Prepared | str]]]:
    iterator = iter(source)
    while window := list(islice(iterator, _WINDOW[trunk.data])):
        yield window


def _prepared(trunk: Trunk, entry: Entry, max_pixels: int) -> tuple[str, Prepared | str]:
    """What the engine takes of an item, or the reason why there is nothing to take."""
    key, uri, text = entry
    if text is not None:
        return key, trunk.prepare(text)
    if uri is None:
        return key, "has neither a text nor an image"
    try:
        return key, trunk.prepare(read_image(uri, max_pixels=max_pixels, size=trunk.about.inputs.get("size")))
    except Unreachable:
        raise
    except DataError as error:
        return key, str(error)


def _embedded(trunk: Trunk, prepared: Sequence[Prepared]) -> NDArray[np.float32]:
    """The embeddings in the order given; computed by length, because a batch of texts is as slow as its longest."""
    order = sorted(range(len(prepared)), key=lambda at: len(prepared[at]))
    found = np.empty((len(prepared), trunk.dim), dtype=np.float32)
    for start in range(0, len(order), trunk.batch):
        rows = order[start : start + trunk.batch]
        found[rows] = trunk.embed([prepared[at] for at in rows])
    return found
