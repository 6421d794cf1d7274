"""Measuring the newest version on the hold-out, in a way that may be looked at after every round.

Each look at the target's metric is a chance more to be lucky. So its bounds are wider than those of a single look: as
much as the looks before have left, given how far the new version is right about the same items as the last one.

Invariant: the hold-out is never trained on; every metric has its interval; a round that is measured again is the same
look as before.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.core.estimation import bootstrap, contributions
from alearn.core.metrics import METRICS
from alearn.core.seeds import generator
from alearn.core.stopping import FEWEST, Target, look_confidences, overlap
from alearn.errors import ModelError, StoreError
from alearn.loop import recording, versions
from alearn.loop.drawing import drawing_now, drawing_of
from alearn.loop.scoring import Scorer, scorer
from alearn.loop.undertaking import Undertaking
from alearn.store.annotations import Training
from alearn.store.tables import RoundRow


@dataclass(frozen=True)
class Look:
    """The `number`-th look at the target's metric: the one-sided `confidence` of its bounds, so that all looks together
    keep the target's; `overlap` with the look before, in [0, 1]; up to which `seq` labels had come.
    """

    number: int
    confidence: float
    overlap: float
    seq: int


@dataclass(frozen=True, eq=False)
class _Held:
    """The hold-out's labels that could be read, what the version says of them, and for how much each counts, None: for
    the same; `labels` are all.
    """

    keys: list[str]
    y: NDArray[np.intp]
    proba: NDArray[np.float32]
    groups: list[str]
    moved: NDArray[np.intp]
    labels: Training
    weights: NDArray[np.float64] | None


def evaluate(loop: Undertaking) -> None:
    """Measure the newest version on the hold-out, each metric with its interval."""
    round_ = loop.store.rounds.last()
    version = versions.current(loop, round_)
    assert round_ is not None, "plan evaluates only what was trained"
    assert version is not None, "a round has a version"
    held = _held(loop, scorer(loop, version))
    look = _look(loop, round_, held)
    loop.store.rounds.evaluated(
        round_.number,
        measure(loop, round_, held, look) if held.keys else [],
        measured=loop.config.measured_for,
        holdout_labels=len(held.keys),
        look=json.dumps(asdict(look)) if look else None,
        record=recording.of_measuring(loop, round_.number, held.labels),
    )


def _held(loop: Undertaking, model: Scorer) -> _Held:
    labels = loop.store.annotations.training(holdout=True)
    lost = model.ensure(labels.keys)
    rows = [at for at, key in enumerate(labels.keys) if key not in lost]
    keys = [labels.keys[at] for at in rows]
    group_of = loop.store.items.groups(keys)
    groups = [group_of[key] for key in keys]
    return _Held(
        keys=keys,
        y=np.array(loop.schema.indices([labels.values[at] for at in rows]), dtype=np.intp),
        proba=model.proba(keys) if keys else np.empty((0, len(loop.schema.classes)), dtype=np.float32),
        groups=groups,
        moved=np.array([labels.moved[at] for at in rows], dtype=np.intp),
        labels=labels,
        weights=drawing_now(loop).weights(keys, groups),
    )


def measure(loop: Undertaking, round_: RoundRow, held: _Held, look: Look | None) -> list[dict[str, Any]]:
    """The rows of all metrics; the bounds of the target's are those of the look."""
    target = loop.config.stop_at
    one_sided = target.confidence if target else 0.95
    return [
        {"name": name, "value": _number(found.value), "low": _number(found.low), "high": _number(found.high)}
        | {"confidence": one_sided, "n": found.n}
        for name in METRICS
        for found in [
            bootstrap(
                held.y,
                held.proba,
                held.groups,
                name,
                positive=target.positive if target else None,
                confidence=2 * (look.confidence if look and target and name == target.metric else one_sided) - 1,
                rng=generator(loop.config.seed, loop.config.name, round_.number, f"bootstrap-{name}"),
                weights=held.weights,
            )
        ]
    ]


def _look(loop: Undertaking, round_: RoundRow, held: _Held) -> Look | None:
    """The look that this is; None where there is no target, or too few labels to judge it on."""
    target = loop.config.stop_at
    if target is None or len(held.keys) < FEWEST:
        return None
    before = [row for row, _ in loop.store.rounds.history() if row.number < round_.number and row.look]
    looks = [Look(**json.loads(row.look or "")) for row in before]
    alike = _overlap(loop, target, before[-1], looks[-1].seq, held) if before else 0.0
    confidence = look_confidences(target.confidence, [*(one.overlap for one in looks[1:]), alike][: len(looks)])[-1]
    return Look(len(looks) + 1, confidence, alike, held.labels.label_seq)


def _overlap(loop: Undertaking, target: Target, before: RoundRow, seq: int, held: _Held) -> float:
    """How alike this look and the last are, at the version of the round `before` and the labels up to `seq`, each label
    counting for what it did then; 0 where that is not known.
    """
    last = loop.store.rounds.version(before.version)
    try:
        model = scorer(loop, last) if last else None
    except (ModelError, StoreError):  # its weights are lost
        model = None
    if model is None or model.ensure(held.keys):
        return 0.0
    earlier = [row for row in loop.store.rounds.selections() if row.round < before.number]
    then = drawing_of(loop, earlier).weights(held.keys, held.groups)
    was, is_ = (
        contributions(held.y, proba, target.metric, positive=target.positive, weights=weights)
        for proba, weights in ((model.proba(held.keys), then), (held.proba, held.weights))
    )
    return overlap(np.where(held.moved <= seq, was, np.nan), is_, held.groups)


def _number(value: float) -> float | None:
    return None if value != value else float(value)  # noqa: PLR0124 - NaN has no place in a database
