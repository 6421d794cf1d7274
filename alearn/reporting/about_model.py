"""The parts of the page about the model: its curve, its quality, its mistakes, its calibration.

Invariant: every text is escaped; a part of which nothing is known says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from alearn.pages.document import note, number, table
from alearn.reporting.charts import learning_curve, reliability, whisker
from alearn.reporting.words import sentence

Numbers = Mapping[str, Any]

MATRIX = 20
"""Classes up to which the whole confusion matrix is drawn; with more, the commonest mistakes are listed."""


def course(numbers: Numbers) -> Iterator[str]:
    """The learning curve and its forecast."""
    curve, ahead = numbers["curve"], numbers["forecast"]
    if not curve["points"]:
        yield note("No round has been measured yet.")
        return
    about = f" ({curve['about']})" if curve["about"] else ""
    bound = (
        f"The band's edges are bounds of a single look, each with {curve['confidence']:.0%} confidence."
        if curve["target"] is None
        else "The band's lower edge is the bound that has to pass the target, with "
        f"{curve['confidence']:.0%} confidence over all looks together."
    )
    yield f"<figure>{learning_curve(curve, ahead)}"
    yield (
        f"<figcaption>{escape(curve['title'] + about)} of every round's model on the hold-out, which no model has seen."
        f" {bound}</figcaption></figure>"
    )
    yield from _where_to(curve, ahead)


def _where_to(curve: Numbers, ahead: Numbers | None) -> Iterator[str]:
    """The forecast in words."""
    passed = curve["target"] is not None and curve["points"][-1]["value"] >= curve["target"]
    if ahead is not None and ahead["words"]:
        yield f"<p>Forecast: {escape(sentence(ahead['words']))}</p>"
    elif passed and _sure(curve):
        yield "<p>The target is reached, with the confidence that was asked for.</p>"
    elif passed:
        yield (
            "<p>The measured value has passed the target. What is open is how sure that is: more hold-out labels "
            "narrow its bound.</p>"
        )
    elif ahead is None:
        yield note("A forecast takes five measured rounds.")


def _sure(curve: Numbers) -> bool:
    """Whether the last bound has passed the target, too."""
    low = curve["points"][-1]["low"]
    return low is not None and bool(low >= curve["target"])


def quality(found: Numbers) -> Iterator[str]:
    """Every metric and class with its interval."""
    if "unknown" in found:
        yield note(sentence(found["unknown"]))
        return
    groups = "" if found["groups"] == found["labels"] else f" in {found['groups']:,} groups"
    yield note(
        f"Version {found['version'][:8]} of round {found['round']} on {found['labels']:,} hold-out labels{groups}. "
        f"Intervals are central {found['confidence']:.0%} intervals of a single look; the target is judged by the "
        "stricter bounds of the learning curve." + _weighted(found)
    )
    overall = found["overall"]
    yield "<h3>As a whole</h3>"
    yield table(
        ["metric", "value", "interval", ""],
        ([escape(one["title"]), *_measured(one), _bar(name, one)] for name, one in overall.items()),
    )
    yield "<h3>Class by class</h3>"
    rows = sorted(found["classes"], key=_worst) if len(found["classes"]) > MATRIX else found["classes"]
    heads = ["class", "labels", "answers", "precision", "recall", "F1"]
    yield f'<div class="long">{table(heads, (_class(one) for one in rows), text=(3, 4, 5))}</div>'
    yield note(
        "Precision: the share of its answers that are right. Recall: the share of its labels that are found. "
        + ("Ordered by F1, the worst first." if len(found["classes"]) > MATRIX else "")
    )


def _weighted(found: Numbers) -> str:
    """What is to be known of labels that count for unequal much."""
    if found["worth"] is None:
        return ""
    return (
        " Items that decide the metric most were likelier to be drawn, and count for less: the labels tell as much as "
        f"about {found['worth']:,} drawn evenly. Where labels, answers and mistakes are counted, each is one."
    )


def _measured(one: Numbers) -> list[str]:
    known = one["value"] is not None
    return [number(one["value"]), f"{one['low']:.3f} to {one['high']:.3f}" if known else ""]


def _bar(name: str, one: Numbers) -> str:
    return "" if name == "log_loss" else whisker(one)


def _worst(one: Numbers) -> float:
    return 2.0 if one["f1"]["value"] is None else float(one["f1"]["value"])


def _class(one: Numbers) -> list[str]:
    return [
        escape(one["name"]),
        str(one["labels"]),
        str(one["predictions"]),
        *(_with_interval(one[part]) for part in ("precision", "recall", "f1")),
    ]


def _with_interval(found: Numbers) -> str:
    if found["value"] is None:
        return "–"
    return f"{found['value']:.2f} <small>{found['low']:.2f} to {found['high']:.2f}</small>{whisker(found)}"


def mixed_up(found: Numbers, classes: Sequence[str]) -> Iterator[str]:
    """The confusion matrix, or the commonest mistakes among many classes."""
    if len(classes) > MATRIX:
        rows = mistakes(found["confusion"], classes)
        yield table(
            ["label", "answer", "items"], ([escape(a), escape(b), str(count)] for a, b, count in rows), text=(0, 1)
        )
        yield note(f"The commonest of the mistakes among {len(classes)} classes; --json has the whole matrix.")
        return
    long = len(classes) > 6 and max(map(len, classes)) > 5
    head = "".join(f'<th scope="col"><span>{escape(one)}</span></th>' for one in classes)
    body = "".join(
        _matrix_row(name, row, at) for at, (name, row) in enumerate(zip(classes, found["confusion"], strict=True))
    )
    kind = "matrix upright" if long else "matrix"
    yield (
        f'<div class="scroll"><table class="{kind}"><thead><tr><th scope="col">label ↓ &nbsp; answer →</th>{head}</tr>'
        f"</thead><tbody>{body}</tbody></table></div>"
    )
    yield note("How many items of each label were answered as each class. Darker: a larger share of the label.")


def mistakes(confused: Sequence[Sequence[int]], classes: Sequence[str], most: int = 10) -> list[tuple[str, str, int]]:
    """The commonest wrong answers: (label, answer, how often), the commonest first."""
    found = [
        (classes[at], classes[other], count)
        for at, row in enumerate(confused)
        for other, count in enumerate(row)
        if at != other and count
    ]
    return sorted(found, key=lambda one: -one[2])[:most]


def _matrix_row(name: str, row: Sequence[int], own: int) -> str:
    total = max(sum(row), 1)
    cells = "".join(_cell(count, count / total, right=at == own) for at, count in enumerate(row))
    return f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'


def _cell(count: int, share: float, *, right: bool) -> str:
    """A count on a shade: blue where the answer is right, orange where it is not."""
    colour = "0,114,178" if right else "213,94,0"
    ink = ' class="light"' if share > 0.9 else ""
    shade = f' style="background:rgba({colour},{0.08 + 0.8 * share:.2f})"' if count else ""
    return f"<td{ink}{shade}>{count or '<small>0</small>'}</td>"


def calibration(found: Numbers) -> Iterator[str]:
    """The reliability diagram, and its error."""
    error = found["overall"]["calibration_error"]
    yield f'<figure class="square">{reliability(found["calibration"])}'
    yield (
        "<figcaption>On the dotted line the model is as often right as it is sure. Larger dots are more items; bars "
        f"are 95 % intervals. Calibration error (ECE) {number(error['value'])}, {number(error['low'])} to "
        f"{number(error['high'])}.</figcaption></figure>"
    )
