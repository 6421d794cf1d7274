"""What a team believes, and whom: labels by trust, test questions, and items that need another opinion.

Invariant: follows from the stored annotations and the model alone. Nobody's answers are dropped: who is not trusted
weighs little, and what only they said is asked again.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from alearn.core.consensus import Label, consensus, voices
from alearn.core.keys import unit_interval
from alearn.core.opinions import Belief, Overlap, needed
from alearn.core.trust import Rule, Standing, question_rate, standings, tally
from alearn.core.votes import dawid_skene, weighted_vote
from alearn.loop.learning import groups_of, readable
from alearn.loop.undertaking import Undertaking
from alearn.models import fit_head, unseen_proba
from alearn.store.annotations import Believed, Resolve
from alearn.store.items import Candidate
from alearn.store.tables import AnnotationRow, PickRow

EVERYBODY = 1000
"""The opinions that are wanted of a test question: that of everybody who works here."""
FEWEST = 10
"""Labels per class, on the average, below which a model's doubts about labels tell nothing."""

Said = Mapping[str, Sequence[AnnotationRow]]
"""Annotations that are not deleted, by item."""


def resolver(loop: Undertaking) -> Resolve:
    """How the annotations of one item become its label: the config's method, with trust as last reckoned.

    What a person has marked as the truth is the label, whatever others say.
    """
    method = loop.config.consensus.method
    weights = {} if method == "majority" else {row.name: row.weight for row in loop.store.annotations.standings()}

    def resolve(rows: Sequence[AnnotationRow]) -> Label | None:
        if marked := consensus([row for row in rows if row.trusted]):
            return Label(marked.value, 1.0, len(voices(rows)))
        if not weights:
            return consensus(rows)
        usual = sum(weights.values()) / len(weights)  # for whoever has only just begun
        return weighted_vote(rows, {row.annotator: weights.get(row.annotator, usual) for row in rows})

    return resolve


@dataclass(frozen=True)
class Review:
    """What follows from who said what: `again`, how many opinions an item that was answered shall have; new `tests`."""

    again: Mapping[str, int] = field(default_factory=dict)
    tests: Sequence[str] = ()


def review(loop: Undertaking, picks: Sequence[PickRow], candidates: Sequence[Candidate], room: int) -> Review:
    """Reckon how far each annotator is to be trusted, believe accordingly, and say what is to be asked again.

    `room` new places will be given. Who is flagged is told once.
    """
    said = _said(loop)
    people = sorted({row.annotator for rows in said.values() for row in rows})
    spec = loop.config.consensus
    if len(people) < 2 and not spec.tests:
        return Review()
    truths = _truths(loop, said, picks)
    found = _trust(loop, said, truths)
    _believe(loop, said, truths, found)
    rate = max((question_rate(found.get(one), spec.tests) for one in people), default=spec.tests)
    return Review(
        again=_again(loop, said, found, truths) if len(people) > 1 else {},
        tests=_tests(loop, picks, candidates, room, people=len(people), rate=rate) if spec.tests else (),
    )


def _said(loop: Undertaking) -> Said:
    found: dict[str, list[AnnotationRow]] = {}
    for row in loop.store.annotations.all():
        if not row.deleted:
            found.setdefault(row.key, []).append(row)
    return found


def _truths(loop: Undertaking, said: Said, picks: Sequence[PickRow]) -> dict[str, str]:
    """The known classes of test questions, by item: those asked as such, and what was marked as the truth."""
    asked = loop.store.items.truths([pick.key for pick in picks if pick.purpose == "test"])
    marked = {key: label.value for key, rows in said.items() if (label := consensus([r for r in rows if r.trusted]))}
    return {**asked, **marked}


