"""What `alearn autolabel --suggest` is asked for, and what it says of the labels that the platform shows.

Invariant: what is not shown is counted, with the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from alearn.errors import ConfigError
from alearn.loop.suggesting import Shown
from alearn.platform import Proposed


@dataclass(frozen=True)
class Showing:
    """Whether the labels are put onto the platform, too, and at most how many: the least sure."""

    wanted: bool = False
    limit: int | None = None

    def check(self, *, apply: bool, withdraw: bool = False) -> None:
        """Raise ConfigError for what does not go together."""
        if self.wanted and not (apply or withdraw):
            raise ConfigError("--suggest shows the labels that --apply gives. Got --suggest alone. Add --apply.")
        if self.limit is not None and (not self.wanted or withdraw):
            raise ConfigError("--limit says how many labels --apply --suggest shows. Got it without. Leave it out.")
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"--limit must be at least 1. Got {self.limit}. Leave it out to show all.")


def shown_values(shown: Shown | None) -> dict[str, Any]:
    """What came of showing labels, as JSON types; nothing where they were not to be shown."""
    return {} if shown is None else {"suggested": shown.facts()}


def shown_lines(shown: Shown | None) -> Iterator[tuple[str, object]]:
    """What of the labels is on the platform now, and what is not."""
    if shown is None:
        return
    made = shown.proposed
    yield "shown", f"{made.there:,} on the platform, behind the queue; {made.new:,} of them were written now"
    if shown.later:
        yield "", f"{shown.later:,} surer ones are not shown (--limit)"
    if shown.held_out:
        yield "", f"{shown.held_out:,} of the hold-out are not shown: an answer to a suggestion would flatter the model"
    if shown.asked:
        yield "", f"{shown.asked:,} are not shown, because people were asked about these items"
    yield from _gone_lines(made)
    for reason, count in Counter(made.refused.values()).most_common(3):
        yield "", f"{count:,} could not be shown: {reason}"


def taken_lines(taken: Proposed | None) -> Iterator[tuple[str, object]]:
    """What was taken from the platform; nothing where it was not looked at."""
    if taken is None:
        return
    yield "shown", "none on the platform any more"
    yield from _gone_lines(taken)


def _gone_lines(made: Proposed) -> Iterator[tuple[str, object]]:
    if made.removed:
        yield "", f"{made.removed:,} tasks were removed, whose labels are shown no more"
    if made.kept:
        yield "", f"{made.kept:,} such tasks stay, because people have begun with them"
