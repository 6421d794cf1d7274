"""The model that a report is about, and the hold-out as it answers it.

Invariant: the hold-out's labels are those that count for the loop's own metrics; the model never saw them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alearn.errors import ModelError
from alearn.loop.drawing import drawing_now
from alearn.loop.features import Cut
from alearn.loop.forecasting import History
from alearn.loop.learning import groups_of, readable
from alearn.loop.recipe import cut_of
from alearn.loop.scoring import Scorer, scorer
from alearn.loop.undertaking import Undertaking
from alearn.store.tables import RoundRow, VersionRow


@dataclass(frozen=True, eq=False)
class Standing:
    """The version of a round at work, and what it stands on."""

    round: RoundRow
    version: VersionRow
    model: Scorer
    cut: Cut


@dataclass(frozen=True, eq=False)
class Held:
    """The hold-out's labels `y` (n,), what the model says of them, (n, C), and the group of each.

    `weights` (n,), mean 1, say for how much each counts, None: for the same.
    """

    keys: list[str]
    y: NDArray[np.intp]
    proba: NDArray[np.float32]
    groups: list[str]
    weights: NDArray[np.float64] | None = None


def standing(loop: Undertaking, history: History) -> Standing:
    """The newest version that was measured; the newest at all where none was.

    Raises:
        ModelError: there is none, its weights are lost, or its network cannot be loaded.
    """
    measured = [row for row, _ in history if row.measured is not None] or [row for row, _ in history]
    version = loop.store.rounds.version(measured[-1].version) if measured else None
    if version is None:
        raise ModelError("No model has been trained yet: `alearn run` trains one as soon as there are labels")
    if version.weights not in loop.store.blobs:
        raise ModelError(f"The weights of version {version.key[:8]} are not in blobs/: `alearn run` makes them anew")
    return Standing(measured[-1], version, scorer(loop, version), cut_of(version.recipe))


def held_of(loop: Undertaking, now: Standing) -> Held:
    """The hold-out as the version answers it; raises Unreachable where items are needed and cannot be read now."""
    found = readable(loop, loop.store.annotations.training(holdout=True), now.cut)
    lost = now.model.ensure(found.keys)
    rows = [at for at, key in enumerate(found.keys) if key not in lost]
    keys = [found.keys[at] for at in rows]
    nothing = np.empty((0, len(loop.schema.classes)), dtype=np.float32)
    groups = groups_of(loop, keys)
    weights = drawing_now(loop).weights(keys, groups)
    return Held(keys, found.y[rows], now.model.proba(keys) if keys else nothing, groups, weights)
