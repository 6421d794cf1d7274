"""`alearn autolabel`: what it says, what it writes, and what the other commands make of it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Alearn = Callable[..., Any]


@pytest.fixture
def ran(digit_photos: Any, edit: Callable[..., Path], tmp_path: Path, alearn: Alearn) -> Path:
    """A loop over four hundred digits, at its end."""
    digit_photos(tmp_path / "photos", 400)
    path = edit(query={"batch": 60}, holdout={"size": 120, "share": 0.4}, budget={"labels": 240})
    assert alearn("run", path, "--json").code == 0
    return path


def test_nothing_is_written_unless_it_is_asked_for(ran: Path, alearn: Alearn) -> None:
    """Without --apply the command only says what could be; with it the labels are there, and status says so."""
    asked = alearn("autolabel", ran, "--precision", "0.8", "--json")
    assert asked.code == 0, asked.err
    assert (asked.json["certified"], asked.json["applied"], asked.json["automatic"]) == (True, None, 0)
    assert alearn("status", ran, "--json").json["automatic"] is None
    done = alearn("autolabel", ran, "--precision", "0.8", "--apply", "--json").json
    assert done["applied"] == done["labeled"] == asked.json["labeled"] > 0
    assert alearn("status", ran, "--json").json["automatic"]["labels"] == done["labeled"]
    assert f"{done['labeled']} labels now" in alearn("status", ran).out
    points = alearn("history", ran, "--json").json
    assert [one["precision"] for point in points for one in point["automatic"]] == [0.8]
    assert "at least 0.8 right" in alearn("history", ran).out


def test_it_says_what_is_promised(ran: Path, alearn: Alearn) -> None:
    """Threshold, hold-out, errors, share, what people keep, and what the confidence means."""
    said = alearn("autolabel", ran, "--precision", "0.8", "--apply").out
    for words in (
        "at least 80 % right, with 95 % confidence",
        "surer than",
        "120 labels count",
        "people keep",
        "looks",
    ):
        assert words in said
    assert "apart from people's" in said
    assert "from before stay" in alearn("autolabel", ran, "--precision", "0.999", "--apply").out


def test_what_cannot_be_certified_is_said_with_what_it_takes(ran: Path, alearn: Alearn) -> None:
    """That is an answer, and no error."""
    said = alearn("autolabel", ran, "--precision", "0.99", "--apply")
    assert said.code == 0
    assert "Nothing can be labeled automatically" in said.out
    assert "120 hold-out labels with" in said.out
    assert "Without an error it takes at least 299 labels" in said.out
    assert "nothing" in said.out.splitlines()[-1]


def test_an_export_has_them_with_their_origin(ran: Path, alearn: Alearn, tmp_path: Path) -> None:
    """Beside people's, or not, as is asked for."""
    given = alearn("autolabel", ran, "--precision", "0.8", "--apply", "--json").json["applied"]
    told = alearn("export", ran, "--labels", tmp_path / "all.csv", "--json").json["labels"]
    assert (told["count"], told["automatic"]) == (240 + given, given)
    rows = list(csv.DictReader((tmp_path / "all.csv").open()))
    assert [row["key"] for row in rows] == sorted(row["key"] for row in rows)
    by_itself = [row for row in rows if row["source"] == "automatic"]
    assert len(by_itself) == given
    assert all(0.5 <= float(row["confidence"]) <= 1 and row["annotators"] == "0" for row in by_itself)
    assert all(row["confidence"] == "" for row in rows if row["source"] == "person")
    assert f"{240 + given}, of which {given} automatic" in alearn("export", ran, "--labels", tmp_path / "b.jsonl").out
    assert alearn("export", ran, "--labels", tmp_path / "people.jsonl", "--no-automatic", "--json").code == 0
    people = [json.loads(line) for line in (tmp_path / "people.jsonl").read_text().splitlines()]
    assert (len(people), {row["source"] for row in people}) == (240, {"person"})


def test_they_can_be_withdrawn(ran: Path, alearn: Alearn) -> None:
    """All of them; people's labels stay."""
    given = alearn("autolabel", ran, "--precision", "0.8", "--apply", "--json").json["applied"]
    assert alearn("autolabel", ran, "--withdraw", "--json").json == {"withdrawn": given}
    assert "0 automatic labels" in alearn("autolabel", ran, "--withdraw").out
    assert alearn("status", ran, "--json").json["labels"] == 240


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--precision", "98"), "--precision must lie between 0 and 1. Got 98"),
        (("--confidence", "1"), "--confidence must lie between 0 and 1. Got 1"),
        (("--withdraw", "--apply"), "Got both"),
        (("--suggest",), "Got --suggest alone. Add --apply"),
        (("--apply", "--limit", "5"), "--limit says how many labels"),
        (("--withdraw", "--suggest", "--limit", "5"), "--limit says how many labels"),
        (("--apply", "--suggest", "--limit", "0"), "--limit must be at least 1. Got 0"),
        ((), "has not begun"),
    ],
)
def test_what_is_wrong_is_a_sentence(arguments: tuple[str, ...], words: str, loop: Path, alearn: Alearn) -> None:
    """Exit code 2, and nothing on stdout."""
    refused = alearn("autolabel", loop, *arguments)
    assert (refused.code, refused.out) == (2, "")
    assert words in refused.err


def test_a_loop_that_was_only_filled_has_no_model(loop: Path, alearn: Alearn) -> None:
    """It says what to do first."""
    alearn("add", loop)
    refused = alearn("autolabel", loop)
    assert refused.code == 2
    assert "Run `alearn run` first" in refused.err


@pytest.mark.parametrize("also", ["--apply", "--withdraw"])
def test_a_platform_that_cannot_show_them_says_so(ran: Path, also: str, alearn: Alearn) -> None:
    """Before anything is written or removed."""
    given = alearn("autolabel", ran, "--precision", "0.8", "--apply", "--json").json["applied"]
    refused = alearn("autolabel", ran, "--precision", "0.9", also, "--suggest")
    assert (refused.code, refused.out) == (2, "")
    assert "must be one that can show automatic labels: label-studio. Got 'simulated'" in refused.err
    assert alearn("status", ran, "--json").json["automatic"]["labels"] == given


def test_they_are_shown_on_label_studio_and_taken_from_it(
    ran: Path, edit: Callable[..., Path], alearn: Alearn, label_studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said how many are shown and why others are not; withdrawing takes them away without being told to."""
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", label_studio.token)
    options = {"url": label_studio.url, "media_root": str(label_studio.media_root), "title": label_studio.new_title()}
    edit(platform={"name": "label-studio", "options": options})
    said = alearn("autolabel", ran, "--precision", "0.8", "--apply", "--suggest", "--limit", "4")
    assert said.code == 0, said.err
    assert "4 on the platform, behind the queue; 4 of them were written now" in said.out
    assert "surer ones are not shown (--limit)" in said.out
    assert "of the hold-out are not shown" in said.out
    told = alearn("autolabel", ran, "--precision", "0.8", "--apply", "--suggest", "--limit", "5", "--json").json
    assert (told["suggested"]["there"], told["suggested"]["new"]) == (5, 1)
    assert told["suggested"]["later"] + told["suggested"]["held_out"] + 5 == told["automatic"]
    gone = alearn("autolabel", ran, "--withdraw", "--json").json
    assert gone == {"withdrawn": told["automatic"], "removed": 5, "kept": 0}
    assert alearn("autolabel", ran, "--withdraw", "--json").json == {"withdrawn": 0}
