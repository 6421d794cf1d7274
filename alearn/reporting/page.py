"""The report as one HTML file, which needs no other file and no network, and prints well.

Invariant: the same numbers and pictures give the same page; headings go down one step at a time; every text is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from alearn.pages.document import document, listed, note, number, table
from alearn.reporting import about_model, about_work, gallery
from alearn.reporting.style import STYLE
from alearn.reporting.words import in_short, tiles

Numbers = Mapping[str, Any]


def page(numbers: Numbers, pictures: Mapping[str, str]) -> str:
    """The whole page; `pictures` are data URIs by the keys of items."""
    return document(f"{numbers['loop']}: report", _body(numbers, pictures), style=STYLE)


def _body(numbers: Numbers, pictures: Mapping[str, str]) -> Iterator[str]:
    yield f"<main>\n<h1>{escape(numbers['loop'])}</h1>"
    yield note(_about(numbers))
    yield _tiles(numbers)
    yield listed(in_short(numbers))
    yield from _section("Learning curve", about_model.course(numbers))
    yield from _section("How good the model is", about_model.quality(numbers["holdout"]))
    yield from _mistakes(numbers)
    yield from _section("Labels spent", about_work.spent(numbers["spent"]))
    yield from _section("Against random labels", about_work.against_random(numbers["saved"], numbers["simulated"]))
    yield from _section("Annotators", about_work.team(numbers["team"]))
    yield from _section("Hardest items", gallery.hardest(numbers["hardest"], pictures))
    yield from _section("Labels that look wrong", gallery.suspects(numbers["suspects"], pictures))
    done = about_work.done(numbers["events"], numbers["automatic"], numbers["quarantined"])
    yield from _section("What was done automatically", done)
    yield from _section("Doing it again", _recipe(numbers))
    yield "</main>"


def _about(numbers: Numbers) -> str:
    """What it is about, and of when."""
    made, question = numbers["made"], numbers["question"]
    asked = f"“{question}” " if question else ""
    return (
        f"{asked}{len(numbers['classes'])} classes of {numbers['status']['items']:,} {numbers['data']} items, after "
        f"{numbers['status']['rounds']} rounds. Made {_time(made['at'])} by alearn {made['alearn']}."
    )


def _time(at: str) -> str:
    """ISO 8601 in UTC, as people write it."""
    return at[:16].replace("T", " ") + " UTC" if at else ""


def _tiles(numbers: Numbers) -> str:
    inside = "".join(
        f'<div><dt>{escape(name)}</dt><dd class="figure">{escape(figure)}</dd>'
        f'<dd class="more">{escape(more)}</dd></div>'
        for name, figure, more in tiles(numbers)
    )
    return f'<dl class="tiles">{inside}</dl>'


def _section(title: str, inside: Iterator[str] | Sequence[str]) -> Iterator[str]:
    yield f"<h2>{escape(title)}</h2>"
    yield from inside


def _mistakes(numbers: Numbers) -> Iterator[str]:
    """Confusion and calibration, beside each other where there is room."""
    found = numbers["holdout"]
    if "unknown" in found:
        return
    yield f"<div{BESIDE if len(numbers['classes']) <= FEW else ''}><section><h3>Mistakes</h3>"
    yield from about_model.mixed_up(found, numbers["classes"])
    yield "</section><section><h3>Calibration</h3>"
    yield from about_model.calibration(found)
    yield "</section></div>"


FEW = 6
"""Classes whose confusion matrix leaves room beside it."""
BESIDE = ' class="beside"'


def _recipe(numbers: Numbers) -> Iterator[str]:
    """Rounds with their versions, commands, seeds, libraries and the config."""
    recipe = numbers["recipe"]
    yield "<h3>Commands</h3>"
    rows = ([f"<code>{escape(one['command'])}</code>", escape(one["does"])] for one in recipe["commands"])
    yield table(["command", "what it does"], rows, text=(0, 1))
    yield "<h3>Rounds and model versions</h3>"
    if numbers["rounds"]:
        yield f'<div class="long">{_rounds(numbers)}</div>'
        yield note(
            "Versions, and the labels that they learned from, are named by the beginning of their hash. `alearn "
            "restore` and `alearn export` take that of a version. --json has them whole, and the weights'."
        )
    else:
        yield note("There is none yet.")
    yield "<h3>Seeds and libraries</h3>"
    yield table([], _made_with(recipe), text=(1,))
    yield f"<h3>Config, with every default</h3><pre>{escape(recipe['config'])}</pre>"


def _rounds(numbers: Numbers) -> str:
    name = numbers["curve"]["metric"]
    heads = ["round", "at", "learned from", "hold-out", numbers["curve"]["title"], "chosen by", "trained"]
    return table(
        [*heads, "version", "labels"],
        (_round(one, name) for one in numbers["rounds"]),
        text=(5, 6, 7, 8),
    )


def _round(one: Numbers, metric: str) -> list[str]:
    return [
        str(one["round"]),
        escape(_time(one["at"])[:16]),
        f"{one['labels']:,}",
        f"{one['holdout_labels']:,}",
        number(one["metrics"].get(metric)),
        escape(", ".join(one["strategies"]).replace("holdout", "hold-out")),
        escape(one["rung"] + (", placed" if one["placed"] else "")),
        *(f"<code>{escape(one[part][:8])}</code>" for part in ("version", "training_set")),
    ]


def _made_with(recipe: Numbers) -> Iterator[list[str]]:
    seeds, model, system = recipe["seeds"], recipe["model"], recipe["system"]
    yield ["seed", escape(f"{seeds['config']}; randomness is {seeds['how']}")]
    if model is not None:
        stands = [model["network"], f"size {model['size']}" if model["size"] else "", model["tap"] or ""]
        yield ["network", escape(", ".join(one for one in stands if one))]
        yield ["network's weights", f"<code>{escape(model['trunk'][:16])}</code>"]
    libraries = "; ".join(f"{name} {', then '.join(versions)}" for name, versions in recipe["libraries"].items())
    yield ["libraries", escape(libraries)]
    yield ["this page was made on", escape(f"alearn {system['alearn']}, Python {system['python']}, {system['system']}")]
