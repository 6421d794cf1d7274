"""Simulated people: what an annotator would say of an item whose truth is known, as a pure function.

Invariant: an answer depends only on (profile, annotator, item, truth), never on when or in which order it is asked, so
that a crashed and restarted simulation gets the same answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from alearn.errors import ConfigError


@dataclass(frozen=True)
class Profile:
    """How a simulated annotator behaves.

    `accuracy` in [0, 1] is the share of right answers; the wrong ones are spread evenly, or by `confusion`:
    {truth: {answer: probability}}, which replaces `accuracy` for the classes it names (what is left of 1 is the truth).
    `skip_rate` in [0, 1]. `seconds` is the median time for one item, spread log-normally.
    """

    accuracy: float = 1.0
    confusion: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    skip_rate: float = 0.0
    seconds: float = 5.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("accuracy", "skip_rate"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ConfigError(f"`annotators.{name}` must be in [0, 1]. Got {value}. Correct it.")
        for truth, row in self.confusion.items():
            if min(row.values(), default=0) < 0 or sum(row.values()) > 1 + 1e-9:
                raise ConfigError(
                    f"`annotators.confusion` of {truth!r} must hold probabilities of at most 1 in all. Got {dict(row)}."
                )


@dataclass(frozen=True)
class Answer:
    """What was said: a class name, or None for a skip; and how long it took, in seconds."""

    value: str | None
    seconds: float


def answer(profile: Profile, annotator: str, key: str, truth: str, classes: Sequence[str]) -> Answer:
    """The answer of `annotator` to the item `key` whose true class is `truth`."""
    digest = hashlib.sha256(f"{profile.seed}\0{annotator}\0{key}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    seconds = float(profile.seconds * np.exp(rng.normal(0.0, 0.4)))
    if rng.random() < profile.skip_rate:
        return Answer(None, seconds)
    return Answer(str(rng.choice(list(classes), p=_chances(profile, truth, classes))), seconds)


def _chances(profile: Profile, truth: str, classes: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """P(answer = class) for each class; sums to 1."""
    chances = np.zeros(len(classes))
    if truth in profile.confusion:
        for name, chance in profile.confusion[truth].items():
            chances[classes.index(name)] += chance
        chances[classes.index(truth)] += 1 - chances.sum()
    else:
        chances += (1 - profile.accuracy) / max(len(classes) - 1, 1)
        chances[classes.index(truth)] = profile.accuracy if len(classes) > 1 else 1.0
    np.clip(chances, 0, None, out=chances)
    chances /= chances.sum()
    return chances
