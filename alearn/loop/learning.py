"""From labels to a version's weights: a linear head always, and higher rungs of the ladder where they pay.

Invariant: what is fitted follows from the labels, the recipe and the history of versions alone; killed, it goes on.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from alearn.errors import ModelError
from alearn.loop.features import Cut
from alearn.loop.plan import climb_due
from alearn.loop.scoring import behind
from alearn.loop.undertaking import Undertaking
from alearn.loop.versions import Identity, current, identify
from alearn.models import Head, fit_head
from alearn.models.tuned import Tuned
from alearn.models.zoo import load_network
from alearn.store.annotations import Training

if TYPE_CHECKING:
    from alearn.models.training.inputs import Inputs
    from alearn.models.training.ladder import Ground

ACTIVATIONS = 8 * 2**30
"""Bytes that the cached activations of all of a loop's items may take on disk."""


@dataclass(frozen=True)
class Fitted:
    """A version that has been made and is in no round yet: its row, and what it was trained on when."""

    row: Mapping[str, Any]
    training: Training
    seconds: float


def fit(loop: Undertaking) -> Fitted:
    """Fit a version on all labels outside the hold-out; the same labels and recipe give the same version."""
    started, training = time.perf_counter(), loop.store.annotations.training(holdout=False)
    before = loop.store.rounds.last()
    row = learned(loop, identify(loop, training), training, parent=before.version if before else None)
    return Fitted(row, training, time.perf_counter() - started)


def is_long(loop: Undertaking) -> bool:
    """Whether the next version takes more than the seconds of a linear head."""
    if loop.config.model.ladder == "linear":
        return False
    training = loop.store.annotations.training(holdout=False)
    before = _before(loop, identify(loop, training).recipe)
    return before.get("rung", "linear") != "linear" or climb_due(len(training.keys), before.get("tried_on"))


def learned(loop: Undertaking, identity: Identity, training: Training, *, parent: str | None) -> dict[str, Any]:
    """The row of the version that these labels give; its weights are fitted unless they are known already."""
    known = loop.store.rounds.version(identity.key)
    if known and known.weights in loop.store.blobs:
        return known.model_dump(exclude={"loop_id"})
    found = _fitted(loop, identity, readable(loop, training, loop.features.cut))
    return {
        "key": identity.key,
        "weights": loop.store.blobs.put(found.content),
        "trunk": identity.trunk,
        "recipe": identity.recipe,
        "training_set": identity.training_set,
        "labels": len(training.keys),
        "created_at": loop.clock.now(),
        "rung": found.rung,
        "parent": known.parent if known else parent,
        "facts": json.dumps(found.facts),
    }


@dataclass(frozen=True)
class Lesson:
    """What there is to learn from: the items that can be read, and their classes."""

    keys: list[str]
    y: NDArray[np.intp]


class _Gone(Exception):  # noqa: N818 - the items are gone, the loop is not
    """Items that could be read once cannot be any more: what is learned from must be made without them."""

    def __init__(self, keys: Collection[str]) -> None:
        super().__init__(f"{len(keys)} items")
        self.keys = keys


def groups_of(loop: Undertaking, keys: Sequence[str]) -> list[str]:
    """The group of each item: those of one are judged together, by a model that saw none of them."""
    found = loop.store.items.groups(keys)
    return [found[key] for key in keys]


def readable(loop: Undertaking, training: Training, cut: Cut) -> Lesson:
    """The labels whose items a network could read."""
    lost = loop.features.ensure(training.keys, cut)
    kept = [(key, value) for key, value in zip(training.keys, training.values, strict=True) if key not in lost]
    return Lesson([key for key, _ in kept], np.array(loop.schema.indices([value for _, value in kept]), dtype=np.intp))


@dataclass(frozen=True)
class Learned:
    """The weights, the rung that they are of, and what is to be remembered of how they came about."""

    content: bytes
    rung: str
    facts: Mapping[str, Any]


Before = Mapping[str, Any]
"""What an earlier version found out about the ladder: `tried_on` labels, the `rung` reached, its `epochs`, …"""


def _fitted(loop: Undertaking, identity: Identity, lesson: Lesson) -> Learned:
    """What these labels give, without those whose items turn out to be gone."""
    while True:
        try:
            return _learned(loop, identity, lesson)
        except _Gone as error:
            kept = [at for at, key in enumerate(lesson.keys) if key not in error.keys]
            lesson = Lesson([lesson.keys[at] for at in kept], lesson.y[kept])


def _learned(loop: Undertaking, identity: Identity, lesson: Lesson) -> Learned:
    model, seed = loop.config.model, loop.config.seed
    x = loop.features.rows(lesson.keys)
    head = fit_head(x, lesson.y, len(loop.schema.classes), seed=seed, strength=model.strength)
    before = _before(loop, identity.recipe)
    due = model.ladder != "linear" and climb_due(len(lesson.y), before.get("tried_on"))
    if not due and before.get("rung", "linear") == "linear":
        return Learned(head.to_bytes(), "linear", {"ladder": before} if before else {})
    folder = _workshop(loop, identity)
    return _climbed(loop, head, x, lesson, folder) if due else _stayed(loop, head, x, lesson, before, folder=folder)


