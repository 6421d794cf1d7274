"""The drawings of a report: the learning curve and where it goes, chosen beside random labels, calibration, whiskers.

Invariant: numbers of the report in, SVG out; colours are told apart by everybody, and never alone say what is what.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alearn.pages.document import legend
from alearn.pages.drawing import BASELINE, PALETTE, Axis, Look, stroke, text
from alearn.pages.plot import Margins, Plot, plot

BLUE, ORANGE, GREEN = PALETTE[:3]
MEASURED: Look = (BLUE, "")
AHEAD: Look = (GREEN, "6 4")
RANDOM: Look = (BASELINE, "5 4")
GOAL: Look = (ORANGE, "2 3")

Points = Sequence[Mapping[str, Any]]


def learning_curve(curve: Mapping[str, Any], ahead: Mapping[str, Any] | None) -> str:
    """Every round with its bounds, the target, and the forecast; with its legend."""
    points, further = curve["points"], (ahead or {}).get("points", [])
    heights = [one[name] for one in points for name in ("low", "value", "high") if one[name] is not None]
    heights += [one[name] for one in further for name in ("low", "high")]
    goal = {} if curve["target"] is None else {f"target {curve['target']:g}": curve["target"]}
    at = _fitted([one["labels"] for one in [*points, *further]], [*heights, *goal.values()])
    parts = [*at.grid("labels that the model learned from", curve["title"]), *_goal(at, goal)]
    parts += _ahead(at, further)
    parts += _measured(at, points, curve["title"])
    names = [(MEASURED, f"{curve['title']} on the hold-out; band: its bounds")]
    names += [(AHEAD, "forecast; band: 80 % interval")] if further else []
    names += [(GOAL, "target")] if goal else []
    said = f"{curve['title']} on the hold-out by labels, round by round" + (", and its forecast" if further else "")
    return at.drawn(parts, said) + legend(names)


def _fitted(across: Sequence[float], up: Sequence[float], height: int = 380) -> Plot:
    """Axes that hold these values with a little room, and stay within a metric's range."""
    room = 0.04 * (max(up) - min(up)) or 0.02
    low, high = max(min(up) - room, 0.0), min(max(up) + room, 1.0)
    return plot((0, max(across)), (low, high), size=(760, height), margins=Margins(right=82))


def _goal(at: Plot, goal: Mapping[str, float]) -> Iterator[str]:
    for name, value in goal.items():
        y = at.y(value)
        yield f'<line x1="{at.margins.left}" x2="{at.end}" y1="{y}" y2="{y}" {stroke(GOAL, 2)}/>'
        yield text(at.end + 6, y + 4, name, "start", "small")


def _ahead(at: Plot, points: Points) -> Iterator[str]:
    if len(points) < 2:
        return
    x, low, middle, high = ([one[name] for one in points] for name in ("labels", "low", "median", "high"))
    yield at.area(x, low, high, AHEAD[0], 0.12)
    yield at.line(x, middle, AHEAD, "forecast")


def _measured(at: Plot, points: Points, title: str) -> Iterator[str]:
    known = [one for one in points if one["low"] is not None and one["high"] is not None]
    if len(known) > 1:
        low, high = ([one[name] for one in known] for name in ("low", "high"))
        yield at.area([one["labels"] for one in known], low, high, BLUE)
    for one in known if len(known) == 1 else []:
        yield _upright(at, one["labels"], one["low"], one["high"])
    x, y = [one["labels"] for one in points], [one["value"] for one in points]
    yield at.line(x, y, MEASURED, title)
    names = [
        f"round {one['round']}: {one['value']:.3f} after {one['labels']} labels, on {one['holdout_labels']} others"
        for one in points
    ]
    yield from at.dots(x, y, BLUE, names)


def _upright(at: Plot, x: float, low: float, high: float, colour: str = BLUE) -> str:
    """An interval as an upright line."""
    return f'<line x1="{at.x(x)}" x2="{at.x(x)}" y1="{at.y(low)}" y2="{at.y(high)}" {stroke((colour, ""), 1.5)}/>'


def beside_random(found: Mapping[str, Any]) -> str:
    """The loop's labels beside as many random ones, with the legend."""
    points = found["points"]
    labels = [one["labels"] for one in points]
    kinds = {
        name: {part: [one[name][part] for one in points] for part in ("value", "low", "high")}
        for name in ("random", "chosen")
    }
    at = _fitted(labels, [value for one in kinds.values() for part in one.values() for value in part], 320)
    looks = {"chosen": MEASURED, "random": RANDOM}
    names = {"chosen": "labels that the loop asked for", "random": "labels drawn at random"}
    parts = [*at.grid("labels that a head learned from", found["title"])]
    parts += [at.area(labels, one["low"], one["high"], looks[name][0], 0.13) for name, one in kinds.items()]
    parts += [at.line(labels, one["value"], looks[name], names[name]) for name, one in kinds.items()]
    said = f"{found['title']} of heads on the loop's labels and on random ones, by labels"
    return at.drawn(parts, said) + legend((looks[name], names[name]) for name in ("chosen", "random"))


def reliability(bins: Points) -> str:
    """How often the model is right beside how sure it is, bin by bin; larger dots are more items."""
    most, least = max(one["items"] for one in bins), min(one["from"] for one in bins)
    begin = 0.1 * int(10 * least)  # nobody is less sure than that: the drawing has room for what there is
    at = plot((begin, 1), (0, 1), size=(400, 370), margins=Margins(right=16))
    ideal = at.line([begin, 1], [begin, 1], (BASELINE, "2 4"), "as sure as right", 1.5)
    parts = [*at.grid("how sure the model is", "how often it is right"), ideal]
    for one in bins:
        found, x = one["accuracy"], one["confidence"]
        parts.append(_upright(at, x, found["low"], found["high"]))
        size = 2.5 + 5.5 * (one["items"] / most) ** 0.5
        name = f"<title>{one['items']} items, {x:.2f} sure on average, {found['value']:.2f} of them right</title>"
        parts.append(f'<circle cx="{at.x(x)}" cy="{at.y(found["value"])}" r="{size:.1f}" fill="{BLUE}">{name}</circle>')
    return at.drawn(parts, "Reliability: how often the model is right by how sure it is")


def whisker(found: Mapping[str, float | None]) -> str:
    """A value in [0, 1] with its interval, as a small line beside its text; nothing where it is not known."""
    value, low, high = (found[name] for name in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return ""
    x = Axis(0, 1, 4, 116)
    parts = [
        f'<line x1="4" x2="116" y1="5" y2="5" {stroke(("#e6e8eb", ""), 2)}/>',
        f'<line x1="{x(low)}" x2="{x(high)}" y1="5" y2="5" {stroke((BLUE, ""), 2)} stroke-opacity="0.55"/>',
        f'<circle cx="{x(value)}" cy="5" r="3.5" fill="{BLUE}"/>',
    ]
    kept = 'viewBox="0 0 120 10" preserveAspectRatio="xMinYMid"'
    return f'<svg class="whisker" {kept} aria-hidden="true">{"".join(parts)}</svg>'
