"""The page: it stands alone, says what the numbers say, and takes any text for a text."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

from alearn.config import Config
from alearn.loop.controller import run
from alearn.loop.intake import take_in
from alearn.loop.undertaking import opened
from alearn.reporting.gathering import gather, shown_items
from alearn.reporting.page import page
from alearn.reporting.pictures import pictures
from alearn.reporting.words import saving

Make = Callable[..., Config]
Numbers = dict[str, Any]

HOSTILE = "</style></title>\"'><img src=http://evil/x onerror=alert(1)><script>alert(2)</script>&"
LOADS = {"src", "href", "srcset", "data", "poster", "action", "background", "xlink:href"}


class Seen(HTMLParser):
    """Every tag with its attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def assert_stands_alone(text: str) -> None:
    """Nothing that a browser would load or run; headings in order; drawings and pictures have a text."""
    seen = Seen(text)
    for tag, attributes in seen.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form"}
        assert not any(name.startswith("on") for name in attributes)
        for name in LOADS & attributes.keys():
            assert str(attributes[name]).startswith("data:image/"), (tag, attributes)
        if tag == "img":
            assert attributes["alt"]
        if tag == "svg":
            assert attributes.get("aria-label") or attributes.get("aria-hidden") == "true"
    styles = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert len(styles) == 1
    assert not re.search(r"@import|url\(", styles[0] + "".join(str(a.get("style")) for _, a in seen.tags))
    levels = [int(tag[1]) for tag, _ in seen.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for one in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(one)
    assert not re.search(r"\b(nan|None|inf)\b", re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL))


@pytest.fixture(scope="session")
def shown(ran: Config, numbers: Numbers) -> str:
    """The page of the loop that has run."""
    with opened(ran, create=False) as loop:
        return page(numbers, pictures(loop, shown_items(numbers)))


def test_the_page_stands_alone(shown: str) -> None:
    assert_stands_alone(shown)
    assert shown.count("data:image/") >= 20


def test_the_page_shows_the_numbers_of_the_json(shown: str, numbers: Numbers) -> None:
    """Every metric, class, count, annotator, round and version of the one is in the other."""
    plain = unescape(re.sub(r"<[^>]+>", " ", shown))
    said = " ".join(plain.split())
    for one in numbers["holdout"]["overall"].values():
        assert f"{one['title']} {one['value']:.3f} {one['low']:.3f} to {one['high']:.3f}" in said
    for one in numbers["holdout"]["classes"]:
        shares = " ".join(
            f"{one[part]['value']:.2f} {one[part]['low']:.2f} to {one[part]['high']:.2f}"
            for part in ("precision", "recall", "f1")
        )
        assert f"{one['name']} {one['labels']} {one['predictions']} {shares}" in said
    for name, row in zip(numbers["classes"], numbers["holdout"]["confusion"], strict=True):
        assert f"{name} {' '.join(map(str, row))}" in said
    for one in numbers["curve"]["points"]:
        assert f"round {one['round']}: {one['value']:.3f} after {one['labels']} labels" in shown
    for one in numbers["rounds"]:
        assert f"{one['version'][:8]} {one['training_set'][:8]}" in said
    for one in numbers["team"]["annotators"]:
        assert f"{one['name']} {one['answers']} {one['skips']} {one['seconds']:.1f} {one['hours']:.2f}" in said
    for one in numbers["events"]:
        assert one["words"] in said
    for one in numbers["recipe"]["commands"]:
        assert one["command"] in said
    assert numbers["recipe"]["config"] in unescape(shown)
    assert saving(numbers["saved"]) in said
    assert numbers["status"]["decision"]["reason"] in said


def hostile(value: Any) -> Any:
    """The same value with every text in it made hostile."""
    if isinstance(value, str):
        return HOSTILE + value
    if isinstance(value, dict):
        return {name: hostile(inner) for name, inner in value.items()}
    return [hostile(one) for one in value] if isinstance(value, list) else value


def test_whatever_text_is_hostile_it_stays_a_text(ran: Config, numbers: Numbers) -> None:
    """Names of the loop, classes, annotators, files and strategies; questions, reasons, errors; keys of counts."""
    told = {
        **numbers,
        "simulated": {"how": "x", "items": 3, "words": ["y"]},
        "quarantined": [{"place": "p", "reason": "r"}],
    }
    bad = hostile(told)
    bad["spent"]["asked_for"] = {HOSTILE: 3}
    bad["recipe"]["libraries"] = {HOSTILE: [HOSTILE]}
    text = page(bad, {})
    assert_stands_alone(text)
    assert "<script" not in text
    assert "cannot be shown" in text
    for part in ("holdout", "saved", "hardest", "suspects"):
        assert_stands_alone(page({**bad, part: {"unknown": HOSTILE}}, {}))


