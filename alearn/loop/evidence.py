"""Which hold-out labels may speak for which items, so that what is promised on them holds for these.

A hold-out label counts when it was drawn, not found on the platform, and is one of its group that was drawn so that
every item had the same chance: of groups of several sizes the smaller ones are left out in proportion, and of a
hold-out drawn with unequal odds all that even odds would not have drawn by now. It speaks for items that nobody was
asked about, and that were there when the hold-out was drawn. Items that people were asked about left the pool because
they are unlike the rest: the hold-out stands for them, too, so they are counted.

Invariant: what counts follows from keys, groups, picks and the order of arrival alone, never from a label or a model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alearn.core.keys import unit_interval
from alearn.loop.drawing import Drawing, by_drawing, drawing_now
from alearn.loop.undertaking import Undertaking
from alearn.store.items import Candidate
from alearn.store.tables import PickRow


@dataclass(frozen=True)
class Evidence:
    """`held` {key: label} of the drawn hold-out; `rest` keys that may be labeled; `asked` keys that people have.

    `groups` of all of these. `unanswered` drawn items have no label, `found` labels were not drawn, and `late` items
    came after the hold-out was drawn, so that it says nothing of them. `uneven` labels would not have been drawn with
    even odds, and `drawable` items of the hold-out may still be.
    """

    held: dict[str, str]
    rest: list[str]
    asked: list[str]
    groups: dict[str, str]
    unanswered: int = 0
    found: int = 0
    late: int = 0
    uneven: int = 0
    drawable: int = 0


def evidence(loop: Undertaking) -> Evidence:
    """What speaks for what in a loop, now."""
    picks = {pick.key: pick for pick in loop.store.rounds.picks()}
    candidates = loop.store.items.candidates()
    labels = loop.store.annotations.training(holdout=True)
    known = dict(zip(labels.keys, labels.values, strict=True))
    people = known.keys() | set(loop.store.annotations.training(holdout=False).keys)
    drawing = drawing_now(loop)
    late = _late(loop, candidates, picks, drawing)
    drawn = [one for one in candidates if one.holdout and one.key in picks and by_drawing(picks[one.key])]
    even = [one for one in drawn if drawing.place(one.group) <= drawing.floor]
    free = [one.key for one in candidates if one.key not in people and _unasked(picks.get(one.key))]
    held = {one.key: known[one.key] for one in even if one.key in known and one.key not in late}
    return Evidence(
        held=held,
        rest=[key for key in free if key not in late],
        asked=[one.key for one in candidates if not one.holdout and not _unasked(picks.get(one.key))],
        groups={one.key: one.group for one in candidates},
        unanswered=sum(one.key not in known for one in drawn),
        found=sum(key in picks and not by_drawing(picks[key]) for key in known),
        late=sum(key in late for key in free),
        drawable=sum(one.holdout and one.key not in picks for one in candidates),
        uneven=sum(one.key in known for one in drawn) - sum(one.key in known for one in even),
    )


def _unasked(pick: PickRow | None) -> bool:
    """Whether nobody was asked: it is a copy, or only stands on the platform because somebody put it there."""
    return pick is None or pick.closed == "copy" or (pick.strategy == "found" and pick.closed is None)


def _late(
    loop: Undertaking, candidates: Sequence[Candidate], picks: dict[str, PickRow], drawing: Drawing
) -> frozenset[str]:
    """The items that came after the hold-out was drawn.

    It is drawn in the order of its groups' hashes, or of those over their odds. What stands before the last drawn and
    was not drawn came later, and so did all that came after the first such.
    """
    held = [one for one in candidates if one.holdout]
    if drawing.odds is None:
        order = [key for _, key in drawing.order(held)]
        last = max((at for at, key in enumerate(order) if key in picks and by_drawing(picks[key])), default=-1)
        skipped = [key for key in order[: last + 1] if key not in picks]
    else:
        skipped = [one.key for one in held if one.key not in picks and drawing.passed(one)]
    if not skipped:
        return frozenset()
    arrived = loop.store.items.arrivals([one.key for one in candidates])
    first = min(arrived[key] for key in skipped)
    return frozenset(key for key, at in arrived.items() if at >= first)


def independent(keys: Sequence[str], groups: dict[str, str], *, seed: int, even: bool) -> list[str]:
    """One key of each group, so that it says as much as so many items that have nothing to do with each other.

    `even`: every key has the same chance, so a group of m of at most M stays with a chance of m / M. Otherwise groups
    stay by their size up to the one that the average item is in, which tells how far the keys' total may vary (Kish,
    Survey Sampling, 1965).
    """
    sizes = Counter(groups[key] for key in keys)
    if not sizes:
        return []
    counts = np.array(list(sizes.values()), dtype=np.float64)
    whole = counts.max() if even else (counts**2).sum() / counts.sum()
    first = dict[str, tuple[float, str]]()
    for key in keys:
        group = groups[key]
        if unit_interval(f"stays {group}", seed) < sizes[group] / whole:
            first[group] = min(first.get(group, (1.0, "")), (unit_interval(f"stands {key}", seed), key))
    return sorted(key for _, key in first.values())


def rows_of(keys: Sequence[str], some: Sequence[str]) -> NDArray[np.intp]:
    """Where some keys are among the keys, in the order of the keys."""
    chosen = frozenset(some)
    return np.flatnonzero(np.fromiter((key in chosen for key in keys), dtype=bool, count=len(keys)))
