"""What a step sees when it does its work, written down with what comes of it, so that a round can be replayed.

Annotators answer while a step is at work. What counts is not when they did but when it was collected, which the same
controller does before and after a step and never during one: so what the store holds when a step begins is all that it
sees.

Invariant: a record holds no secret, and nothing of the platform or of where things are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alearn.config.secrets import masked
from alearn.loop.undertaking import Undertaking
from alearn.loop.versions import libraries
from alearn.store.annotations import Training
from alearn.store.past import State
from alearn.store.records import Record, labeled

LEFT_OUT = {"items", "platform", "robots", "store", "home"}
"""Sections of a config that say where things are and who annotates; no step that is replayed depends on them."""


def of_training(loop: Undertaking, round_: int, training: Training) -> Record:
    """Of training a version for a round on these labels."""
    state = {"loop": told(loop) | {"label_seq": training.label_seq}, "label": labeled(training)}
    return Record("train", round_, state, at=loop.clock.now())


def of_measuring(loop: Undertaking, round_: int, holdout: Training) -> Record:
    """Of measuring a round's version on these labels.

    The version may have chosen items before, and does so again: what the labels count for is the drawing's of now.
    """
    state = {"loop": told(loop) | {"label_seq": holdout.label_seq}, "held": labeled(holdout)}
    state["selection"] = loop.store.records.selection(round_)
    return Record("evaluate", round_, state, at=loop.clock.now())


@dataclass(frozen=True)
class Glance:
    """What a selection sees before it begins; `low` and `high` are the queue's marks, which also fit people's pace."""

    round: int
    state: State
    low: int
    high: int

    def record(self, loop: Undertaking, chosen: Sequence[str], queue: str) -> Record:
        """With what came of it: the new picks in their order, and the queue that is wanted.

        What turned out to be unreadable meanwhile was not among what could be chosen.
        """
        lost = loop.store.records.aside() - self.state["aside"].keys()
        state = {**self.state, "aside": {**self.state["aside"], **{key: [None] for key in lost}}}
        facts = {"low": self.low, "high": self.high, "chosen": list(chosen), "queue": queue}
        return Record("select", self.round + 1, state, facts, loop.clock.now())


def glance(loop: Undertaking, round_: int, low: int, high: int) -> Glance:
    """What there is before a selection, by the version of a round."""
    return Glance(round_, {"loop": told(loop), **loop.store.records.seen(round_)}, low, high)


def told(loop: Undertaking) -> dict[str, Any]:
    """What steps depend on besides labels and picks."""
    config = masked(loop.config.model_dump(mode="json", exclude=LEFT_OUT))
    return {**loop.store.records.loop(), "config": config, "libraries": json.loads(libraries())}