def test_costs_are_shown_in_their_currency(numbers: Numbers) -> None:
    """At the top, in the first sentences and in the table, with the limit; and a hostile currency is a text."""
    limited = {**numbers["spent"]["budget"], "money": 100}
    for currency in ("doubloons", HOSTILE):
        spent = {"money": 12.5, "money_each": 0.054, "currency": currency, "budget": limited}
        shown = page({**numbers, "spent": {**numbers["spent"], **spent}}, {})
        assert_stands_alone(shown)
        said = unescape(shown)
        assert f"of a budget of 100 {currency}" in said
        assert f"labels were spent, in 15 minutes of annotators' work, for 12.50 {currency}" in re.sub(
            r"in [\d.]+ \w+ of", "in 15 minutes of", said
        )
        assert said.count(f"12.50 {currency}") == 3
        assert f"0.05 {currency}" in said


def test_hostile_texts_are_shown_as_they_are(numbers: Numbers) -> None:
    """A text item's excerpt is what a person reads, with nothing lost."""
    items = [{**one, "text": HOSTILE, "uri": None, "name": None} for one in numbers["hardest"]["items"]]
    text = page({**numbers, "hardest": {**numbers["hardest"], "items": items}}, {})
    assert_stands_alone(text)
    assert HOSTILE in "".join(Seen(text).texts)


def test_many_classes_are_listed_the_worst_first(numbers: Numbers) -> None:
    """A matrix of 30 classes would not fit: the commonest mistakes are named instead."""
    names, held = [f"class {at}" for at in range(30)], numbers["holdout"]
    confusion = [[9 if at == other else 0 for other in range(30)] for at in range(30)]
    confusion[4][7] = 5
    classes = [{**held["classes"][0], "name": name, "f1": {"value": None, "low": None, "high": None}} for name in names]
    classes[9] = {**classes[9], "f1": {"value": 0.125, "low": 0.1, "high": 0.2}}
    text = page({**numbers, "classes": names, "holdout": {**held, "confusion": confusion, "classes": classes}}, {})
    assert "matrix" not in re.sub(r"<style>.*?</style>|whole matrix", "", text, flags=re.DOTALL)
    rows = re.sub(r"<[^>]+>", " ", text.split("Class by class")[1])
    assert rows.index("class 9") < rows.index("class 0")
    assert re.search(r"class 4\s+class 7\s+5\s", rows)


def test_an_empty_loop_has_a_sensible_page(make: Make) -> None:
    with opened(make()) as loop:
        take_in(loop)
        text = page(gather(loop, "x.yaml"), {})
    assert_stands_alone(text)
    assert "No model has been trained yet. 0 of 400 items have a label." in text
    for said in ("No round has been measured yet", "Nobody has answered yet", "Nothing yet", "alearn run x.yaml"):
        assert said in text


def test_a_loop_without_a_hold_out_has_a_sensible_page(make: Make) -> None:
    with opened(make(holdout={"size": 0}, target=None, budget={"labels": 60})) as loop:
        run(loop)
        text = page(gather(loop, "x.yaml"), {})
    assert_stands_alone(text)
    assert "The hold-out has no label yet, so nothing is known of how good the model is." in text
    assert "Not known from this loop&#x27;s own labels." in text


def test_one_measured_round_is_drawn(numbers: Numbers) -> None:
    """A single point has no band, but its interval."""
    curve = {**numbers["curve"], "points": numbers["curve"]["points"][:1]}
    text = page({**numbers, "curve": curve, "forecast": None}, {})
    assert_stands_alone(text)
    assert "A forecast takes five measured rounds." in text


def test_a_metric_that_the_hold_out_cannot_decide_is_a_dash(make: Make) -> None:
    """A class that nobody has seen yet: its F1 is the target, and nothing is known of it, nor of what was saved."""
    changed = {
        "task": {"classes": ["even", "odd", "other"]},
        "target": {"metric": "f1", "positive": "other"},
        "platform": {"options": {"annotators": 1, "accuracy": 1.0}},
        "consensus": {"overlap": 0},
        "budget": {"labels": 140},
    }
    with opened(make(**changed)) as loop:
        run(loop)
        numbers = gather(loop, "x.yaml")
    text = page(numbers, {})
    assert_stands_alone(text)
    assert numbers["holdout"]["classes"][2]["f1"] == {"value": None, "low": None, "high": None}
    assert "The hold-out cannot decide F1" in numbers["saved"]["unknown"]
    assert "No round has been measured yet" in text
    assert re.search(r"<td>other</td><td>0</td><td>0</td>(<td class=\"text\">–</td>){3}", text)


def test_it_says_which_of_a_weighted_hold_out_stand_for_random_labels(numbers: Numbers) -> None:
    """Those that even odds would have drawn as well; of one that was drawn evenly, all that were drawn."""
    for uneven, some in (
        (0, "of the hold-out and"),
        (3, "of the hold-out that even odds would have drawn as well and"),
    ):
        drawn = {**numbers["saved"]["drawn"], "uneven": uneven, "guard": 4}
        shown = page({**numbers, "saved": {**numbers["saved"], "drawn": drawn}}, {})
        assert f"{some} the 4 that the guard drew" in shown
