"""Two axes and what is drawn along them: a grid, levels across, areas and lines.

Invariant: what is drawn lies between the margins, whatever the numbers; names of levels never lie on each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from alearn.pages.drawing import Axis, Look, points, stroke, svg, text

Span = tuple[float, float]
"""From where to where an axis goes."""


@dataclass(frozen=True)
class Margins:
    """What is left free around the axes, in pixels; the names of levels stand at the right."""

    left: int = 58
    right: int = 96
    top: int = 14
    bottom: int = 46


@dataclass(frozen=True)
class Plot:
    """A drawing with an axis of `x` values across and one of `y` values up."""

    x: Axis
    y: Axis
    width: int
    height: int
    margins: Margins

    @property
    def floor(self) -> int:
        """Where the axis across lies."""
        return self.height - self.margins.bottom

    @property
    def end(self) -> int:
        """Where the axis across ends."""
        return self.width - self.margins.right

    def grid(self, across: str, up: str) -> Iterator[str]:
        """Lines at round numbers, and what the axes are called."""
        left, end, floor, top = self.margins.left, self.end, self.floor, self.margins.top
        for tick in self.y.ticks():
            yield f'<line class="grid" x1="{left}" x2="{end}" y1="{self.y(tick)}" y2="{self.y(tick)}"/>'
            yield text(left - 8, self.y(tick) + 4, f"{tick:g}", "end")
        for tick in self.x.ticks():
            yield f'<line class="axis" x1="{self.x(tick)}" x2="{self.x(tick)}" y1="{floor}" y2="{floor + 4}"/>'
            yield text(self.x(tick), floor + 18, f"{tick:g}", "middle")
        yield f'<line class="axis" x1="{left}" x2="{end}" y1="{floor}" y2="{floor}"/>'
        yield text((left + end) / 2, self.height - 8, across, "middle")
        turned = f'transform="rotate(-90)" x="{-(top + floor) / 2}" y="14" text-anchor="middle"'
        yield f"<text {turned}>{escape(up)}</text>"

    def levels(self, levels: Mapping[str, float]) -> Iterator[str]:
        """Lines across, {name: height}, with their names at the right, moved apart where they would overlap."""
        lowest = -math.inf
        for name, value in sorted(levels.items(), key=lambda one: -one[1]):
            place = max(self.y(value) + 4, lowest + 12)
            lowest = place
            at = self.y(value)
            yield f'<line class="level" x1="{self.margins.left}" x2="{self.end}" y1="{at}" y2="{at}"/>'
            yield text(self.end + 6, place, name, "start", "small")

    def area(
        self, x: Sequence[float], low: Sequence[float], high: Sequence[float], colour: str, opacity: float = 0.15
    ) -> str:
        """What lies between two curves."""
        back = points(reversed(x), reversed(low), self.x, self.y)
        way = f"{points(x, high, self.x, self.y)} {back}"
        return f'<polygon points="{way}" fill="{colour}" fill-opacity="{opacity:g}"/>'

    def line(self, x: Sequence[float], y: Sequence[float], look: Look, name: str, width: float = 2) -> str:
        """A curve, named where a pointer rests on it."""
        way = points(x, y, self.x, self.y)
        return f'<polyline points="{way}" fill="none" {stroke(look, width)}><title>{escape(name)}</title></polyline>'

    def dots(self, x: Sequence[float], y: Sequence[float], colour: str, names: Sequence[str]) -> Iterator[str]:
        """The points of a curve, each named where a pointer rests on it."""
        for across, up, name in zip(x, y, names, strict=True):
            at = f'cx="{self.x(across)}" cy="{self.y(up)}" r="3.5"'
            yield f'<circle {at} fill="{colour}"><title>{escape(name)}</title></circle>'

    def drawn(self, parts: Sequence[str], label: str) -> str:
        """The whole drawing; `label` says what it shows to those who do not see it."""
        return svg(self.width, self.height, parts, label)


def plot(across: Span, up: Span, *, size: tuple[int, int] = (760, 400), margins: Margins | None = None) -> Plot:
    """An empty drawing of `size` pixels, whose axes go from where to where."""
    free, (width, height) = margins or Margins(), size
    x, y = Axis(*across, free.left, width - free.right), Axis(*up, height - free.bottom, free.top)
    return Plot(x, y, width, height, free)
