"""The frame of a page that needs no other file and no network, and prints well; its tables and lists.

Invariant: a text is escaped on its way in; what is called HTML is trusted. The browser itself is told to load nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from alearn.pages.drawing import Look, stroke

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
td { white-space: nowrap; } th.text, td.text { white-space: normal; text-align: left; }
th { font-weight: 600; font-size: .84rem; vertical-align: bottom; overflow-wrap: anywhere; }
th:first-child, td:first-child { text-align: left; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: .9rem; margin: .3rem 0; }
.legend svg, td svg { display: inline-block; width: 28px; height: 10px; vertical-align: middle; margin-right: .4rem; }
small { color: #57606a; }
@media print { body { margin: 0; max-width: none; font-size: 11pt; } figure, table, ul { break-inside: avoid; }
  h2 { break-after: avoid; } * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
"""What every page looks like."""
NOTHING_ELSE = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What the browser may load: the page's own style, and pictures that are in it."""


def document(title: str, body: Iterable[str], *, style: str = "") -> str:
    """A whole page, of HTML `body`; `style` comes on top of what every page has."""
    inside = "\n".join(body)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{NOTHING_ELSE}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{STYLE}{style}</style>\n'
        f"</head>\n<body>\n{inside}\n</body>\n</html>\n"
    )


def listed(sentences: Iterable[str]) -> str:
    """Sentences, one below the other."""
    return '<ul class="words">' + "".join(f"<li>{escape(one)}</li>" for one in sentences) + "</ul>"


def note(sentence: str) -> str:
    """A sentence in small print."""
    return f'<p class="note">{escape(sentence)}</p>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, text: Sequence[int] = (), caption: str = "") -> str:
    """A table; `head` is text, or empty; the cells are HTML; the columns `text` hold sentences, the others numbers."""
    top = "".join(f'<th scope="col"{_words(at, text)}>{escape(one)}</th>' for at, one in enumerate(head))
    top = f"<thead><tr>{top}</tr></thead>" if top else ""
    body = "\n".join(
        "<tr>" + "".join(f"<td{_words(at, text)}>{one}</td>" for at, one in enumerate(row)) + "</tr>" for row in rows
    )
    named = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="scroll"><table>{named}{top}\n<tbody>{body}</tbody></table></div>'


def _words(at: int, text: Sequence[int]) -> str:
    return ' class="text"' if at in text else ""


def swatch(look: Look) -> str:
    """A piece of a curve's line."""
    line = f'<line x1="0" x2="28" y1="5" y2="5" {stroke(look, 3)}/>'
    return f'<svg viewBox="0 0 28 10" aria-hidden="true">{line}</svg>'


def legend(names: Iterable[tuple[Look, str]]) -> str:
    """Which line is what."""
    return (
        '<div class="legend">' + "".join(f"<span>{swatch(look)}{escape(one)}</span>" for look, one in names) + "</div>"
    )


def number(value: float | None, digits: int = 3) -> str:
    """A number, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"