def _before(loop: Undertaking, recipe: str) -> Before:
    """What the newest version that stands on the same network, by the same recipe, found out about the ladder."""
    version = current(loop, loop.store.rounds.last())
    while version is not None and "pruned" in json.loads(version.recipe):
        version = loop.store.rounds.version(version.parent or "")
    if version is None or version.recipe != recipe:
        return {}
    found: Before = json.loads(version.facts).get("ladder", {})
    return found


def _workshop(loop: Undertaking, identity: Identity) -> Path:
    """Where a climb keeps its state; `clear` removes it when the version is written down."""
    folder = loop.config.home_ / "training" / identity.key[:16]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def clear(loop: Undertaking, weights: str) -> None:
    """Remove what was kept on the way to versions, and what others than that of these weights predicted."""
    shutil.rmtree(loop.config.home_ / "training", ignore_errors=True)
    for folder in (loop.config.home_ / "predictions").glob("*"):
        if not folder.name.startswith(weights[:16]):
            shutil.rmtree(folder, ignore_errors=True)


def _climbed(loop: Undertaking, head: Head, x: NDArray[np.float32], lesson: Lesson, folder: Path) -> Learned:
    """As high as it pays."""
    from alearn.models.training.ladder import climb

    target, model = loop.config.stop_at, loop.config.model
    metric, positive = (target.metric, target.positive) if target else ("accuracy", None)
    try:
        ground = ground_of(loop, lesson)
    except ModelError as error:
        return _linear(head, len(lesson.y), str(error))
    found = climb(
        head,
        x,
        lesson.y,
        ground,
        top=model.ladder,
        metric=metric,
        positive=positive,
        groups=groups_of(loop, lesson.keys),
        strength=model.strength,
        seed=loop.config.seed,
        checkpoint=folder,
        report=loop.report.progress,
    )
    verdicts = [f"{one.rung}: {one.reason}" for one in found.verdicts]
    for text in verdicts:
        loop.report.say(f"Ladder, {text}")
    ladder = {"tried_on": len(lesson.y), "rung": found.rung}
    if isinstance(found.model, Tuned) and found.reached is not None:
        ladder |= {"start": found.model.start, "epochs": found.reached.epochs, "temperature": found.model.temperature}
    made = _ending(loop, found.model) if isinstance(found.model, Tuned) else found.model
    return Learned(made.to_bytes(), found.rung, {"ladder": ladder, "verdicts": verdicts})


def _ending(loop: Undertaking, tuned: Tuned) -> Tuned:
    """With what only the loop knows: where the network was cut."""
    return replace(tuned, tap=loop.features.cut.tap)


def _stayed(
    loop: Undertaking, head: Head, x: NDArray[np.float32], lesson: Lesson, before: Before, *, folder: Path
) -> Learned:
    """On the rung of the version before, as long as there are not many more labels than when it was climbed."""
    from alearn.models.training.ladder import stay

    try:
        found = stay(
            x,
            lesson.y,
            len(loop.schema.classes),
            ground_of(loop, lesson),
            rung=before["rung"],
            start=before["start"],
            epochs=before["epochs"],
            temperature=before["temperature"],
            strength=loop.config.model.strength,
            seed=loop.config.seed,
            checkpoint=folder,
            report=loop.report.progress,
        )
    except ModelError as error:  # the pool has outgrown the disk, say: the head that is there still learns
        return _linear(head, len(lesson.y), f"{before['rung']}: {error}")
    return Learned(_ending(loop, found).to_bytes(), found.rung, {"ladder": dict(before)})


def _linear(head: Head, labels: int, why: str) -> Learned:
    """On the lowest rung, because a higher one failed."""
    return Learned(head.to_bytes(), "linear", {"ladder": {"tried_on": labels}, "verdicts": [why]})


def ground_of(loop: Undertaking, lesson: Lesson) -> Ground:
    """The network that the loop stands on, and its items, each made when they are asked for.

    Raises:
        ModelError: it is no network that can be trained.
    """
    from alearn.models.training.inputs import Pictures, Stored, Texts
    from alearn.models.training.ladder import Ground

    features, cut, data = loop.features, loop.features.cut, loop.config.task.data
    trunk = features.trunk
    size = trunk.about.inputs.get("size")
    network = load_network(cut.network, data, size).upto(cut.tap)

    def prepared() -> Inputs:
        found = features.prepared(trunk, lesson.keys)
        if gone := set(lesson.keys) - found.keys():
            raise _Gone(gone)
        ready = list(found.values())
        if data == "text":
            return Texts([one.astype(np.int64, copy=False) for one in ready])
        return Pictures(np.stack(ready))

    def stored(tap: str) -> Inputs:
        there = behind(cut, tap)
        _affordable(loop, features.trunk_at(there).about.shape)
        if gone := features.ensure(lesson.keys, there):
            raise _Gone(gone)
        return Stored(features.rows(lesson.keys, there))

    return Ground(
        name=cut.network,
        size=size,
        network=lambda: network,
        prepared=prepared,
        stored=stored if data == "image" else None,
        engine=loop.config.model.engine,
    )


def _affordable(loop: Undertaking, shape: tuple[int, ...]) -> None:
    """Raises ModelError: the pool's activations would fill the disk."""
    wanted = loop.store.loop().items * math.prod(shape) * 2
    if wanted > ACTIVATIONS:
        raise ModelError(
            f"The activations of all items may take {ACTIVATIONS / 2**30:.0f} GiB of disk. These would take "
            f"{wanted / 2**30:.0f}. Set `model.ladder: linear`, or a smaller `model.size`."
        )
