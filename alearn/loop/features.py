"""The frozen networks' view of the items: computed once per item, kept on disk, gathered for training and selection.

Invariant: an item that cannot be decoded is quarantined with its reason and never asked for again; one whose storage
does not answer is not, and the same call later goes on with it. Memory does not grow with the number of items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.config import Config
from alearn.loop.report import Report
from alearn.models import ActivationCache, Trunk, embed_items, load_trunk
from alearn.models.embeddings import Entry, prepare_items
from alearn.models.graphs import Output
from alearn.models.serving import Prepared
from alearn.models.zoo import resolve, size_for
from alearn.places import cache_folder
from alearn.store import Store

PIECE = 20_480
"""Items whose contents are in memory at once; a multiple of the shards' length, so that no shard is cut short."""


@dataclass(frozen=True)
class Cut:
    """A pretrained network for a size of images, cut behind a tap (none: the last); `output`: pooled there, or not."""

    network: str
    size: int | None = None
    tap: str | None = None
    output: Output = "embedding"


class Features:
    """Embeddings and activations of a loop's items by key.

    Everything is about the network that the loop now stands on, or about the `cut` that is named.
    """

    def __init__(self, config: Config, store: Store, report: Report, now: Callable[[], str]) -> None:
        self._config = config
        self._store = store
        self._report = report
        self._now = now
        self._trunks: dict[Cut, Trunk] = {}
        self._caches: dict[str, ActivationCache] = {}

    @property
    def cut(self) -> Cut:
        """What the loop now stands on: the config's network; for `auto` the one that was chosen last."""
        return current_cut(self._config, self._store)

    @property
    def trunk(self) -> Trunk:
        """The network that the loop now stands on."""
        return self.trunk_at(self.cut)

    def trunk_at(self, cut: Cut) -> Trunk:
        """A network, loaded at the first use.

        Raises:
            ModelError: it cannot be loaded, or has no such tap.
        """
        if cut not in self._trunks:
            model, data = self._config.model, self._config.task.data
            self._trunks[cut] = load_trunk(
                cut.network,
                data,
                size=cut.size,
                taps=() if cut.tap is None else (cut.tap,),
                output=cut.output,
                engine=model.engine,
                precision=model.precision,
                folder=cache_folder() / "trunks",
            )
        return self._trunks[cut]

    def ensure(self, keys: Sequence[str], cut: Cut | None = None) -> frozenset[str]:
        """Embed what is not embedded yet; returns the keys of what cannot be, which is now quarantined.

        Raises:
            Unreachable: the items' storage does not answer now; what was embedded is kept.
        """
        trunk = self.trunk_at(cut or self.cut)
        return self.compute(trunk, self._cache(trunk), keys, f"Embedding with {trunk.name}")

    def compute(self, trunk: Trunk, cache: ActivationCache, keys: Sequence[str], what: str) -> frozenset[str]:
        """Put into a cache what it lacks of the items, by any trunk; as `ensure`."""
        missing = cache.missing(keys)
        lost: set[str] = set()
        for start in range(0, len(missing), PIECE):
            tell = partial(self._tell, what, start, len(missing))
            lost.update(self._embed(trunk, cache, missing[start : start + PIECE], tell))
        return frozenset(lost)

    def _tell(self, what: str, before: int, total: int, done: int) -> None:
        self.progress(what, before + done, total)

    def progress(self, what: str, done: int, total: int) -> None:
        """Tell people how far something is."""
        self._report.progress(what, done, total)

    def _embed(
        self, trunk: Trunk, cache: ActivationCache, keys: Sequence[str], progress: Callable[[int], None]
    ) -> dict[str, str]:
        """Embed a piece; returns {key: reason} of what cannot be."""
        bad = embed_items(
            trunk,
            cache,
            self.entries(keys),
            max_pixels=self._config.items.max_pixels,
            report=lambda here, _: progress(here),
        )
        if bad:
            self._store.items.quarantine(bad, at=self._now(), keyed=True)
        return bad

    def prepared(self, trunk: Trunk, keys: Sequence[str]) -> dict[str, Prepared]:
        """The items as a network's engine takes them, in memory and in order; without those that cannot be read.

        These are now quarantined.

        Raises:
            Unreachable: the items' storage does not answer now.
        """
        found, bad = prepare_items(trunk, self.entries(keys), max_pixels=self._config.items.max_pixels)
        if bad:
            self._store.items.quarantine(bad, at=self._now(), keyed=True)
        return found

    def entries(self, keys: Sequence[str]) -> list[Entry]:
        """The items as the models take them."""
        contents = self._store.items.contents(keys)
        return [(key, contents[key].uri, contents[key].text) for key in keys]

    def rows(self, keys: Sequence[str], cut: Cut | None = None) -> NDArray[Any]:
        """The embeddings (n, dim), float32, or activations (n, …), float16, of these items, in their order."""
        return self._cache(self.trunk_at(cut or self.cut)).rows(keys)

    def _cache(self, trunk: Trunk) -> ActivationCache:
        name = trunk.cache_key[:16]
        if name not in self._caches:
            kind = np.float32 if trunk.about.output == "embedding" else np.float16
            self._caches[name] = ActivationCache(self._config.home_ / "embeddings" / name, trunk.about.shape, kind)
        return self._caches[name]


def current_cut(config: Config, store: Store) -> Cut:
    """What a loop stands on now, without loading it."""
    model, data = config.model, config.task.data
    chosen = store.rounds.choice() if model.name == "auto" else None
    if chosen is not None:
        return Cut(chosen.network, size_for(chosen.network, model.size or chosen.size), chosen.tap)
    return Cut(resolve(model.name, data).name, model.size, model.tap)
