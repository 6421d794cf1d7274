"""Labels for items that no person need look at: what the newest measured version answers, where the hold-out shows that
nearly all such answers are right.

Invariant: thresholds are chosen on the hold-out alone; nothing is written before `give`, which writes all of it or
nothing; what it writes is never trained on, measured with, or kept beside a person's label.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from alearn.core.certificate import Certificate, automatic, certify
from alearn.core.estimation import labels_to_pass
from alearn.core.keys import fingerprint
from alearn.errors import ModelError
from alearn.loop.evidence import Evidence, evidence, independent, rows_of
from alearn.loop.scoring import Scorer, scorer
from alearn.loop.undertaking import Undertaking
from alearn.store.tables import RoundRow, VersionRow

BLOCK = 20_000
"""Items that are scored at once."""
FAR = 20
"""More hold-out labels than so many times those there are, are not asked for."""


@dataclass(frozen=True)
class Terms:
    """At least `precision` of the automatic labels, of each class's where `per_class`, right with `confidence`."""

    precision: float
    confidence: float = 0.95
    per_class: bool = False


@dataclass(frozen=True)
class Found:
    """What there is: `wrong` of the `taken` hold-out labels that reach a threshold, of `holdout` labels that count.

    `left_out` hold-out labels do not count because others of their group do, `uneven` because their odds were high;
    `drawable` items of the hold-out may still be asked about. `errors` of all that count are wrong. `pool` items may be
    labeled, of which `labeled` reach a threshold; `asked` are with people. See `Evidence` for the others.
    """

    holdout: int
    errors: int
    taken: int
    wrong: int
    left_out: int
    unanswered: int
    found: int
    pool: int
    labeled: int
    asked: int
    late: int
    uneven: int = 0
    drawable: int = 0

    @property
    def share(self) -> float:
        """Of the pool, how much is labeled."""
        return self.labeled / self.pool if self.pool else 0.0

    @property
    def expected(self) -> float:
        """About how many automatic labels are wrong: as many as of the hold-out's."""
        return self.labeled * self.wrong / self.taken if self.taken else 0.0


@dataclass(frozen=True)
class More:
    """With about so many hold-out `labels`, were the model as it is, this `share` of the pool could be labeled."""

    labels: int
    share: float


@dataclass(frozen=True, eq=False)
class Offer:
    """What may be labeled by a round's version, and under which certificate.

    `labels` are the class names of `keys`, each as probable as its `sureness`.
    """

    round: int
    version: str
    terms: Terms
    certificate: Certificate
    found: Found
    more: More | None
    keys: list[str]
    labels: list[str]
    sureness: list[float]
    classes: tuple[str, ...]

    def facts(self) -> dict[str, object]:
        """What is kept of it, as JSON types."""
        limits = [one if math.isfinite(one) else None for one in self.certificate.thresholds]
        return {
            **asdict(self.terms),
            "thresholds": dict(zip(self.classes, limits, strict=True)),
            **asdict(self.found),
            "expected_errors": round(self.found.expected, 2),
            "share": self.found.share,
        }


def offer(loop: Undertaking, terms: Terms) -> Offer:
    """What the newest measured version may label under these terms; nothing is written.

    Raises:
        ModelError: no version has been measured yet, or its weights are lost.
    """
    round_, version = measured(loop)
    model, seen = scorer(loop, version), evidence(loop)
    lost = model.ensure([*seen.held, *seen.rest])
    held = [key for key in seen.held if key not in lost]
    rest = [key for key in seen.rest if key not in lost]
    seed, groups = loop.config.seed, seen.groups
    kept = independent(held, groups, seed=seed, even=True)
    y = np.array(loop.schema.indices([seen.held[key] for key in kept]), dtype=np.intp)
    proba, pool = _proba(loop, model, kept), _proba(loop, model, rest)
    apart, asked = _apart(rest, seen, seed)
    certificate = certify(
        y,
        proba,
        pool[apart],
        precision=terms.precision,
        confidence=terms.confidence,
        per_class=terms.per_class,
        asked=asked,
    )
    given = automatic(pool, certificate)
    found = _found(y, proba, given, certificate, seen, left_out=len(held) - len(kept))
    rows, among = np.flatnonzero(given >= 0), int((given[apart] >= 0).sum())
    return Offer(
        round=round_.number,
        version=version.key,
        terms=terms,
        certificate=certificate,
        found=found,
        more=None if terms.per_class else more(y, proba, pool[apart], terms, asked=asked, labeled=among),
        keys=[rest[row] for row in rows],
        labels=[loop.schema.classes[given[row]] for row in rows],
        sureness=[float(pool[row].max()) for row in rows],
        classes=tuple(loop.schema.classes),
    )


