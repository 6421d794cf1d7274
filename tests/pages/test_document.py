"""The frame of every page."""

from __future__ import annotations

import re

from alearn.pages.document import document, legend, listed, note, number, table

HOSTILE = "<script>alert(1)</script>"


def test_a_page_tells_the_browser_to_load_nothing() -> None:
    """Even if something got through, it could neither run nor call home."""
    text = document(HOSTILE, ["<h1>x</h1>"], style="b { color: red }")
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in text
    assert HOSTILE not in text
    assert "b { color: red }</style>" in text


def test_texts_are_escaped_and_cells_are_html() -> None:
    """In tables, lists, notes and legends."""
    made = table([HOSTILE], [["<b>1</b>"]], caption=HOSTILE) + listed([HOSTILE]) + note(HOSTILE)
    made += legend([(("#000", ""), HOSTILE)])
    assert HOSTILE not in made
    assert made.count("&lt;script&gt;") == 5
    assert "<td><b>1</b></td>" in made


def test_a_table_says_what_its_columns_are() -> None:
    """Heads have a scope; columns of words are to the left; without heads there is no empty row of them."""
    made = table(["name", "count"], [["a", "1"]], text=(0,))
    assert '<th scope="col" class="text">name</th><th scope="col">count</th>' in made
    assert '<td class="text">a</td><td>1</td>' in made
    assert not re.search("<th", table([], [["a", "1"]]))


def test_what_is_not_known_is_a_dash() -> None:
    assert (number(None), number(0.12345), number(2, 1)) == ("–", "0.123", "2.0")