def _trust(loop: Undertaking, said: Said, truths: Mapping[str, str]) -> dict[str, Standing]:
    """Reckon, write down, and tell of those who are flagged now and were not before."""
    store, at = loop.store, loop.clock.now()
    others = {key: [row for row in rows if not row.trusted] for key, rows in said.items()}
    found = standings(tally(others, truths), len(loop.schema.classes), Rule(threshold=loop.config.consensus.trust))
    before = {row.name for row in store.annotations.standings() if row.flagged}
    kept = ("mean", "low", "high", "asked", "compared", "weight", "flagged")
    rows = [{**dataclasses.asdict(one), "name": name} for name, one in found.items()]
    store.annotations.trust([{"name": row["name"], "at": at, **{key: row[key] for key in kept}} for row in rows])
    for name, one in found.items():
        if one.flagged and name not in before:
            text = (
                f"{name} is right in about {one.mean:.0%} of the answers ({one.low:.0%} to {one.high:.0%}), by "
                f"{one.asked} test questions and {one.compared} comparisons: what only they said is asked again"
            )
            store.annotations.note(text, at=at)
            loop.report.say(text)
    return found


def _believe(loop: Undertaking, said: Said, truths: Mapping[str, str], found: Mapping[str, Standing]) -> None:
    """Set the labels anew by what is known of the annotators now."""
    if loop.config.consensus.method == "majority":
        return
    plain, together = resolver(loop), dict[str, Label]()
    if loop.config.consensus.method == "dawid_skene":
        together = dawid_skene(said, truths, {name: one.mean for name, one in found.items()})

    def resolve(rows: Sequence[AnnotationRow]) -> Believed | None:
        label = None if any(row.trusted for row in rows) else together.get(rows[0].key)
        return label or plain(rows)

    loop.store.annotations.relabel(resolve, at=loop.clock.now())


def _again(loop: Undertaking, said: Said, found: Mapping[str, Standing], truths: Mapping[str, str]) -> dict[str, int]:
    """How many opinions each item shall have that needs another one."""
    spec = loop.config.consensus
    every = max(1, round(1 / spec.overlap)) if spec.overlap else None
    overlap = Overlap(every, spec.agreement, spec.doubts, spec.opinions, loop.config.seed)
    weights = None if spec.method == "majority" else {name: one.weight for name, one in found.items()}
    reasons = needed(
        {key: rows for key, rows in said.items() if key not in truths},
        overlap,
        weights=weights,
        flagged={name for name, one in found.items() if one.flagged},
        belief=belief(loop) if spec.doubts else None,
    )
    if reasons:
        counts = ", ".join(f"{number} {why}" for why, number in sorted(Counter(reasons.values()).items()))
        loop.report.say(f"Another opinion is asked of {len(reasons)} answered items ({counts})")
    return {key: len(voices(said[key])) + 1 for key in reasons}


def belief(loop: Undertaking) -> Belief | None:
    """What heads that have not seen them say of the labeled items; None below so many that they know something."""
    found = readable(loop, loop.store.annotations.training(holdout=False), loop.features.cut)
    classes = loop.schema.classes
    if len(found.keys) < FEWEST * len(classes):
        return None
    x, seed = loop.features.rows(found.keys), loop.config.seed
    head = fit_head(x, found.y, len(classes), seed=seed, strength=loop.config.model.strength)
    return Belief(found.keys, classes, unseen_proba(head, x, found.y, seed=seed, groups=groups_of(loop, found.keys)))


def _tests(
    loop: Undertaking, picks: Sequence[PickRow], candidates: Sequence[Candidate], room: int, *, people: int, rate: float
) -> list[str]:
    """The items with a known answer that become test questions now, by their hash.

    Everybody answers each of them, and only their share of the other items.
    """
    seed = loop.config.seed
    asked = sum(pick.purpose != "test" for pick in picks) + room
    wanted = round(rate * asked / max(people, 1)) - sum(pick.purpose == "test" for pick in picks)
    if wanted <= 0 or not room:
        return []
    picked = {pick.key for pick in picks}
    left = sorted(
        (one.key for one in candidates if not one.holdout and one.key not in picked),
        key=lambda key: unit_interval(f"test/{key}", seed),
    )
    chosen: list[str] = []
    for start in range(0, len(left), 1000):
        known = loop.store.items.truths(left[start : start + 1000])
        chosen += [key for key in left[start : start + 1000] if key in known]
        if len(chosen) >= wanted:
            break
    return chosen[:wanted]
