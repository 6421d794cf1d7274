"""A forecast in numbers and in words: a middle, an 80 % interval, or "out of reach".

Invariant: low <= median <= high; labels that are more than the pool holds are infinite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TAIL = 0.1
"""What lies outside an interval at each end: 80 % intervals."""


@dataclass(frozen=True)
class Range:
    """A forecast number with its 80 % interval."""

    low: float
    median: float
    high: float


def range_of(draws: NDArray[np.float64]) -> Range:
    """The middle and the 80 % interval of draws (S,); infinite ones count as larger than any."""
    low, median, high = np.quantile(draws, [TAIL, 0.5, 1 - TAIL], method="higher").tolist()
    return Range(low, median, high)


@dataclass(frozen=True)
class Outlook:
    """How far a level is: `labels` are more labels than now, infinite beyond the pool; `chance` in [0, 1] to get there.

    `now` is the metric today, `level` what is wanted, `pool` how many labels there are to ask for.
    """

    now: float
    level: float
    labels: Range
    chance: float
    pool: int

    @property
    def out_of_reach(self) -> bool:
        """Whether the pool's labels will more likely than not be too few."""
        return self.chance < 0.5

    def words(self, seconds_per_label: float | None = None) -> str:
        """For people; `seconds_per_label` of an annotator's work tells the hours, too."""
        way = f"{self.now:.3g} -> {self.level:.3g}"
        if self.labels.median <= 0:
            return f"{way} is there"
        if self.out_of_reach:
            return (
                f"{way} looks out of reach with this model and the {self.pool} items left: {self.chance:.0%} likely. "
                "More items, a better network or cleaner labels would help"
            )
        hours = ""
        if seconds_per_label is not None:
            hours = f", {self.labels.median * seconds_per_label / 3600:.1f} annotator hours"
        return f"{way} needs about {_rounded(self.labels.median)} more labels ({self._interval()}){hours}"

    def _interval(self) -> str:
        low = _rounded(self.labels.low)
        return f"{low}-{_rounded(self.labels.high)}" if math.isfinite(self.labels.high) else f"{low} or more"


def _rounded(labels: float) -> str:
    """To two digits, because a forecast has no more."""
    if labels < 10:
        return f"{math.ceil(labels)}"
    step = 10 ** (math.floor(math.log10(labels)) - 1)
    return f"{math.ceil(labels / step) * step}"
