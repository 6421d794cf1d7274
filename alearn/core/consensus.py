"""From what annotators said of one item to what we believe of it.

Invariant: the order in which annotations arrive does not matter, nor does what an annotator said before their latest
word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class Said(Protocol):
    """An annotation, as far as consensus looks at it. `updated_at` is ISO 8601 in UTC; `value` None is no answer."""

    @property
    def id(self) -> str:
        """Unique among the annotations of a loop."""
        ...

    @property
    def annotator(self) -> str:
        """Who said it."""
        ...

    @property
    def value(self) -> str | None:
        """A class name, or None."""
        ...

    @property
    def updated_at(self) -> str:
        """When it was said or last changed."""
        ...


@dataclass(frozen=True)
class Label:
    """What we believe: `agreement` in (0, 1] is the share of the `votes` annotators who say `value`."""

    value: str
    agreement: float
    votes: int


def consensus(annotations: Iterable[Said]) -> Label | None:
    """The label of an item: each annotator's latest word is one vote, the majority wins, a tie goes to the latest vote.

    An annotator whose latest word is a skip has no vote. None when nobody has one.
    """
    votes = voices(annotations)
    if not votes:
        return None
    counts = Counter(value for _, value in votes)
    most = max(counts.values())
    value = next(value for _, value in reversed(votes) if counts[value] == most)
    return Label(value, most / len(votes), len(votes))


def voices(annotations: Iterable[Said]) -> list[tuple[Said, str]]:
    """Each annotator's latest word and what it says, the latest last; without those whose latest word is a skip."""
    latest: dict[str, Said] = {}
    for one in sorted(annotations, key=_moment):
        latest.pop(one.annotator, None)
        latest[one.annotator] = one
    return [(one, one.value) for one in latest.values() if one.value is not None]


def _moment(one: Said) -> tuple[str, int, str]:
    """Sorts annotations by time, then by id as a number would be.

    The zone, which is UTC, is cut off: text with and without a fraction of a second would not sort by time with it.
    """
    return one.updated_at.replace(" ", "T").removesuffix("Z").removesuffix("+00:00"), len(one.id), one.id
