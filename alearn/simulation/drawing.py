"""Small SVG drawings: learning curves with bands, and ranks with their critical difference.

Invariant: numbers in, SVG text out; every text is escaped, and nothing but the page's own CSS is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7b3294", "#8c6d31")
"""Told apart by people who see colours otherwise, and mostly in grey (Okabe & Ito)."""
BASELINE = "#555555"
DASHES = ("", "7 3", "2 3")
"""A second and a third round through the palette."""

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 58, 96, 14, 46


def colours(names: Sequence[str], baseline: str) -> dict[str, tuple[str, str]]:
    """{strategy: (colour, dash)}; the baseline is grey and dashed."""
    others = [name for name in names if name != baseline]
    found = {
        name: (PALETTE[at % len(PALETTE)], DASHES[at // len(PALETTE) % len(DASHES)]) for at, name in enumerate(others)
    }
    return {baseline: (BASELINE, "5 4"), **found}


def curves(
    bands: Mapping[str, Mapping[str, Sequence[float]]],
    looks: Mapping[str, tuple[str, str]],
    levels: Mapping[str, float],
    title: str,
) -> str:
    """Mean curves {strategy: labels, mean, low, high} with their bands, and `levels` {text: height} across."""
    drawn = {name: one for name, one in bands.items() if one["labels"]}
    if not drawn:
        return '<p class="note">No round could be measured.</p>'
    x, y = _axes(drawn, levels)
    parts = [*_grid(x, y, title), *_levels(levels, y), *_areas(drawn, looks, x, y), *_lines(drawn, looks, x, y)]
    return svg(WIDTH, HEIGHT, parts, f"Learning curves: {title} against labels")


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


def _axes(drawn: Mapping[str, Mapping[str, Sequence[float]]], levels: Mapping[str, float]) -> tuple[Axis, Axis]:
    labels = [value for one in drawn.values() for value in one["labels"]]
    lows = [value for one in drawn.values() for value in one["low"]]
    highs = [value for one in drawn.values() for value in one["high"]] + list(levels.values())
    room = 0.03 * (max(highs) - min(lows)) or 0.01
    x = Axis(0, max(labels), LEFT, WIDTH - RIGHT)
    return x, Axis(min(lows) - room, max(highs) + room, HEIGHT - BOTTOM, TOP)


def _grid(x: Axis, y: Axis, title: str) -> Iterator[str]:
    for tick in y.ticks():
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick)}" y2="{y(tick)}"/>'
        yield text(LEFT - 8, y(tick) + 4, f"{tick:g}", "end")
    for tick in x.ticks():
        yield f'<line class="axis" x1="{x(tick)}" x2="{x(tick)}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM + 4}"/>'
        yield text(x(tick), HEIGHT - BOTTOM + 18, f"{tick:g}", "middle")
    yield f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM}"/>'
    yield text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "labels", "middle")
    yield (
        f'<text transform="rotate(-90)" x="{-(TOP + HEIGHT - BOTTOM) / 2}" y="14" text-anchor="middle">'
        f"{escape(title)}</text>"
    )


def _levels(levels: Mapping[str, float], y: Axis) -> Iterator[str]:
    """Lines across, with their names at the right, which are moved apart where they would overlap."""
    lowest = -math.inf
    for name, value in sorted(levels.items(), key=lambda one: -one[1]):
        place = max(y(value) + 4, lowest + 12)
        lowest = place
        yield f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value)}" y2="{y(value)}"/>'
        yield text(WIDTH - RIGHT + 6, place, name, "start", "small")


def _areas(drawn: Mapping[str, Any], looks: Mapping[str, tuple[str, str]], x: Axis, y: Axis) -> Iterator[str]:
    for name, one in drawn.items():
        way = [*zip(one["labels"], one["high"], strict=True), *reversed([*zip(one["labels"], one["low"], strict=True)])]
        points = " ".join(f"{x(across)},{y(up)}" for across, up in way)
        yield f'<polygon points="{points}" fill="{looks[name][0]}" fill-opacity="0.15"/>'


def _lines(drawn: Mapping[str, Any], looks: Mapping[str, tuple[str, str]], x: Axis, y: Axis) -> Iterator[str]:
    for name, one in drawn.items():
        colour, dash = looks[name]
        points = " ".join(f"{x(across)},{y(up)}" for across, up in zip(one["labels"], one["mean"], strict=True))
        broken = f' stroke-dasharray="{dash}"' if dash else ""
        yield (
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{broken}>'
            f"<title>{escape(name)}</title></polyline>"
        )


def ranks(names: Sequence[str], found: Sequence[float], apart: float, groups: Sequence[Sequence[int]]) -> str:
    """Mean ranks on a line, 1 at the left; a bar joins what the critical difference `apart` cannot tell apart."""
    x = Axis(1, len(names), 190, WIDTH - 190)
    order = sorted(range(len(names)), key=lambda at: found[at])
    left = (len(order) + 1) // 2
    line = 62 + 9 * len(groups)
    height = line + 24 * left + 20
    parts = [*_rank_axis(x, apart), *_bars(x, found, groups)]
    for place, at in enumerate(order):
        leftward = place < left
        row = place if leftward else len(order) - 1 - place
        parts += _rank_label(x(found[at]), line + 24 * row + 10, f"{names[at]}  {found[at]:.2f}", leftward=leftward)
    return svg(WIDTH, height, parts, "Mean ranks and critical difference")


def _rank_axis(x: Axis, apart: float) -> Iterator[str]:
    yield f'<line class="axis" x1="{x(x.low)}" x2="{x(x.high)}" y1="46" y2="46"/>'
    for rank in range(int(x.low), int(x.high) + 1):
        yield f'<line class="axis" x1="{x(rank)}" x2="{x(rank)}" y1="41" y2="46"/>'
        yield text(x(rank), 37, str(rank), "middle")
    end = x(min(x.low + apart, x.high))
    more = "" if x.low + apart <= x.high else " (beyond the axis)"
    yield f'<line class="bar" x1="{x(x.low)}" x2="{end}" y1="10" y2="10"/>'
    yield text(end + 8, 14, f"critical difference {apart:.2f}{more}", "start", "small")


def _bars(x: Axis, found: Sequence[float], groups: Sequence[Sequence[int]]) -> Iterator[str]:
    for at, group in enumerate(groups):
        here, height = [found[one] for one in group], 54 + 9 * at
        start, end = x(min(here)) - 4, x(max(here)) + 4
        yield f'<line class="bar" x1="{start}" x2="{end}" y1="{height}" y2="{height}"/>'


def _rank_label(place: float, height: float, name: str, *, leftward: bool) -> Iterator[str]:
    edge = 184 if leftward else WIDTH - 184
    yield f'<polyline class="thin" points="{place},46 {place},{height} {edge},{height}"/>'
    yield text(edge - 6 if leftward else edge + 6, height + 4, name, "end" if leftward else "start")


def text(x: float, y: float, said: str, anchor: str, kind: str = "") -> str:
    """A line of text."""
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{round(x, 1)}" y="{round(y, 1)}" text-anchor="{anchor}"{named}>{escape(said)}</text>'


def svg(width: int, height: int, parts: Sequence[str], label: str) -> str:
    """A drawing that shrinks with the page."""
    inside = "\n".join(parts)
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">\n{inside}\n</svg>'
