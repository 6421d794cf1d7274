"""How far a team agrees beyond chance, in one number: Krippendorff's alpha.

Invariant: neither the names of people, items and values nor the order of what they said matter; where the data cannot
tell, the answer is NaN and not 0 or 1.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable


def krippendorff_alpha(said: Iterable[tuple[str, str, str | None]]) -> float:
    """Krippendorff's alpha for nominal data, from (annotator, item, value): 1 = all agree, 0 = as by chance, < 0 worse.

    At most one triple for an annotator and an item; None is no answer. Items with one answer do not count. NaN where no
    item has two answers, or where all answers to such items are the same: there is nothing to disagree about.
    Source: Krippendorff, Content Analysis, chapter 12; Computing Krippendorff's Alpha-Reliability, 2011.
    """
    values: dict[str, Counter[str]] = defaultdict(Counter)
    for _, item, value in said:
        if value is not None:
            values[item][value] += 1
    paired = [counts for counts in values.values() if counts.total() > 1]
    totals = sum(paired, Counter[str]())
    n = totals.total()
    expected = n * n - sum(count * count for count in totals.values())
    if expected == 0:
        return math.nan
    observed = math.fsum(_disagreeing(counts) / (counts.total() - 1) for counts in paired)
    return 1 - (n - 1) * observed / expected


def _disagreeing(counts: Counter[str]) -> int:
    """Ordered pairs of answers to an item that differ."""
    return counts.total() ** 2 - sum(count * count for count in counts.values())