def measured(loop: Undertaking) -> tuple[RoundRow, VersionRow]:
    """The newest round that was measured, and its version.

    Raises:
        ModelError: there is none.
    """
    rounds = [row for row, _ in loop.store.rounds.history() if row.measured is not None]
    version = loop.store.rounds.version(rounds[-1].version) if rounds else None
    if version is None:
        raise ModelError(
            f"Loop {loop.config.name!r} must have a measured model. It has none yet. Run `alearn run` first."
        )
    if version.weights not in loop.store.blobs:
        raise ModelError(
            f"The weights of version {version.key[:8]} must be in blobs/. They are missing. Run `alearn run` first."
        )
    return rounds[-1], version


def give(loop: Undertaking, made: Offer) -> int:
    """Put these labels in the place of all automatic ones; returns how many there are now.

    What a person has labeled since the offer was made is left out. Applying the same offer again changes nothing.
    """
    facts = made.facts()
    row = {"key": fingerprint([made.version, facts]), "version": made.version, "round": made.round}
    labels = [
        {"key": key, "label": label, "confidence": sure}
        for key, label, sure in zip(made.keys, made.labels, made.sureness, strict=True)
    ]
    facts_text = json.dumps(facts, sort_keys=True, ensure_ascii=False)
    return loop.store.automatic.replace({**row, "facts": facts_text, "at": loop.clock.now()}, labels)


def more(
    y: NDArray[np.intp],
    proba: NDArray[np.float32],
    pool: NDArray[np.float32],
    terms: Terms,
    *,
    asked: int = 0,
    labeled: int = 0,
) -> More | None:
    """How many hold-out labels it would take to label more than `labeled`; None where no number within reach would.

    Of a hold-out `y` (n,) with `proba` (n, C) and a `pool` (N, C). Where nothing is labeled: the fewest that would do
    for anything; else those for the largest share that is within reach. A guess: the model is taken to be wrong as
    often as the hold-out shows.
    """
    order = np.argsort(-proba.max(axis=1), kind="stable")
    wrong = np.cumsum(proba.argmax(axis=1)[order] != y[order])
    sure, there = proba.max(axis=1)[order], -np.sort(-pool.max(axis=1))
    found = list[More]()
    for taken in np.unique(np.geomspace(max(len(y) // 5, 1), max(len(y), 1), 25).astype(int)) if len(y) else ():
        reach = int(np.searchsorted(-there, -sure[taken - 1], side="right"))
        if reach <= labeled:
            continue
        aim = 1 - (1 - terms.precision) * reach / (reach + asked)  # as `certify` allows for the asked
        right = 1 - (wrong[taken - 1] + 0.5) / (taken + 1)
        few = labels_to_pass(float(right), aim, confidence=terms.confidence)
        if few is not None and math.ceil(few * len(y) / taken) <= FAR * len(y):
            found.append(More(max(math.ceil(few * len(y) / taken), len(y) + 1), reach / len(pool)))
    if labeled:
        return max(found, key=lambda one: one.share, default=None)
    return min(found, key=lambda one: one.labels, default=None)


def _proba(loop: Undertaking, model: Scorer, keys: Sequence[str]) -> NDArray[np.float32]:
    """The probabilities (n, C) of items, read in blocks so that their embeddings are not in memory at once."""
    found = np.empty((len(keys), len(loop.schema.classes)), dtype=np.float32)
    for start in range(0, len(keys), BLOCK):
        block = keys[start : start + BLOCK]
        found[start : start + len(block)] = model.proba(block)
    return found


def _apart(rest: Sequence[str], seen: Evidence, seed: int) -> tuple[NDArray[np.intp], int]:
    """The rows of the rest that count as independent, and how many of the asked do."""
    kept = independent([*rest, *seen.asked], seen.groups, seed=seed, even=False)
    rows = rows_of(rest, kept)
    return rows, len(kept) - len(rows)


def _found(
    y: NDArray[np.intp],
    proba: NDArray[np.float32],
    given: NDArray[np.intp],
    certificate: Certificate,
    seen: Evidence,
    *,
    left_out: int,
) -> Found:
    taken = automatic(proba, certificate)
    return Found(
        holdout=len(y),
        errors=int((proba.argmax(axis=1) != y).sum()) if len(y) else 0,
        taken=int((taken >= 0).sum()),
        wrong=int(((taken >= 0) & (taken != y)).sum()),
        left_out=left_out,
        unanswered=seen.unanswered,
        found=seen.found,
        pool=len(given),
        labeled=int((given >= 0).sum()),
        asked=len(seen.asked),
        late=seen.late,
        uneven=seen.uneven,
        drawable=seen.drawable,
    )
