"""The drawings of an experiment: learning curves with bands, and ranks with their critical difference.

Invariant: numbers in, SVG text out; every text is escaped, and nothing but the page's own CSS is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from alearn.pages.drawing import BASELINE, PALETTE, Axis, Look, svg, text
from alearn.pages.plot import Plot, plot

DASHES = ("", "7 3", "2 3")
"""A second and a third round through the palette."""

WIDTH = 760


def colours(names: Sequence[str], baseline: str) -> dict[str, Look]:
    """{strategy: (colour, dash)}; the baseline is grey and dashed."""
    others = [name for name in names if name != baseline]
    found = {
        name: (PALETTE[at % len(PALETTE)], DASHES[at // len(PALETTE) % len(DASHES)]) for at, name in enumerate(others)
    }
    return {baseline: (BASELINE, "5 4"), **found}


def curves(
    bands: Mapping[str, Mapping[str, Sequence[float]]],
    looks: Mapping[str, Look],
    levels: Mapping[str, float],
    title: str,
) -> str:
    """Mean curves {strategy: labels, mean, low, high} with their bands, and `levels` {text: height} across."""
    drawn = {name: one for name, one in bands.items() if one["labels"]}
    if not drawn:
        return '<p class="note">No round could be measured.</p>'
    at = _plot(drawn, levels)
    areas = [at.area(one["labels"], one["low"], one["high"], looks[name][0]) for name, one in drawn.items()]
    lines = [at.line(one["labels"], one["mean"], looks[name], name) for name, one in drawn.items()]
    parts = [*at.grid("labels", title), *at.levels(levels), *areas, *lines]
    return at.drawn(parts, f"Learning curves: {title} against labels")


def _plot(drawn: Mapping[str, Mapping[str, Sequence[float]]], levels: Mapping[str, float]) -> Plot:
    labels = [value for one in drawn.values() for value in one["labels"]]
    lows = [value for one in drawn.values() for value in one["low"]]
    highs = [value for one in drawn.values() for value in one["high"]] + list(levels.values())
    room = 0.03 * (max(highs) - min(lows)) or 0.01
    return plot((0, max(labels)), (min(lows) - room, max(highs) + room))


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
