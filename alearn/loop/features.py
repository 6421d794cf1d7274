"""The frozen trunk's view of the items: computed once per item, kept on disk, and gathered for training and selection.

Invariant: an item that cannot be decoded is quarantined with its reason and never asked for again; one whose storage
does not answer is not, and the same call later goes on with it. Memory does not grow with the number of items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from alearn.config import Config
from alearn.loop.report import Report
from alearn.models import EmbeddingCache, Trunk, embed_items, load_trunk
from alearn.places import cache_folder
from alearn.store import Store

PIECE = 20_480
"""Items whose contents are in memory at once; a multiple of the shards' length, so that no shard is cut short."""


class Features:
    """Embeddings of a loop's items by key."""

    def __init__(self, config: Config, store: Store, report: Report, now: Callable[[], str]) -> None:
        self._config = config
        self._store = store
        self._report = report
        self._now = now

    @cached_property
    def trunk(self) -> Trunk:
        """The pretrained network, cut at its tap."""
        model = self._config.model
        return load_trunk(model.name, self._config.task.data, size=model.size, folder=cache_folder() / "trunks")

    @cached_property
    def _cache(self) -> EmbeddingCache:
        return EmbeddingCache(self._config.home_ / "embeddings" / self.trunk.fingerprint[:16], self.trunk.dim)

    def ensure(self, keys: Sequence[str]) -> frozenset[str]:
        """Embed what is not embedded yet; returns the keys of what cannot be, which is now quarantined.

        Raises:
            Unreachable: the items' storage does not answer now; what was embedded is kept.
        """
        missing = self._cache.missing(keys)
        lost: set[str] = set()
        for start in range(0, len(missing), PIECE):
            lost.update(self._embed(missing[start : start + PIECE], start, len(missing)))
        return frozenset(lost)

    def _embed(self, keys: Sequence[str], done: int, total: int) -> dict[str, str]:
        """Embed a piece that begins behind `done` of `total` items; returns {key: reason} of what cannot be."""
        what, contents = f"Embedding with {self.trunk.name}", self._store.items.contents(keys)
        bad = embed_items(
            self.trunk,
            self._cache,
            [(key, contents[key].uri, contents[key].text) for key in keys],
            max_pixels=self._config.items.max_pixels,
            report=lambda here, _: self._report.progress(what, done + here, total),
        )
        if bad:
            self._store.items.quarantine(bad, at=self._now(), keyed=True)
        return bad

    def rows(self, keys: Sequence[str]) -> NDArray[np.float32]:
        """The embeddings of these items, shape (n, dim), float32, in the order of the keys."""
        return self._cache.rows(keys)
