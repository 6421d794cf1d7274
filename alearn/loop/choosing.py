"""Which pretrained network a loop with `model.name: auto` stands on: chosen on its own labels, and again when they have
grown tenfold.

Invariant: a choice is a row, with its reason; a new process stands on the same network.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from alearn.errors import ModelError
from alearn.loop.features import Cut
from alearn.loop.undertaking import Undertaking
from alearn.models.selecting import Selection, select
from alearn.models.zoo import offline_candidates, size_for
from alearn.places import cache_folder


def choose(loop: Undertaking) -> None:
    """Choose a network, write it down with its reason, and say so."""
    settle(loop, found(loop))


def found(loop: Undertaking) -> dict[str, Any]:
    """The row of the choice that the labels give now."""
    before = loop.features.cut
    labels = len(loop.store.annotations.training(holdout=False).keys)
    try:
        ranking = rank(loop)
    except ModelError as error:  # nothing can be loaded but, perhaps, what the loop stands on
        now, reason = before, f"{before.network} stays: {error}"
    else:
        name = ranking.first.network
        now = Cut(name, size_for(name, loop.config.model.size), ranking.first.tap)
        reason = ranking.reason if now == before else f"{_title(before)} was used before. {ranking.reason}"
    chosen = {"network": now.network, "size": now.size, "tap": now.tap, "reason": reason}
    return {"labels": labels, "at": loop.clock.now(), **chosen}


def settle(loop: Undertaking, row: dict[str, Any]) -> None:
    """Stand on this choice from now on."""
    loop.store.rounds.chosen(row)
    loop.report.say(f"Network: {row['reason']}")


def _title(cut: Cut) -> str:
    return cut.network if cut.tap is None else f"{cut.network} behind {cut.tap}"


def rank(loop: Undertaking, names: tuple[str, ...] = (), *, measured: int = 0) -> Selection:
    """Every candidate network, cut behind its taps, on the loop's training labels.

    `names`: the candidates; none: the config's, or else all whose weights are on this machine. The speed of the first
    `measured` is measured, which takes some seconds for each.

    Raises:
        ModelError: there is no label yet, or no candidate can be used.
        Unreachable: the items' storage does not answer now.
    """
    config, training = loop.config, loop.store.annotations.training(holdout=False)
    if not training.keys:
        raise ModelError(
            f"Networks are compared on labels. Loop {config.name!r} has none to learn from yet. Run `alearn run` first."
        )
    target, groups = config.stop_at, loop.store.items.groups(training.keys)
    return select(
        names or config.model.candidates or offline_candidates(config.task.data),
        config.task.data,
        loop.features.entries(training.keys),
        np.array(loop.schema.indices(training.values), dtype=np.intp),
        len(loop.schema.classes),
        metric=target.metric if target else "accuracy",
        positive=target.positive if target else None,
        size=config.model.size,
        seed=config.seed,
        folder=cache_folder() / "selection",
        report=loop.report.progress,
        groups=[groups[key] for key in training.keys],
        max_pixels=config.items.max_pixels,
        measured=measured,
    )
