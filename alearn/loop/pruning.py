"""Pruning the newest version: judged on labels set aside, learned from the pool, and made current where it passes.

Invariant: the version that was there stays, and is the parent of the smaller one; a kill loses at most a step's work.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from alearn.core.keys import fingerprint, unit_interval
from alearn.errors import ModelError
from alearn.loop.controller import holding
from alearn.loop.learning import Lesson, groups_of, readable
from alearn.loop.recipe import cut_of, standing_on
from alearn.loop.undertaking import Undertaking
from alearn.loop.versions import find, place
from alearn.models import Head
from alearn.models.selecting import spread_taps
from alearn.models.tuned import Tuned
from alearn.models.zoo import load_network
from alearn.store.tables import VersionRow

if TYPE_CHECKING:
    from alearn.models.networks import Network
    from alearn.models.pruning import Budget, Pruned

Say = Callable[[str], None]

POOL = 2_000
"""Unlabeled items that a thinner network learns from, at most; drawn by their keys."""


def prune_newest(loop: Undertaking, budget: Budget, *, tolerance: float, say: Say) -> Pruned:
    """Cut the newest version down to a budget; where the gate accepts it, it becomes a version of its own, and current.

    Behind a linear head the blocks at the network's end are dropped first, where a head in front of them is as good.

    Raises:
        ModelError: there is no version, it is of texts, it is thinned already, or the budget is out of its reach.
        LeaseLost: a controller is at work on this loop.
    """
    if loop.config.task.data == "text":
        raise ModelError(
            "Channels can be taken out of networks for images. This loop's is for texts. Cut it at an earlier tap "
            "instead: `alearn select` shows how good each is."
        )
    with holding(loop):
        version = find(loop, "")
        if json.loads(version.facts).get("pruned"):
            raise ModelError(
                f"What is pruned must not be so already. Version {version.key[:8]} is. `alearn restore` another first."
            )
        folder = loop.config.home_ / "pruning" / fingerprint([version.key, asdict(budget), tolerance])[:16]
        folder.mkdir(parents=True, exist_ok=True)
        found = _pruned(loop, version, budget, tolerance=tolerance, say=say, folder=folder)
        if found.tuned is not None:
            _keep(loop, version, found, {"budget": asdict(budget), "tolerance": tolerance})
        shutil.rmtree(folder.parent, ignore_errors=True)
    return found


def _pruned(
    loop: Undertaking,
    version: VersionRow,
    budget: Budget,
    *,
    tolerance: float,
    say: Callable[[str], None],
    folder: Path,
) -> Pruned:
    from alearn.models.pruning import prune
    from alearn.models.training.inputs import Pictures

    cut, target = cut_of(version.recipe), loop.config.stop_at
    trunk = loop.features.trunk_at(cut)
    size = trunk.about.inputs.get("size")
    network = load_network(cut.network, trunk.data, size).upto(cut.tap)
    content, ladder = loop.store.blobs.get(version.weights), json.loads(version.facts).get("ladder", {})
    lesson = readable(loop, loop.store.annotations.training(holdout=False), cut)
    ready = loop.features.prepared(trunk, lesson.keys)
    kept = [at for at, key in enumerate(lesson.keys) if key in ready]
    if not kept:
        raise ModelError(f"Pruning is judged on labels. Loop {loop.config.name!r} has none to learn from. Label more.")
    pool = loop.features.prepared(trunk, _pool(loop, lesson))
    found = prune(
        Head.from_bytes(content) if version.rung == "linear" else Tuned.from_bytes(content),
        network,
        Pictures(np.stack(list(ready.values()))),
        np.asarray(loop.features.rows(list(ready), cut), dtype=np.float32),
        lesson.y[kept],
        name=cut.network,
        size=size,
        engine=loop.config.model.engine,
        unlabeled=Pictures(np.stack(list(pool.values()))) if pool else None,
        taps=_earlier(version, network, say),
        groups=groups_of(loop, list(ready)),
        epochs=ladder.get("epochs") if version.rung != "linear" else None,
        strength=json.loads(version.recipe)["model"].get("strength"),
        metric=target.metric if target else "accuracy",
        positive=target.positive if target else None,
        tolerance=tolerance,
        budget=budget,
        seed=loop.config.seed,
        folder=folder,
        say=say,
    )
    if found.tuned is None or found.tuned.tap is not None:
        return found
    return replace(found, tuned=replace(found.tuned, tap=cut.tap))


def _earlier(version: VersionRow, network: Network, say: Say) -> Sequence[str]:
    """The taps that a version's network may be cut behind instead."""
    if version.rung != "linear":
        say("No blocks are dropped: those at the end were trained for these labels. Channels are cut.")
        return ()
    return [tap for tap in spread_taps(network.chain.taps) if tap != network.chain.last]


def _pool(loop: Undertaking, lesson: Lesson) -> list[str]:
    """Some items that nobody labeled; none of the hold-out."""
    labeled = set(lesson.keys)
    left = [one.key for one in loop.store.items.candidates() if not one.holdout and one.key not in labeled]
    return sorted(left, key=lambda key: unit_interval(key, loop.config.seed))[:POOL]


def _keep(loop: Undertaking, parent: VersionRow, found: Pruned, asked: dict[str, Any]) -> None:
    """The smaller network as a version, and the round that makes it current."""
    assert found.tuned is not None
    cut, written = cut_of(parent.recipe), json.loads(parent.recipe)
    short = replace(cut, tap=found.tuned.tap)
    if short != cut:
        written |= standing_on(short, loop.features.trunk_at(short).fingerprint)
    recipe = json.dumps({**written, "pruned": asked}, sort_keys=True)
    facts = {
        "pruned": {**asked, "before": asdict(found.before), "after": asdict(found.after), "tap": found.tuned.tap},
    }
    key = fingerprint([json.loads(recipe), parent.training_set, parent.key])
    row = {
        "key": key,
        "weights": loop.store.blobs.put(found.tuned.to_bytes()),
        "trunk": written["trunk"],
        "recipe": recipe,
        "training_set": parent.training_set,
        "labels": parent.labels,
        "created_at": loop.clock.now(),
        "rung": "whole",
        "parent": parent.key,
        "facts": json.dumps({**facts, "verdicts": [f"pruning: {found.verdict.reason}"]}),
    }
    loop.store.rounds.kept(row)
    place(loop, find(loop, key))
