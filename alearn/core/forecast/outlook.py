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

    `now` is the metric today, `level` what is wanted, `pool` how many labels there are to ask for. Where the level is
    to be certain, `measured` is what a round has to measure for that, and `holdout` labels to measure with come on top.
    """

    now: float
    level: float
    labels: Range
    chance: float
    pool: int
    measured: float | None = None
    holdout: int = 0

    @property
    def out_of_reach(self) -> bool:
        """Whether the pool's labels will more likely than not be too few."""
        return self.chance < 0.5

    @property
    def takes(self) -> float:
        """Labels in all, those of the hold-out included; infinite where it is out of reach."""
        return self.labels.median + self.holdout

    def words(self, seconds: float | None = None, money: float | None = None, currency: str = "money") -> str:
        """For people; `seconds` of an annotator's work and `money` are a label's, and tell hours and costs, too."""
        way = f"{self.now:.3g} -> {self.level:.3g}" if self.measured is None else self._way(self.measured)
        if self.out_of_reach:
            return self._unlikely(way)
        if self.labels.median <= 0 and not self.holdout:
            return f"{way} is there" if self.measured is None else f"{way} may be there at the next round"
        return f"{way} {self._needs()}{self._worth(seconds, money, currency)}"

    def _way(self, measured: float) -> str:
        """What is known to be, and what is to be certain, and seen for that."""
        seen = f" (measured {_up(measured)})" if math.isfinite(measured) else ""
        return f"about {self.now:.3g} by the curve; certain at {self.level:.3g}{seen}"

    def _unlikely(self, way: str) -> str:
        help_ = "More items, a better network or cleaner labels"
        if self.measured is not None:
            help_ = "More items, a better network, cleaner labels or a larger hold-out"
        return (
            f"{way} looks out of reach with this model and the {self.pool} items left: {self.chance:.0%} likely. "
            f"{help_} would help"
        )

    def _needs(self) -> str:
        if self.labels.median <= 0:
            return f"takes about {_rounded(self.holdout)} more labels of the hold-out, which is what is missing"
        verb = "needs" if self.measured is None else "takes"
        more = f" and {_rounded(self.holdout)} of the hold-out" if self.holdout else ""
        return f"{verb} about {_rounded(self.labels.median)} more labels ({self._interval()}){more}"

    def _worth(self, seconds: float | None, money: float | None, currency: str) -> str:
        """What so many labels take of people and money."""
        hours = "" if seconds is None else f", {self.takes * seconds / 3600:.1f} annotator hours"
        return hours if money is None else f"{hours}, {_priced(self.takes * money)} {currency}"

    def _interval(self) -> str:
        low = _rounded(self.labels.low)
        return f"{low}-{_rounded(self.labels.high)}" if math.isfinite(self.labels.high) else f"{low} or more"


def _rounded(labels: float) -> str:
    """To two digits, because a forecast has no more."""
    if labels < 10:
        return f"{math.ceil(labels)}"
    step = 10 ** (math.floor(math.log10(labels)) - 1)
    return f"{math.ceil(labels / step) * step}"


def _priced(money: float) -> str:
    """To two digits as well, but money has a hundredth part."""
    return _rounded(money) if money >= 10 else f"{money:.2g}"


def _up(level: float) -> str:
    """To three digits, never rounded down below what has to be measured."""
    return f"{math.ceil(level * 1000 - 1e-6) / 1000:g}"
