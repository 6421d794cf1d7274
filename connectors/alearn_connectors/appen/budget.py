"""What rows cost, and whether that is within the cap: exact arithmetic in US cents, pure.

Contributors are paid by the page. A page of a job with test questions holds one of them, which is paid for too, so that
the other rows carry its price. Invariant: the worst case is counted: every row gets as many judgments as it may get.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from alearn.errors import Refused


@dataclass(frozen=True)
class Terms:
    """What is paid: `payment_cents` for a page of `rows_per_page` rows, at most `judgments` for a row.

    None: not known. `fee` is the share that Appen adds.
    """

    payment_cents: int | None = None
    rows_per_page: int | None = None
    judgments: int | None = None
    fee: float = 0.0
    gold: bool = False

    def price(self) -> Fraction:
        """US cents for one row with all its judgments; what is not known counts as 0 cents, 1 row, 1 judgment."""
        rows = max((self.rows_per_page or 1) - self.gold, 1)
        judgments = Fraction(max(self.judgments or 1, 1), rows)
        return Fraction(self.payment_cents or 0) * judgments * (1 + Fraction(str(self.fee)))

    def cents(self, rows: int) -> int:
        """US cents for so many rows, rounded up."""
        return math.ceil(rows * self.price())


def worse(ours: Terms, theirs: Terms) -> Terms:
    """The dearer of what the config says and what the job says, value by value."""
    pages = [one.rows_per_page for one in (ours, theirs) if one.rows_per_page is not None]
    return Terms(
        max(ours.payment_cents or 0, theirs.payment_cents or 0),
        min(pages, default=None),
        max(ours.judgments or 0, theirs.judgments or 0),
        ours.fee,
        ours.gold,
    )


def allow(loop: str, cap: int, terms: Terms, *, ordered: int, more: int) -> int:
    """The US cents of `ordered` rows and `more`; raises Refused when they are more than the cap."""
    cents = terms.cents(ordered + more)
    if cents > cap:
        raise Refused(
            f"`platform.options.cap_cents` of loop {loop} must cover what is ordered. Got {cap} US cents; the "
            f"{ordered} rows ordered so far cost up to {terms.cents(ordered)}, and {more} more would make it {cents}. "
            "None of them was ordered. Raise the cap, or let the loop stop here."
        )
    return cents
