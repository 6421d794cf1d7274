"""The guard: whether chosen items still teach more than random ones, and how many are drawn at random because of it.

Invariant: nothing that is trained here outlives the check; the hold-out's labels decide the share of random items, and
never reach a version.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from alearn.core import guard
from alearn.core.guard import Check
from alearn.core.keys import unit_interval
from alearn.core.seeds import generator
from alearn.loop.drawing import uneven
from alearn.loop.features import Features
from alearn.loop.undertaking import Undertaking
from alearn.models import fit_head
from alearn.store.tables import PickRow, SelectionRow

FEWEST = 40
"""Chosen labels since the last check, and random ones to compare with, below which a check tells nothing."""
ROUNDS = 4
"""Batches whose chosen labels are looked at together, at most."""
DRAWS = 3
"""Random draws of labels that are compared, to be averaged."""


@dataclass(frozen=True)
class Watch:
    """What the guard says now: the share of a batch to be drawn at random; the check that was just made, if one was."""

    share: float
    check: Check | None = None
    seen: int = 0

    @property
    def facts(self) -> dict[str, object]:
        """To be remembered."""
        return {"share": self.share} | ({"check": asdict(self.check), "seen": self.seen} if self.check else {})


def watch(loop: Undertaking, picks: Sequence[PickRow], before: Sequence[SelectionRow]) -> Watch:
    """Look whether a check is due, make it, and say how large the random share is to be."""
    base = loop.config.guard.share
    told = [facts for row in before if "check" in (facts := json.loads(row.facts).get("guard", {}))]
    checks = [Check(**facts["check"]) for facts in told]
    if not base:
        return Watch(0.0)
    chosen = [pick for pick in picks if pick.closed == "labeled" and pick.purpose == "query"]
    seen = told[-1]["seen"] if told else 0
    batch = loop.config.query.batch
    if len(chosen) - seen < max(FEWEST, 2 * batch) or (found := _check(loop, chosen, picks)) is None:
        return Watch(guard.share(checks, base))
    share = guard.share([*checks, found], base)
    said = f"Guard: {found.words}"
    loop.report.say(said)
    if share > base and found.behind:
        loop.store.annotations.note(
            f"{said}. {share:.0%} of each batch is drawn at random until the chosen ones are ahead again; "
            "another `query.strategy` may suit these items better",
            at=loop.clock.now(),
        )
    return Watch(share, found, len(chosen))


@dataclass(frozen=True, eq=False)
class _Labels:
    """Labeled items with their embeddings."""

    keys: list[str]
    x: NDArray[np.float32]
    y: NDArray[np.intp]

    def some(self, rows: NDArray[np.intp]) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        return self.x[rows], self.y[rows]


def _check(loop: Undertaking, chosen: Sequence[PickRow], picks: Sequence[PickRow]) -> Check | None:
    """Compare the newest chosen labels with random ones; None where there are too few to tell."""
    held = _labels(loop, loop.features, holdout=True)
    known = _labels(loop, loop.features, holdout=False)
    rounds = sorted({pick.round for pick in chosen})[-ROUNDS:]
    newest = {pick.key for pick in chosen if pick.round in rounds}
    drawn = {pick.key for pick in picks if pick.purpose == "random"}
    new = np.flatnonzero([key in newest for key in known.keys])
    base = np.flatnonzero([key not in newest and key not in drawn for key in known.keys])
    random = np.flatnonzero([key in drawn for key in known.keys])
    if len(held.keys) < 2 or min(len(new), len(held.keys) // 2 + len(random)) < FEWEST or not len(base):
        return None
    groups = loop.store.items.groups(held.keys)
    of_item = np.unique([groups[key] for key in held.keys], return_inverse=True)[1]
    errors = np.zeros((2, len(held.keys)))
    compared = 0
    for half, fresh in _halves(loop, of_item):
        pair = _Pair(known, base, new, held, np.flatnonzero(~half), random)
        wrong, compared = pair.errors(np.flatnonzero(half), len(loop.schema.classes), loop.config.seed, fresh)
        errors[:, half] = wrong
    return guard.check(errors[0], errors[1], of_item, compared)


def _labels(loop: Undertaking, features: Features, *, holdout: bool) -> _Labels:
    """The labels outside the hold-out; or of it, those that are as good as drawn at random."""
    training = loop.store.annotations.training(holdout=holdout)
    lost = features.ensure(training.keys)
    if holdout:
        lost |= uneven(loop, training.keys)
    kept = [(key, value) for key, value in zip(training.keys, training.values, strict=True) if key not in lost]
    keys = [key for key, _ in kept]
    y = np.array(loop.schema.indices([value for _, value in kept]), dtype=np.intp)
    return _Labels(keys, np.asarray(features.rows(keys), dtype=np.float32), y)


def _halves(loop: Undertaking, groups: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.bool_], np.random.Generator]]:
    """Each half of the hold-out once, whole groups, with randomness of its own."""
    side = np.array([unit_interval(f"{number}", loop.config.seed) < 0.5 for number in range(groups.max() + 1)])
    for at, half in enumerate((side[groups], ~side[groups])):
        if half.any() and not half.all():
            yield half, generator(loop.config.seed, loop.config.name, at, "guard")


@dataclass(frozen=True, eq=False)
class _Pair:
    """What the two heads learn: `base`, and either some of the `new` labels or as many random ones."""

    known: _Labels
    base: NDArray[np.intp]
    new: NDArray[np.intp]
    held: _Labels
    rest: NDArray[np.intp]
    random: NDArray[np.intp]

    def errors(
        self, judged: NDArray[np.intp], classes: int, seed: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], int]:
        """The error rates (2, judged) over DRAWS draws, chosen first, and how many labels each draw compares."""
        count = min(len(self.new), len(self.rest) + len(self.random))
        wrong, (x, y) = np.zeros((2, len(judged))), self.held.some(judged)
        strength = None
        for _ in range(DRAWS):
            for at, (more_x, more_y) in enumerate((self._chosen(count, rng), self._random(count, rng))):
                base_x, base_y = self.known.some(self.base)
                head = fit_head(
                    np.concatenate([base_x, more_x]),
                    np.concatenate([base_y, more_y]),
                    classes,
                    seed=seed,
                    strength=strength,
                    temperature=None if strength is None else 1.0,
                )
                strength = head.strength
                wrong[at] += (head.proba(x).argmax(axis=1) != y) / DRAWS
        return wrong, count

    def _chosen(self, count: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        return self.known.some(rng.choice(self.new, count, replace=False))

    def _random(self, count: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        order = rng.permutation(len(self.rest) + len(self.random))[:count]
        of_held, of_known = order[order < len(self.rest)], order[order >= len(self.rest)] - len(self.rest)
        (x, y), (more_x, more_y) = self.held.some(self.rest[of_held]), self.known.some(self.random[of_known])
        return np.concatenate([x, more_x]), np.concatenate([y, more_y])
