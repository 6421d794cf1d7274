"""Whether the items that a strategy chooses still teach more than as many random ones would.

Two heads learn what was known before some recent rounds; one then learns the items chosen in these, the other as many
random ones. Both answer the same items, drawn at random, that neither saw. If the chosen ones are behind by more than
chance, twice in a row, more of each batch is drawn at random, until they are ahead again.

Invariant: pure; the share of random items follows from the checks that are written down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DOUBT = 0.05
"""Chosen items are behind where chance alone would say so at most this often."""
TWICE = 2
"""Checks in a row that must say the same before anything is changed."""
MOST = 0.5
"""The largest share of a batch that is drawn at random."""


@dataclass(frozen=True)
class Check:
    """By how much the error rate with chosen items is lower than with as many random ones: positive = chosen are ahead.

    `error` is the standard error of that; `items` were answered by both. `chosen` labels were compared.
    """

    ahead: float
    error: float
    items: int
    chosen: int

    @property
    def p(self) -> float:
        """How probable so bad a result is if both are equally good, one-sided, in [0, 1]: small = chosen are behind."""
        if self.error <= 0:
            return 1.0 if self.ahead >= 0 else 0.0
        return (1 + math.erf(self.ahead / self.error / math.sqrt(2))) / 2

    @property
    def behind(self) -> bool:
        """Whether the chosen items are behind by more than chance."""
        return self.p < DOUBT

    @property
    def words(self) -> str:
        """For people."""
        way = "fewer" if self.ahead >= 0 else "more"
        return (
            f"{self.chosen} chosen labels make {abs(self.ahead):.1%} {way} errors than as many random ones "
            f"(standard error {self.error:.1%}, {self.items} items)"
        )


def check(chosen: NDArray[np.floating], random: NDArray[np.floating], groups: NDArray[np.intp], labels: int) -> Check:
    """Compare error rates (n,), in [0, 1], of the same items after learning chosen and after learning random ones.

    Paired by item; items of the same group (n,) count as one piece of evidence.
    """
    gain = np.asarray(random, dtype=np.float64) - np.asarray(chosen, dtype=np.float64)
    sums, sizes = np.bincount(groups, gain), np.bincount(groups)
    mean, pieces = float(gain.mean()), int(np.count_nonzero(sizes))
    spread = float(((sums - mean * sizes) ** 2).sum())
    error = float(np.sqrt(spread * pieces / max(pieces - 1, 1))) / len(gain)
    return Check(mean, error, len(gain), labels)


def share(checks: Sequence[Check], base: float) -> float:
    """The share of a batch to be drawn at random, in [base, MOST], after these checks, in the order they were made.

    It doubles, from at least an eighth, when TWICE checks in a row say that chosen items are behind, and halves, to
    `base`, when as many say that they are ahead.
    """
    found, run = base, list[Check]()
    for one in checks:
        run = [*run, one] if not run or run[-1].behind == one.behind else [one]
        if len(run) < TWICE:
            continue
        if one.behind:
            found, run = min(MOST, max(2 * found, 0.25)), []
        elif all(each.ahead > 0 for each in run[-TWICE:]):
            found, run = max(base, found / 2) if found / 2 > base else base, []
    return found
