"""Model versions: found again by what they were made of, and made current again by a person.

Invariant: a version's key is the hash of (recipe, trunk, training set), so the same labels never give a second one.
"""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import dataclass

from alearn.core.keys import fingerprint
from alearn.errors import ModelError
from alearn.loop.recipe import recipe
from alearn.loop.undertaking import Undertaking
from alearn.store.annotations import Training
from alearn.store.tables import RoundRow, VersionRow

RECORDED_LIBRARIES = ("alearn", "numpy", "onnxruntime", "openvino", "scikit-learn", "torch")


@dataclass(frozen=True)
class Identity:
    """What a version is made of, and the key that follows from it."""

    key: str
    recipe: str
    trunk: str
    training_set: str


def identify(loop: Undertaking, training: Training) -> Identity:
    """The identity of the version that these labels give."""
    features = loop.features
    said = recipe(loop.config, features.cut, features.trunk.fingerprint)
    training_set = fingerprint([training.keys, training.values])
    key = fingerprint([said, training_set])
    return Identity(key, json.dumps(said, sort_keys=True), features.trunk.fingerprint, training_set)


def current(loop: Undertaking, round_: RoundRow | None) -> VersionRow | None:
    """The version of a round; None before the first round."""
    if round_ is None:
        return None
    version = loop.store.rounds.version(round_.version)
    assert version is not None, "a round and its version are written in one transaction"
    return version


def find(loop: Undertaking, prefix: str) -> VersionRow:
    """The version whose key begins so; the newest for an empty prefix.

    Raises:
        ModelError: the loop has no version, none that begins so, or several.
    """
    name, rounds = loop.config.name, loop.store.rounds
    newest = current(loop, rounds.last())
    if newest is None:
        raise ModelError(f"Loop {name!r} has no model yet. It has trained none. Run `alearn run` first.")
    found = rounds.versions(prefix) if prefix else [newest]
    if len(found) == 1:
        return found[0]
    every = found or rounds.versions()
    known = ", ".join(one.key[:8] for one in every[-12:])
    what = "one version" if found else "a version"
    raise ModelError(f"{prefix!r} must begin the key of {what} of loop {name!r}: {known}. See `alearn history`.")


def place(loop: Undertaking, version: VersionRow) -> int:
    """Make a version current: a round of its own, which stays until new labels bring another; returns its number.

    Raises:
        ModelError: its weights are lost.
    """
    if version.weights not in loop.store.blobs:
        raise ModelError(
            f"The weights of version {version.key[:8]} must be in blobs/. They are missing. Name another version."
        )
    rounds, labels = loop.store.rounds, loop.store.annotations.training(holdout=False)
    last = rounds.last()
    number, at = (last.number if last else 0) + 1, loop.clock.now()
    row = {"number": number, "version": version.key, "label_seq": labels.label_seq, "labels": version.labels, "at": at}
    rounds.placed({**row, "libraries": libraries(), "seconds": 0.0})
    return number


def libraries() -> str:
    """The versions of what computes, as a JSON object; what is not installed is left out."""
    return json.dumps({name: found for name in RECORDED_LIBRARIES if (found := _version(name))})


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
