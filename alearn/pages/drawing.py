"""What SVG drawings are made of: an axis with round ticks, a line of text, the drawing itself.

Invariant: numbers in, SVG text out; every text is escaped, and nothing but the page's own CSS is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7b3294", "#8c6d31")
"""Told apart by people who see colours otherwise, and mostly in grey (Okabe & Ito)."""
BASELINE = "#555555"
"""What everything else is compared with."""

Look = tuple[str, str]
"""A colour, and the dashes of a line of that colour; empty: it is whole."""


class Axis:
    """Maps values in [low, high] to pixels in [start, end]; `ticks` are round numbers among them."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high = low, high if high > low else low + 1
        self._start, self._scale = start, (end - start) / (self.high - self.low)

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        return round(self._start + (value - self.low) * self._scale, 1)

    def ticks(self, most: int = 8) -> list[float]:
        """At most about so many."""
        raw = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(times * power for times in (1, 2, 5, 10) if times * power >= raw * (1 - 1e-9))
        first = math.ceil(self.low / step - 1e-9)
        count = math.floor(self.high / step + 1e-9) - first + 1
        return [round((first + at) * step, 10) for at in range(count)]


def points(across: Iterable[float], up: Iterable[float], x: Axis, y: Axis) -> str:
    """A way through the drawing, as SVG's `points`."""
    return " ".join(f"{x(one)},{y(two)}" for one, two in zip(across, up, strict=True))


def stroke(look: Look, width: float) -> str:
    """How a line looks, as SVG attributes."""
    colour, dash = look
    broken = f' stroke-dasharray="{dash}"' if dash else ""
    return f'stroke="{colour}" stroke-width="{width:g}"{broken}'


def text(x: float, y: float, said: str, anchor: str, kind: str = "") -> str:
    """A line of text."""
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{round(x, 1)}" y="{round(y, 1)}" text-anchor="{anchor}"{named}>{escape(said)}</text>'


def svg(width: int, height: int, parts: Sequence[str], label: str) -> str:
    """A drawing that shrinks with the page."""
    inside = "\n".join(parts)
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">\n{inside}\n</svg>'
