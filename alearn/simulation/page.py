"""The one page of an experiment: it needs no other file and no network, and prints well.

Invariant: every text that comes from outside is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from alearn.pages.document import document, legend, listed, note, number, swatch, table
from alearn.pages.drawing import Look
from alearn.simulation.drawing import colours, curves, ranks
from alearn.simulation.results import LEVELS, TIE, WINDOW
from alearn.simulation.words import equals, shown, spread, words


def page(results: Mapping[str, Any]) -> str:
    """The whole page, as HTML."""
    looks = colours(results["strategies"], results["baseline"])
    title = f"{results['name']}: {'replayed' if results['replay'] else 'simulated'}"
    body = [f"<h1>{escape(title)}</h1>", _setup(results), listed(words(results))]
    for setting in results["settings"]:
        body += _section(results, setting, looks)
    body += _comparison(results)
    body += _failures(results["failed"])
    return document(title, body)


def _setup(results: Mapping[str, Any]) -> str:
    """What was run, in a sentence or two."""
    pool, test = results["sizes"][0] if results["sizes"] else (0, 0)
    full, metric = results["full"]["median"], results["metric"]["title"].lower()
    said = (
        f"{len(results['strategies'])} strategies × {results['seeds']} seeds, each on a pool of {pool:,} items with up "
        f"to {results['labels']:,} labels, measured on {test:,} other items that no run sees; network "
        f"{results['network']}, a linear head. A head on all labels of the pool has {metric} {number(full)} (median "
        "over seeds)."
    )
    return note(said)


def _section(results: Mapping[str, Any], setting: Mapping[str, Any], looks: Mapping[str, Look]) -> Iterator[str]:
    """One batch size and rate of wrong answers: curves and table."""
    wrong = f", {setting['noise']:.0%} wrong answers" if setting["noise"] else ""
    yield f"<h2>Learning curves: {setting['batch']} labels a round{wrong}</h2>"
    full = results["full"]["median"]
    levels = {} if full is None else {"all labels": full} | {f"{level:.0%} of it": level * full for level in LEVELS}
    bands = {name: one["band"] for name, one in setting["strategies"].items()}
    yield f"<figure>{curves(bands, looks, levels, results['metric']['title'])}"
    yield legend((looks[name], name) for name in bands)
    yield "<figcaption>Mean over seeds; the band is a 90 % bootstrap interval of the mean.</figcaption></figure>"
    yield table(_head(results), (_row(results, setting, name, looks) for name in results["strategies"]))
    yield (
        f'<p class="note">Labels: median over seeds [least–most] until the mean of {WINDOW} rounds reaches so much of '
        "what all labels give. Area: mean height of the curve. p: paired Wilcoxon test of the areas, Holm-corrected "
        "over all pairs. Selecting: median seconds a round, with scoring the pool.</p>"
    )


def _head(results: Mapping[str, Any]) -> list[str]:
    levels = [f"labels to {level:.0%}" for level in LEVELS]
    return ["strategy", *levels, "area", f"p against {results['baseline']}", "selecting, s"]


def _row(results: Mapping[str, Any], setting: Mapping[str, Any], name: str, looks: Mapping[str, Look]) -> list[str]:
    """A strategy's line of the table, as HTML cells."""
    one, names, base = setting["strategies"][name], results["strategies"], results["baseline"]
    p = setting["p"][names.index(name)][names.index(base)]
    return [
        swatch(looks[name]) + escape(name),
        *(_spread(one["labels_to"][f"{level:.0%}"], results["labels"], one["runs"]) for level in LEVELS),
        number(one["area"]),
        "" if p is None else escape(shown(p)),
        number(one["seconds"]["select_per_round"], 2),
    ]


def _spread(found: Mapping[str, Any], budget: int, runs: int) -> str:
    """Median and range, as HTML."""
    middle, _, around = spread(found, budget, runs).partition(" ")
    return escape(middle) + (f" <small>{escape(around)}</small>" if around else "")


def _comparison(results: Mapping[str, Any]) -> Iterator[str]:
    """All settings together: wins and ranks."""
    names, every = results["strategies"], results["all"]
    if len(names) < 2 or not results["runs"]:
        return
    yield "<h2>Won, tied and lost</h2>"
    yield table(["won / tied / lost against", *names], (_duels(results, at) for at in range(len(names))))
    yield (
        '<p class="note">Areas under the curve, compared on the same seed, batch size and share of wrong answers. '
        f"Within {TIE:g} is a tie.</p>"
    )
    if len(names) < 3 or every["critical_difference"] is None:
        return
    yield "<h2>Ranks and critical difference</h2>"
    yield f"<figure>{ranks(names, every['ranks'], every['critical_difference'], every['cliques'])}"
    differ = "" if every["friedman"] is None else f" Friedman's test that none differs: p {equals(every['friedman'])}."
    yield (
        "<figcaption>Mean rank by the area, 1 is best. Strategies under one bar are not shown to differ "
        f"(Nemenyi, 5 %).{escape(differ)}</figcaption></figure>"
    )


def _duels(results: Mapping[str, Any], at: int) -> list[str]:
    every, names = results["all"], results["strategies"]
    cells = [escape(names[at])]
    for other in range(len(names)):
        won, lost = every["wins"][at][other], every["losses"][at][other]
        tied = every["both"][at][other] - won - lost
        cells.append("" if at == other else f"{won} / {tied} / {lost}")
    return cells


def _failures(failed: Sequence[Mapping[str, str]]) -> Iterator[str]:
    if failed:
        yield "<h2>Runs that failed</h2>"
        yield table(["run", "why"], ([escape(one["run"]), escape(one["reason"])] for one in failed), text=(0, 1))
