"""The frozen trunk's view of the items: computed once per item, kept on disk, and gathered for training and selection.

Invariant: an item that cannot be decoded is quarantined with its reason and never asked for again.
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
        """Embed what is not embedded yet; returns the keys of what cannot be, which is now quarantined."""
        missing = self._cache.missing(keys)
        if not missing:
            return frozenset()
        contents = self._store.items.contents(missing)
        items = [(key, contents[key].uri, contents[key].text) for key in missing]
        what = f"Embedding with {self.trunk.name}"
        bad = embed_items(
            self.trunk, self._cache, items, report=lambda done, total: self._report.progress(what, done, total)
        )
        if bad:
            self._store.items.quarantine(bad, at=self._now(), keyed=True)
        return frozenset(bad)

    def rows(self, keys: Sequence[str]) -> NDArray[np.float32]:
        """The embeddings of these items, shape (n, dim), float32, in the order of the keys."""
        return self._cache.rows(keys)
