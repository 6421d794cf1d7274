"""How many hold-out labels it takes, before they are asked for.

Invariant: whole numbers of labels, never fewer than one; more confidence and a smaller margin never take fewer.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable

from alearn.core.estimation.interval import Interval
from alearn.core.estimation.proportions import lower_bound

MOST = 1_000_000
"""Labels beyond which an answer is no plan."""


def labels_for_margin(margin: float, *, value: float = 0.5, confidence: float = 0.95, clumping: float = 1.0) -> int:
    """The hold-out labels after which a share near `value` in [0, 1] is known to about +-`margin` in (0, 1).

    Half the width of the exact interval is what counts. 0.5 is the worst `value`. `clumping` >= 1 is by how many labels
    one independent label is worth less because items come in groups (1: single items).
    """
    fewest = _fewest(lambda n: _half_width(value * n, n, confidence) <= margin)
    return math.ceil((MOST if fewest is None else fewest) * clumping)


def labels_to_tighten(interval: Interval, margin: float) -> int | None:
    """About how many hold-out labels bring any metric's interval to +-`margin`, those it has included.

    Widths shrink with the root of the labels. None where the metric is not known yet.
    """
    if not interval.known or interval.n == 0:
        return None
    half = (interval.high - interval.low) / 2
    return max(1, math.ceil(interval.n * (half / margin) ** 2))


def labels_to_pass(value: float, target: float, *, confidence: float = 0.95) -> int | None:
    """The fewest hold-out labels on which a share of `value` has a lower bound of at least `target`.

    For a hold-out that shows exactly `value`, so in half of all cases it takes more. None where `value` is not above
    the target, or a million labels would not do.
    """
    if not target < value <= 1:
        return None
    return _fewest(lambda n: float(lower_bound(value * n, n, confidence=confidence)) >= target)


def _fewest(enough: Callable[[int], bool]) -> int | None:
    """The least number of labels that is enough, as every larger one is; None where a million is not."""
    found = bisect_left(range(1, MOST + 1), True, key=enough) + 1
    return found if found <= MOST else None


def _half_width(right: float, n: int, confidence: float) -> float:
    """Half the width of the exact interval of `right` of `n`, which need not be whole numbers here."""
    one_sided = (1 + confidence) / 2
    low, low_of_wrong = lower_bound([max(right, 1e-9), max(n - right, 1e-9)], n, confidence=one_sided).tolist()
    return float(1 - low_of_wrong - low) / 2
