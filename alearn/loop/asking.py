"""With what the next items are chosen: the configured strategy, or with `auto` the one that suits the moment.

Invariant: follows from the stored labels, the newest version and the selections that are written down.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.core.keys import fingerprint, unit_interval
from alearn.core.strategies import Strategy, auto, resolve
from alearn.core.uncertainty import entropy
from alearn.loop.undertaking import Undertaking
from alearn.store.tables import SelectionRow

WATCHED = 1000
"""Items whose answers are compared from version to version."""


@dataclass(frozen=True)
class Asking:
    """A strategy, and why it was taken; `facts` are to be remembered."""

    strategy: Strategy
    reason: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def configured(loop: Undertaking, *, model: bool) -> Strategy:
    """The strategy that the config names, for a time with or without a model; `auto` needs what any phase may."""
    query = loop.config.query
    return resolve(query.strategy if model else query.cold_start)


def asking(
    loop: Undertaking, keys: Sequence[str], proba: NDArray[np.float32] | None, before: Sequence[SelectionRow]
) -> Asking:
    """What to ask with now; `proba` (n, C) is what the newest version says of the items `keys`, None: there is none."""
    query = loop.config.query
    if proba is None:
        return Asking(resolve(query.cold_start), "there is no model yet", {"phase": "cold start"})
    answers = _answers(keys, proba, loop.config.seed)
    if query.strategy != auto.NAME:
        return Asking(resolve(query.strategy), "the config says so", {"answers": answers})
    values = loop.store.annotations.training(holdout=False).values
    labels = np.bincount(np.array(loop.schema.indices(list(values)), dtype=np.intp), minlength=len(loop.schema.classes))
    choice = auto.choose(auto.State(labels, model=True, agreement=_agreement(answers, before)))
    return Asking(resolve(choice.name), choice.reason, {"phase": choice.phase, "answers": answers})


def _answers(keys: Sequence[str], proba: NDArray[np.float32], seed: int) -> dict[str, Any]:
    """The class numbers that the model names for some items, drawn by their keys, a fingerprint of these items, and
    how unsure it is of them: their mean entropy, in [0, 1], 1 being a guess.
    """
    some = sorted(range(len(keys)), key=lambda at: unit_interval(keys[at], seed))[:WATCHED]
    found = {"of": fingerprint([keys[at] for at in some])[:16], "classes": proba[some].argmax(axis=1).tolist()}
    unsure = float(entropy(proba[some]).mean() / math.log(proba.shape[1])) if some else 0.0
    return {**found, "entropy": round(unsure, 6)}


def _agreement(answers: Mapping[str, Any], before: Sequence[SelectionRow]) -> float | None:
    """How far the answers agree with those of the version before; None where that said nothing of the same items."""
    last = json.loads(before[-1].facts).get("answers", {}) if before else {}
    if last.get("of") != answers["of"]:
        return None
    return auto.agreement(np.array(last["classes"]), np.array(answers["classes"]))
