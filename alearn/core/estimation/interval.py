"""A measured number and how far it may be off.

Invariant: low <= value <= high, or all three are NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A metric on `n` items with its central interval; NaN where the items cannot decide it."""

    value: float
    low: float
    high: float
    n: int

    @property
    def known(self) -> bool:
        """Whether the items decide it."""
        return not math.isnan(self.value)


def unknown(n: int) -> Interval:
    """What `n` items say of a metric that they cannot decide."""
    return Interval(math.nan, math.nan, math.nan, n)
