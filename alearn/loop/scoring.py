"""What a model version believes of items.

Invariant: a version believes the same of an item on every call; what costs more than a matrix product is kept on disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from alearn.loop.features import Cut, Features
from alearn.loop.recipe import cut_of
from alearn.loop.undertaking import Undertaking
from alearn.models import ActivationCache, Head, Trunk
from alearn.models.tuned import Tuned
from alearn.models.tuned_trunk import TunedTail, open_tail, open_whole
from alearn.places import cache_folder
from alearn.store.tables import VersionRow

BLOCK = 512
"""Activations that a tail is given at once, and predictions in a file."""


class Scorer(Protocol):
    """A version at work."""

    def ensure(self, keys: Sequence[str]) -> frozenset[str]:
        """Compute what `proba` needs; returns the keys of what cannot be read, which is now quarantined."""
        ...

    def proba(self, keys: Sequence[str]) -> NDArray[np.float32]:
        """The probabilities, shape (n, C), float32, in the order of the keys, for which `ensure` was called before."""
        ...


def scorer(loop: Undertaking, version: VersionRow) -> Scorer:
    """A version of the loop, ready to be asked.

    Raises:
        ModelError: its network cannot be loaded, or its weights are damaged.
    """
    content, cut, features = loop.store.blobs.get(version.weights), cut_of(version.recipe), loop.features
    if version.rung == "linear":
        return _Linear(features, cut, Head.from_bytes(content))
    tuned, base, kept = Tuned.from_bytes(content), features.trunk_at(cut), cache_folder() / "tuned"
    if base.data == "image" and tuned.start is not None:
        cached = behind(cut, tuned.start)
        shape = features.trunk_at(cached).about.shape
        tail = open_tail(tuned, version.weights, base, shape, kept, engine=loop.config.model.engine)
        return _Tail(features, cached, tail, _predictions(loop, version, tail.cache_key, tail.classes))
    model = loop.config.model
    trunk = open_whole(tuned, version.weights, base, kept, engine=model.engine, precision=model.precision)
    return _Whole(features, trunk, _predictions(loop, version, trunk.cache_key, tuned.classes))


def behind(cut: Cut, start: str) -> Cut:
    """What is cached for a tail of the network that begins behind a tap."""
    return Cut(cut.network, cut.size, start, "activation")


def _predictions(loop: Undertaking, version: VersionRow, key: str, classes: int) -> ActivationCache:
    return ActivationCache(loop.config.home_ / "predictions" / f"{version.weights[:16]}-{key[:16]}", (classes,))


@dataclass(frozen=True)
class _Linear:
    """A head on the embeddings."""

    features: Features
    cut: Cut
    head: Head

    def ensure(self, keys: Sequence[str]) -> frozenset[str]:
        return self.features.ensure(keys, self.cut)

    def proba(self, keys: Sequence[str]) -> NDArray[np.float32]:
        return self.head.proba(self.features.rows(keys, self.cut))


@dataclass(frozen=True)
class _Whole:
    """A network that is run from its input."""

    features: Features
    trunk: Trunk
    predictions: ActivationCache

    def ensure(self, keys: Sequence[str]) -> frozenset[str]:
        return self.features.compute(self.trunk, self.predictions, keys, "Predicting")

    def proba(self, keys: Sequence[str]) -> NDArray[np.float32]:
        return np.asarray(self.predictions.rows(keys), dtype=np.float32)


@dataclass(frozen=True)
class _Tail:
    """The last blocks, on cached activations."""

    features: Features
    cut: Cut
    tail: TunedTail
    predictions: ActivationCache

    def ensure(self, keys: Sequence[str]) -> frozenset[str]:
        missing = self.predictions.missing(keys)
        lost = self.features.ensure(missing, self.cut)
        known = [key for key in missing if key not in lost]
        for start in range(0, len(known), BLOCK):
            block = known[start : start + BLOCK]
            self.predictions.append(block, self.tail.proba(self.features.rows(block, self.cut)))
            self.features.progress("Predicting", start + len(block), len(known))
        return lost

    def proba(self, keys: Sequence[str]) -> NDArray[np.float32]:
        return np.asarray(self.predictions.rows(keys), dtype=np.float32)
