"""Model versions: fitted from labels, kept as blobs, found again by what they were made of.

Invariant: a version's key is the hash of (recipe, trunk, training set), so the same labels never give a second one.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alearn.core.keys import fingerprint
from alearn.errors import ModelError
from alearn.loop.undertaking import Undertaking
from alearn.models import Head, fit_head
from alearn.store.annotations import Training
from alearn.store.tables import RoundRow

RECORDED_LIBRARIES = ("alearn", "numpy", "onnxruntime", "scikit-learn", "torch")


@dataclass(frozen=True)
class Recipe:
    """What a version is made of."""

    key: str
    recipe: str
    trunk: str
    training_set: str


def recipe(loop: Undertaking, training: Training) -> Recipe:
    """The identity of the version that these labels give."""
    trunk = loop.features.trunk.fingerprint
    said = {**loop.config.recipe, "trunk": trunk}
    training_set = fingerprint([training.keys, training.values])
    return Recipe(fingerprint([said, training_set]), json.dumps(said, sort_keys=True), trunk, training_set)


def weights(loop: Undertaking, made_of: Recipe, training: Training) -> str:
    """The blob of the version's weights, fitted unless it is known already."""
    known = loop.store.rounds.version(made_of.key)
    if known and known.weights in loop.store.blobs:
        return known.weights
    return loop.store.blobs.put(_fit(loop, training.keys, training.values).to_bytes())


def _fit(loop: Undertaking, keys: Sequence[str], values: Sequence[str]) -> Head:
    lost = loop.features.ensure(keys)
    kept = [(key, value) for key, value in zip(keys, values, strict=True) if key not in lost]
    x = loop.features.rows([key for key, _ in kept])
    y = loop.schema.indices([value for _, value in kept])
    classes, strength = len(loop.schema.classes), loop.config.model.strength
    return fit_head(x, y, classes, seed=loop.config.seed, strength=strength)


def current_head(loop: Undertaking, round_: RoundRow | None) -> Head | None:
    """The trained head of a round's version; None before the first round.

    Raises:
        ModelError: it was trained on another network than the config now names.
    """
    if round_ is None:
        return None
    version = loop.store.rounds.version(round_.version)
    assert version is not None, "a round and its version are written in one transaction"
    if version.trunk != loop.features.trunk.fingerprint:
        raise ModelError(
            f"The version of round {round_.number} must stand on the network it was trained on. The config, or a newer "
            "package, names another. `alearn run` trains a version on it."
        )
    return Head.from_bytes(loop.store.blobs.get(version.weights))


def as_row(made_of: Recipe, blob: str, labels: int, at: str) -> dict[str, Any]:
    """The version's row."""
    row = {"key": made_of.key, "weights": blob, "trunk": made_of.trunk, "recipe": made_of.recipe}
    return {**row, "training_set": made_of.training_set, "labels": labels, "created_at": at}


def libraries() -> str:
    """The versions of what computes, as a JSON object."""
    return json.dumps({name: importlib.metadata.version(name) for name in RECORDED_LIBRARIES})
