"""From items to embeddings in the cache: decoding in threads, beside the engine, in batches of bounded memory.

Invariant: an item that cannot be read is reported with its reason and stops nothing; what was computed is kept,
whenever the process ends; the order of the items changes nothing but rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from alearn.data.ahead import ahead
from alearn.data.decode import read_image
from alearn.errors import DataError
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
    trunk: Trunk, cache: EmbeddingCache, items: Sequence[Entry], *, report: Report | None = None
) -> dict[str, str]:
    """Put the embeddings of those items into the cache that it lacks; returns {key: reason} of the unreadable ones.

    Raises:
        ModelError: the cache cannot be written to.
    """
    lacking = set(cache.missing([key for key, _, _ in items]))
    todo = list({key: (key, uri, text) for key, uri, text in items if key in lacking}.values())
    total = len(items)
    unreadable: dict[str, str] = {}
    for shard in _shards(trunk, todo, unreadable, total, report or (lambda _done, _total: None)):
        cache.append(*shard)
    if report and not todo:
        report(total, total)
    return unreadable


def _shards(
    trunk: Trunk, todo: Sequence[Entry], unreadable: dict[str, str], total: int, report: Report
) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
    """(keys, embeddings) of about SHARD_ROWS items each; fills in `unreadable` on the way."""
    done = total - len(todo)
    keys: list[str] = []
    rows: list[NDArray[np.float32]] = []
    for window in _windows(ahead(lambda entry: _prepared(trunk, entry), todo, READERS), _WINDOW[trunk.data]):
        sound = [(key, found) for key, found in window if not isinstance(found, str)]
        unreadable.update((key, found) for key, found in window if isinstance(found, str))
        if sound:
            keys += [key for key, _ in sound]
            rows.append(_embedded(trunk, [found for _, found in sound]))
        done += len(window)
        if len(keys) >= SHARD_ROWS or done == total:
            if keys:
                yield keys, np.concatenate(rows)
            keys, rows = [], []
        report(done, total)


def _windows(source: Iterable[tuple[str, Prepared | str]], size: int) -> Iterator[list[tuple[str, Prepared | str]]]:
    iterator = iter(source)
    while window := list(islice(iterator, size)):
        yield window


def _prepared(trunk: Trunk, entry: Entry) -> tuple[str, Prepared | str]:
    """What the engine takes of an item, or the reason why there is nothing to take."""
    key, uri, text = entry
    if text is not None:
        return key, trunk.prepare(text)
    if uri is None:
        return key, "has neither a text nor an image"
    try:
        return key, trunk.prepare(read_image(uri, size=trunk.about.inputs.get("size")))
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
