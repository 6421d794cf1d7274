"""`alearn report`: the page, the numbers, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Alearn = Callable[..., Any]


@pytest.fixture
def ran(loop: Path, alearn: Alearn) -> Path:
    """A small loop at its end."""
    assert alearn("run", loop, "--json").code == 0
    return loop


def without_time(numbers: dict[str, Any]) -> dict[str, Any]:
    return {**numbers, "made": None, "spent": {**numbers["spent"], "days": None}}


def test_the_page_is_written_where_it_is_asked_for(
    ran: Path, alearn: Alearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """report.html in the current folder when nothing is said; making it twice replaces it."""
    monkeypatch.chdir(tmp_path)
    said = alearn("report", ran)
    assert said.code == 0, said.err
    assert str(tmp_path / "report.html") in said.out
    text = (tmp_path / "report.html").read_text()
    assert text.startswith("<!doctype html>")
    assert "<h1>parity</h1>" in text
    assert alearn("report", ran, "--out", tmp_path / "other.htm").code == 0
    assert (tmp_path / "other.htm").read_text().startswith("<!doctype html>")


def test_json_is_printed_or_written(ran: Path, alearn: Alearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same numbers, alone or beside the page; alone it writes nothing."""
    monkeypatch.chdir(tmp_path)
    printed = alearn("report", ran, "--json").json
    assert not (tmp_path / "report.html").exists()
    assert printed["spent"]["labels"] == 40
    both = alearn("report", ran, "--json", "--out", tmp_path / "page.html")
    assert without_time(both.json) == without_time(printed)
    assert "<h1>parity</h1>" in (tmp_path / "page.html").read_text()
    for extra in ([], ["--json"]):
        written = alearn("report", ran, *extra, "--out", tmp_path / "numbers.json")
        assert written.code == 0
        assert "numbers.json" in written.out
        assert without_time(json.loads((tmp_path / "numbers.json").read_text())) == without_time(printed)


def test_a_report_changes_nothing(ran: Path, alearn: Alearn) -> None:
    """The loop stands where it stood."""
    before = alearn("status", ran, "--json").json, alearn("history", ran, "--json").json
    assert alearn("report", ran, "--json").code == 0
    assert (alearn("status", ran, "--json").json, alearn("history", ran, "--json").json) == before


def test_a_loop_without_a_round_has_a_report(loop: Path, alearn: Alearn, tmp_path: Path) -> None:
    """It says what there is."""
    alearn("add", loop)
    assert alearn("report", loop, "--out", tmp_path / "empty.html").code == 0
    assert "No model has been trained yet" in (tmp_path / "empty.html").read_text()


def test_what_is_refused(loop: Path, alearn: Alearn, tmp_path: Path) -> None:
    """Another kind of file, and a loop that has not begun: one message each, exit code 2, nothing written."""
    said = alearn("report", loop, "--out", tmp_path / "report.pdf")
    assert (said.code, "must end in .html or .json" in said.err) == (2, True)
    said = alearn("report", loop, "--out", tmp_path / "report.html")
    assert (said.code, "has not begun" in said.err) == (2, True)
    assert not (tmp_path / "report.html").exists()
    assert not (loop.parent / "home").exists()
