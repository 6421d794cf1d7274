"""The one page of an experiment: it needs no other file and no network, and prints well.

Invariant: every text that comes from outside is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from alearn.simulation.drawing import colours, curves, ranks
from alearn.simulation.results import LEVELS, TIE, WINDOW
from alearn.simulation.words import equals, shown, spread, words

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: #1b1f24; background: #fff;
  max-width: 860px; margin: 2rem auto 4rem; padding: 0 1.2rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
p.note, td.note, figcaption { color: #57606a; font-size: .88rem; } ul.words { padding-left: 1.1rem; }
ul.words li { margin: .3rem 0; } figure { margin: .6rem 0 1rem; } svg { width: 100%; height: auto; display: block; }
svg text { font-size: 12.5px; fill: #1b1f24; } svg text.small { font-size: 11px; fill: #57606a; }
.grid { stroke: #e6e8eb; } .axis { stroke: #57606a; } .level { stroke: #8c959f; stroke-dasharray: 1 3; }
.bar { stroke: #1b1f24; stroke-width: 4; } .thin { stroke: #8c959f; fill: none; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .45rem; border-bottom: 1px solid #d8dee4; text-align: right; font-size: .9rem; }
td { white-space: nowrap; } td.text { white-space: normal; text-align: left; }
th { font-weight: 600; font-size: .84rem; vertical-align: bottom; overflow-wrap: anywhere; }
th:first-child, td:first-child { text-align: left; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: .9rem; margin: .3rem 0; }
.legend svg, td svg { display: inline-block; width: 28px; height: 10px; vertical-align: middle; margin-right: .4rem; }
small { color: #57606a; }
@media print { body { margin: 0; max-width: none; font-size: 11pt; } figure, table, ul { break-inside: avoid; }
  h2 { break-after: avoid; } * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""


def page(results: Mapping[str, Any]) -> str:
    """The whole page, as HTML."""
    looks = colours(results["strategies"], results["baseline"])
    title = f"{results['name']}: {'replayed' if results['replay'] else 'simulated'}"
    body = [f"<h1>{escape(title)}</h1>", _setup(results), _list(words(results))]
    for setting in results["settings"]:
        body += _section(results, setting, looks)
    body += _comparison(results)
    body += _failures(results["failed"])
    inside = "\n".join(body)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{STYLE}</style>\n</head>\n'
        f"<body>\n{inside}\n</body>\n</html>\n"
    )


def _setup(results: Mapping[str, Any]) -> str:
    """What was run, in a sentence or two."""
    pool, test = results["sizes"][0] if results["sizes"] else (0, 0)
    full, metric = results["full"]["median"], results["metric"]["title"].lower()
    said = (
        f"{len(results['strategies'])} strategies × {results['seeds']} seeds, each on a pool of {pool:,} items with up "
        f"to {results['labels']:,} labels, measured on {test:,} other items that no run sees; network "
        f"{results['network']}, a linear head. A head on all labels of the pool has {metric} {_number(full)} (median "
        "over seeds)."
    )
    return f'<p class="note">{escape(said)}</p>'


def _list(sentences: Iterable[str]) -> str:
    return '<ul class="words">' + "".join(f"<li>{escape(one)}</li>" for one in sentences) + "</ul>"


def _section(results: Mapping[str, Any], setting: Mapping[str, Any], looks: Mapping[str, Any]) -> Iterator[str]:
    """One batch size and rate of wrong answers: curves and table."""
    wrong = f", {setting['noise']:.0%} wrong answers" if setting["noise"] else ""
    yield f"<h2>Learning curves: {setting['batch']} labels a round{wrong}</h2>"
    full = results["full"]["median"]
    levels = {} if full is None else {"all labels": full} | {f"{level:.0%} of it": level * full for level in LEVELS}
    bands = {name: one["band"] for name, one in setting["strategies"].items()}
    yield f"<figure>{curves(bands, looks, levels, results['metric']['title'])}"
    yield f'<div class="legend">{"".join(_key(looks[name]) + escape(name) + "</span>" for name in bands)}</div>'
    yield "<figcaption>Mean over seeds; the band is a 90 % bootstrap interval of the mean.</figcaption></figure>"
    yield _table(_head(results), (_row(results, setting, name, looks) for name in results["strategies"]))
    yield (
        f'<p class="note">Labels: median over seeds [least–most] until the mean of {WINDOW} rounds reaches so much of '
        "what all labels give. Area: mean height of the curve. p: paired Wilcoxon test of the areas, Holm-corrected "
        "over all pairs. Selecting: median seconds a round, with scoring the pool.</p>"
    )


def _key(look: tuple[str, str]) -> str:
    """An opening span with a piece of a curve's line."""
    return f"<span>{_swatch(look)}"


def _swatch(look: tuple[str, str]) -> str:
    colour, dash = look
    broken = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<svg viewBox="0 0 28 10" aria-hidden="true"><line x1="0" x2="28" y1="5" y2="5" stroke="{colour}" '
        f'stroke-width="3"{broken}/></svg>'
    )


def _head(results: Mapping[str, Any]) -> list[str]:
    levels = [f"labels to {level:.0%}" for level in LEVELS]
    return ["strategy", *levels, "area", f"p against {results['baseline']}", "selecting, s"]


def _row(
    results: Mapping[str, Any], setting: Mapping[str, Any], name: str, looks: Mapping[str, tuple[str, str]]
) -> list[str]:
    """A strategy's line of the table, as HTML cells."""
    one, names, base = setting["strategies"][name], results["strategies"], results["baseline"]
    p = setting["p"][names.index(name)][names.index(base)]
    return [
        _swatch(looks[name]) + escape(name),
        *(_spread(one["labels_to"][f"{level:.0%}"], results["labels"], one["runs"]) for level in LEVELS),
        _number(one["area"]),
        "" if p is None else escape(shown(p)),
        _number(one["seconds"]["select_per_round"], 2),
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
    yield _table(["won / tied / lost against", *names], (_duels(results, at) for at in range(len(names))))
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
        yield _table(["run", "why"], ([escape(one["run"]), escape(one["reason"])] for one in failed), text=True)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, text: bool = False) -> str:
    """A table; `head` is text, the cells are HTML, and sentences where `text` says so."""
    cell = '<td class="text">' if text else "<td>"
    top = "".join(f"<th>{escape(one)}</th>" for one in head)
    body = "\n".join("<tr>" + "".join(f"{cell}{one}</td>" for one in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
