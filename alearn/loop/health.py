"""What may be wrong with a loop's items and labels: copies, leaks, outliers, balance, labels that the model doubts.

Invariant: looking changes no label and no pick. Asking again closes nothing and answers nothing: another person's
opinion is wanted beside those there are, and doing it twice is doing it once. Hold-out labels are never asked about
again because a model doubts them, for then the hold-out would flatter that model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alearn.core.consensus import voices
from alearn.core.health import Balance, balance, neighbour_distance, outlyingness, suspects
from alearn.core.keys import fingerprint
from alearn.core.opinions import doubted
from alearn.loop.believing import belief
from alearn.loop.copies import Copies, copies_of
from alearn.loop.undertaking import Undertaking
from alearn.store.items import Candidate, Content
from alearn.store.tables import AnnotationRow, QuarantineRow

LIMIT = 3.5
"""Robust standard deviations above which an item is an outlier."""
AMONG = 4096
"""Items that outliers are compared with at most, by their hash."""


@dataclass(frozen=True)
class Member:
    """An item of a family: where it is, on which side, and its label if it has one."""

    key: str
    what: str
    holdout: bool
    label: str | None


@dataclass(frozen=True)
class Family:
    """Near copies of each other."""

    members: tuple[Member, ...]

    @property
    def straddles(self) -> bool:
        """Whether the hold-out has some, and not all."""
        return len({one.holdout for one in self.members}) > 1

    @property
    def leaks(self) -> bool:
        """Whether the hold-out has a label for one, and the model was trained on that of another."""
        return {one.holdout for one in self.members if one.label is not None} == {False, True}

    @property
    def disagrees(self) -> bool:
        """Whether their labels differ, so that one is wrong."""
        return len({one.label for one in self.members if one.label is not None}) > 1


@dataclass(frozen=True)
class Outlier:
    """An item unlike others, by so many robust standard deviations."""

    key: str
    what: str
    deviations: float


@dataclass(frozen=True)
class Suspect:
    """A label that may be wrong: `given`, to which a model that has not seen it gives `probability`; its own word is
    `suggested`, of which it is so sure (`confidence`). `doubted`: sure enough that the label is probably wrong.
    `opinions` are people who have answered, `asked` says whether another is wanted already.
    """

    key: str
    what: str
    given: str
    suggested: str
    confidence: float
    probability: float
    doubted: bool
    opinions: int
    asked: bool


@dataclass(frozen=True)
class Health:
    """All that was found. `suspects` is None where there are too few labels to suspect any, `outliers` are sorted."""

    items: int
    families: tuple[Family, ...]
    outliers: tuple[Outlier, ...]
    counts: Mapping[str, int]
    balance: Balance
    suspects: tuple[Suspect, ...] | None
    quarantined: tuple[QuarantineRow, ...]
    people: int


@dataclass(frozen=True)
class Asked:
    """What came of asking again: keys that are asked about now, that were before, and those with opinions enough."""

    now: tuple[str, ...]
    before: tuple[str, ...]
    enough: tuple[str, ...]


def health(loop: Undertaking) -> Health:
    """Look at all items and labels; what is not embedded yet is embedded.

    Raises:
        Unreachable: the items' storage does not answer now.
        ModelError: the network cannot be loaded.
    """
    lost = loop.features.ensure([one.key for one in loop.store.items.candidates()])
    candidates = [one for one in loop.store.items.candidates() if one.key not in lost]
    labels = {label.key: str(label.value) for label, _ in loop.store.annotations.labels()}
    counts = Counter(labels.values())
    spread = {name: counts[name] for name in loop.schema.classes}
    return Health(
        items=len(candidates),
        families=_families(loop, candidates, copies_of(loop, candidates), labels),
        outliers=_outliers(loop, [one.key for one in candidates]),
        counts=spread,
        balance=balance(list(spread.values())),
        suspects=suspected(loop),
        quarantined=tuple(loop.store.items.quarantined()),
        people=len(loop.store.annotations.annotators()),
    )


def _families(
    loop: Undertaking, candidates: Sequence[Candidate], copies: Copies, labels: Mapping[str, str]
) -> tuple[Family, ...]:
    """The families, those that say most first: straddling, disagreeing, large."""
    held = {one.key for one in candidates if one.holdout}
    contents = loop.store.items.contents([key for one in copies.families for key in one])
    found = [
        Family(tuple(Member(key, _what(contents[key]), key in held, labels.get(key)) for key in one))
        for one in copies.families
    ]
    found.sort(key=lambda one: (not one.leaks, not one.disagrees, not one.straddles, -len(one.members)))
    return tuple(found)


def _what(content: Content) -> str:
    return content.uri or content.text or ""


def _outliers(loop: Undertaking, keys: Sequence[str]) -> tuple[Outlier, ...]:
    if not keys:
        return ()
    x = loop.features.rows(keys)
    far = outlyingness(neighbour_distance(x, np.arange(min(len(keys), AMONG))))
    rows = [int(row) for row in np.argsort(-far, kind="stable") if far[row] > LIMIT]
    contents = loop.store.items.contents([keys[row] for row in rows])
    return tuple(Outlier(keys[row], _what(contents[keys[row]]), float(far[row])) for row in rows)


def suspected(loop: Undertaking) -> tuple[Suspect, ...] | None:
    """The labels outside the hold-out that may be wrong, the most suspect first; None: too few labels to say.

    What a person has marked as the truth is not suspected.
    """
    found = belief(loop)
    if found is None:
        return None
    known = loop.store.annotations.training(holdout=False)
    given = dict(zip(known.keys, known.values, strict=True))
    said, picks = _said(loop), {pick.key: pick for pick in loop.store.rounds.picks()}
    keys = [key for key in found.keys if not any(row.trusted for row in said.get(key, ()))]
    row_of = {key: row for row, key in enumerate(found.keys)}
    proba = found.proba[[row_of[key] for key in keys]]
    numbers = np.array(loop.schema.indices([given[key] for key in keys]), dtype=np.intp)
    order, doubts = [int(row) for row in suspects(numbers, proba)], doubted(numbers, proba)
    contents = loop.store.items.contents([keys[row] for row in order])
    return tuple(
        Suspect(
            key=keys[row],
            what=_what(contents[keys[row]]),
            given=given[keys[row]],
            suggested=found.classes[int(proba[row].argmax())],
            confidence=float(proba[row].max()),
            probability=float(proba[row, numbers[row]]),
            doubted=bool(doubts[row]),
            opinions=len(voices(said.get(keys[row], ()))),
            asked=keys[row] in picks and picks[keys[row]].closed is None,
        )
        for row in order
    )


def _said(loop: Undertaking) -> Mapping[str, Sequence[AnnotationRow]]:
    found: dict[str, list[AnnotationRow]] = {}
    for row in loop.store.annotations.all():
        if not row.deleted:
            found.setdefault(row.key, []).append(row)
    return found


def ask_again(loop: Undertaking, some: Sequence[Suspect]) -> Asked:
    """Want another person's opinion of these items; `consensus.opinions` of one item are enough.

    The picks are open again in one transaction; the loop's next step pushes them.
    """
    picks = {pick.key: pick for pick in loop.store.rounds.picks()}
    here = [one for one in some if one.key in picks]
    enough = [one.key for one in here if one.opinions >= loop.config.consensus.opinions]
    fresh = [one for one in here if not (one.asked or one.key in enough)]
    places = {
        one.key: {"opinions": one.opinions + 1, "closed": None, "label": None, "confidence": None} for one in fresh
    }
    if places:
        row = loop.store.loop()
        loop.store.rounds.choose([], places, version=f"alearn-again-{fingerprint(places)[:12]}", round_=row.queue_round)
    before = [one.key for one in here if one.asked and one.key not in enough]
    return Asked(tuple(places), tuple(before), tuple(enough))
