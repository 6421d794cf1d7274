"""The commands on a real loop: what they print, for people and for scripts."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer.main

from alearn.cli.app import app
from alearn.config import load

Alearn = Callable[..., Any]


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands(typer.main.get_command(app)))  # type: ignore[arg-type]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(path: tuple[str, ...], alearn: Alearn) -> None:
    """`--help` says what a command does and shows one that works."""
    said = alearn(*path, "--help")
    assert said.code == 0
    assert f"Example: alearn {' '.join(path)}" in said.out
    assert COMMANDS[path].help


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_is_in_the_readme_or_the_changelog(path: tuple[str, ...]) -> None:
    """What can be typed can be found."""
    root = Path(__file__).parents[2]
    known = (root / "README.md").read_text() + (root / "CHANGELOG.md").read_text()
    assert f"alearn {path[0]}" in known or f"`{path[0]}`" in known


def test_a_loop_from_add_to_predict(loop: Path, alearn: Alearn, tmp_path: Path) -> None:
    """Add, run, status, history, export and predict, as a script would use them."""
    added = alearn("add", loop, "--json")
    assert (added.code, added.json["added"], added.json["items"]) == (0, 60, 60)
    assert alearn("add", loop, "--json").json["added"] == 0

    ran = alearn("run", loop, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["outcome"] == "done"
    assert ran.json["labels"] == 40
    assert "budget" in ran.json["decision"]["kind"]

    status = alearn("status", loop, "--json").json
    assert status["open"] == 0
    assert status["next"] == "done"
    history = alearn("history", loop, "--json").json
    assert [point["round"] for point in history] == list(range(1, len(history) + 1))
    assert history[-1]["metrics"]["accuracy"]["n"] == 10
    assert history[0]["libraries"]["numpy"]

    said = alearn("export", loop, "--labels", tmp_path / "labels.csv", "--model", tmp_path / "model", "--json")
    assert said.code == 0, said.err
    rows = list(csv.DictReader(io.StringIO((tmp_path / "labels.csv").read_text())))
    assert len(rows) == 40
    assert {row["label"] for row in rows} == {"even", "odd"}
    assert {(row["holdout"], row["weight"]) for row in rows} == {("True", "1.0"), ("False", "")}
    predicted = alearn("predict", tmp_path / "model", tmp_path / "photos")
    lines = [json.loads(line) for line in predicted.out.splitlines()]
    assert len(lines) == 60
    assert {line["label"] for line in lines} <= {"even", "odd"}


def test_the_same_in_words(loop: Path, alearn: Alearn, tmp_path: Path) -> None:
    """Without --json people read sentences and tables."""
    assert "60" in alearn("add", loop).err
    assert "done" in alearn("run", loop).err
    status = alearn("status", loop).out
    assert "40" in status
    assert "at least" in next(line for line in status.splitlines() if line.startswith("accuracy"))
    assert "at most" in next(line for line in status.splitlines() if line.startswith("log_loss"))
    assert "nothing is left to do" in status
    assert "uncertainty_herding" in alearn("history", loop).out
    assert "labels.jsonl" in alearn("export", loop, "--labels", tmp_path / "labels.jsonl").out.replace("\n", "")
    assert len((tmp_path / "labels.jsonl").read_text().splitlines()) == 40


def test_a_raised_budget_goes_on(loop: Path, edit: Callable[..., Path], alearn: Alearn) -> None:
    """A loop that has stopped is decided anew when its terms change, and keeps all it has."""
    assert alearn("run", loop, "--json").json["labels"] == 40
    assert alearn("run", loop, "--json").json["labels"] == 40, "done stays done"
    edit(budget={"labels": 44})
    assert alearn("run", loop, "--json").json["labels"] == 44


def test_a_target_stops_the_loop(edit: Callable[..., Path], alearn: Alearn) -> None:
    """When the lower bound passes the target the loop says so, with the numbers."""
    loop = edit(target={"value": 0.2}, holdout={"size": 30, "share": 0.6, "rate": 0.9}, budget={"labels": 50})
    ran = alearn("run", loop, "--json").json
    assert ran["decision"]["kind"] == "target"
    assert "0.2" in ran["reason"]


def test_an_exhausted_pool_stops_the_loop(edit: Callable[..., Path], alearn: Alearn) -> None:
    """Without target and budget everything is asked, the unused part of the hold-out excepted, and that is said."""
    loop = edit(budget={"labels": None}, holdout={"size": 0})
    ran = alearn("run", loop, "--json").json
    assert (ran["labels"], ran["decision"]["kind"]) == (60, "empty")


def test_new_items_wake_a_loop_that_had_run_dry(edit: Callable[..., Path], alearn: Alearn, tmp_path: Path) -> None:
    """The pool may grow at any time."""
    loop = edit(budget={"labels": None}, holdout={"size": 0})
    later = tmp_path / "later" / "odd"
    later.mkdir(parents=True)
    for path in list((tmp_path / "photos" / "odd").iterdir())[:5]:
        path.rename(later / path.name)
    assert alearn("run", loop, "--json").json["labels"] == 55
    assert alearn("add", loop, "--path", tmp_path / "later", "--json").json["added"] == 5
    assert alearn("run", loop, "--json").json["labels"] == 60


def test_once_returns_instead_of_waiting(edit: Callable[..., Path], alearn: Alearn) -> None:
    """`run --once` does what can be done now: with people annotating in files, it queues and returns."""
    loop = edit(platform={"name": "files", "options": {}})
    ran = alearn("run", loop, "--once", "--json").json
    assert ran["outcome"] == "wait"
    assert ran["open"] > 0
    assert ran["rounds"] == 0


def test_bad_items_are_reported_and_stop_nothing(loop: Path, alearn: Alearn, tmp_path: Path) -> None:
    """Unreadable, empty and non-image files are put aside with their reason; copies are asked once."""
    (tmp_path / "photos" / "odd" / "empty.png").write_bytes(b"")
    (tmp_path / "photos" / "odd" / "text.png").write_text("hello")
    whole = next((tmp_path / "photos" / "odd").glob("1.png")).read_bytes()
    (tmp_path / "photos" / "odd" / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "photos" / "odd" / "copy.png").write_bytes(whole)
    assert alearn("run", loop, "--json").code == 0
    status = alearn("status", loop, "--json").json
    assert status["items"] == 60
    assert {Path(row["place"]).name for row in status["quarantined"]} == {"empty.png", "text.png", "truncated.png"}
    assert all(row["reason"] for row in status["quarantined"])
    assert "3 put aside" in alearn("status", loop).out


def test_init_writes_a_config_that_runs(loop: Path, alearn: Alearn, tmp_path: Path) -> None:
    """What `init` writes is sound, guesses the kind of data, and is never overwritten."""
    out = tmp_path / "mine.yaml"
    said = alearn("init", tmp_path / "photos", "--classes", "even, odd", "--out", out)
    assert said.code == 0, said.err
    config = load(out)
    assert (config.task.data, config.task.classes) == ("image", ("even", "odd"))
    assert config.source.path == str(tmp_path / "photos")
    told = alearn("init", tmp_path / "photos", "--classes", "a,b", "--out", tmp_path / "told.yaml", "--json").json
    assert told == {"file": str(tmp_path / "told.yaml"), "name": load(tmp_path / "told.yaml").name} | {
        "data": "image", "classes": ["a", "b"]
    }  # fmt: skip
    again = alearn("init", tmp_path / "photos", "--classes", "even,odd", "--out", out)
    assert again.code == 2
    assert "must not exist" in again.err


@pytest.mark.parametrize("source", ["photos", "photos/", "./photos", "{tmp}/photos", "~/photos"])
def test_init_names_the_items_as_the_file_sees_them(
    source: str, loop: Path, alearn: Alearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the file is written, its path leads to what was meant in the folder where the command was given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "sub").mkdir()
    for out in ("alearn.yaml", "sub/a.yaml"):
        said = alearn("init", source.format(tmp=tmp_path), "--classes", "even,odd", "--out", out)
        assert said.code == 0, said.err
        config = load(tmp_path / out)
        assert (config.source.path, config.task.data) == (str(tmp_path / "photos"), "image")


def test_init_in_a_folder_called_like_a_number(
    loop: Path, alearn: Alearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """YAML would take 2024 for a number; as a name and as a path it stays text."""
    (tmp_path / "2024").mkdir()
    (tmp_path / "photos").rename(tmp_path / "2024" / "2023")
    monkeypatch.chdir(tmp_path / "2024")
    said = alearn("init", "2023", "--classes", "1,2")
    assert said.code == 0, said.err
    config = load(tmp_path / "2024" / "alearn.yaml")
    assert (config.name, config.items.path, config.task.classes) == ("2024", "2023", ("1", "2"))


def test_a_checked_config_is_json(edit: Callable[..., Path], alearn: Alearn, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its defaults, and no password."""
    monkeypatch.setenv("LOOP_DATABASE", "postgresql+psycopg://me:hunter2@127.0.0.1:9/x")
    said = alearn("config", "check", edit(store={"url": "${LOOP_DATABASE}"}), "--json")
    assert said.json["query"]["copies"] == "once"
    assert said.json["store"]["url"] == "postgresql+psycopg://me:***@127.0.0.1:9/x"


def test_a_label_studio_that_is_not_running_is_stopped(
    alearn: Alearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is to be done, and that is said, also as JSON."""
    monkeypatch.setenv("ALEARN_DATA", str(tmp_path))
    assert "was not running" in alearn("label-studio", "down").out
    assert alearn("label-studio", "down", "--json").json == {"running": False, "stopped": False}


def test_money_is_told(edit: Callable[..., Path], alearn: Alearn) -> None:
    """By status, history and the report, with the currency; the loop ends with its money."""
    loop = edit(budget={"labels": None, "money": 3.0}, costs={"annotation": 0.1, "currency": "doubloons"})
    ran = alearn("run", loop, "--json")
    assert ran.code == 0, ran.err
    assert "the budget of 3 doubloons is spent" in ran.json["decision"]["reason"]
    assert "3 doubloons of 3 doubloons" in alearn("status", loop).out
    assert alearn("status", loop, "--json").json["costs"]["amount"] == 3.0
    spent = [point["spent"] for point in alearn("history", loop, "--json").json]
    assert [one["money"] for one in spent] == sorted(one["money"] for one in spent)
    assert (spent[-1]["money"], spent[-1]["annotations"], spent[-1]["currency"]) == (3.0, 30, "doubloons")
    told = alearn("annotators", loop, "--json").json["annotators"]
    assert sum(one["cost"] for one in told) == pytest.approx(3.0)


def test_the_schema_is_json(alearn: Alearn) -> None:
    """`config schema` is for editors."""
    assert "query" in alearn("config", "schema").json["properties"]


def test_doctor_says_what_is_wrong(loop: Path, edit: Callable[..., Path], alearn: Alearn) -> None:
    """A sound loop passes; a strategy that does not exist is a finding with its fix."""
    assert alearn("doctor", loop).code == 0
    edit(query={"strategy": "astrology"})
    said = alearn("doctor", loop, "--json")
    assert said.code == 1
    assert any("astrology" in one["advice"] for one in said.json if not one["ok"])


@pytest.mark.parametrize("url", [None, "sqlite:///{tmp}/elsewhere/rows.sqlite3"])
def test_doctor_begins_nothing(url: str | None, edit: Callable[..., Path], alearn: Alearn, tmp_path: Path) -> None:
    """A loop that has not begun is a finding and no fault; all else is checked, and nothing is left behind."""
    loop = edit(platform={"name": "files", "options": {}})
    if url:
        edit(store={"url": url.format(tmp=tmp_path)})
    before = sorted(tmp_path.rglob("*"))
    found = alearn("doctor", loop, "--json")
    assert found.code == 0, found.out
    assert any("not begun yet" in one["what"] for one in found.json)
    assert any("network" in one["what"] for one in found.json)
    assert any("can be written" in one["what"] for one in found.json)
    assert sorted(tmp_path.rglob("*")) == before
    alearn("add", loop)
    begun = alearn("doctor", loop, "--json").json
    assert not any("not begun yet" in one["what"] for one in begun)
    assert any("store opens" in one["what"] for one in begun)


def test_doctor_tells_a_loop_that_has_not_begun_from_a_store_that_fails(
    edit: Callable[..., Path], alearn: Alearn, tmp_path: Path
) -> None:
    """A database with another loop in it is fine; one that is none is a fault, and the rest is checked all the same."""
    url = f"sqlite:///{tmp_path}/rows.sqlite3"
    alearn("add", edit(store={"url": url}))
    loop = edit(name="another")
    assert any("not begun yet" in one["what"] for one in alearn("doctor", loop, "--json").json)
    assert alearn("status", loop).code == 2
    (tmp_path / "rows.sqlite3").write_text("no database " * 100)
    said = alearn("doctor", loop, "--json")
    assert said.code == 1
    assert [one["what"] for one in said.json if not one["ok"]] == ["The store can be used"]
    assert any("network" in one["what"] for one in said.json)


@pytest.mark.parametrize(
    ("section", "part"),
    [
        ({"query": {"cold_start": "margin"}}, "`query.cold_start`"),
        ({"items": {"path": "nowhere"}}, "nowhere"),
        ({"model": {"name": "no-such-network"}}, "no-such-network"),
        ({"platform": {"name": "no-such-platform"}}, "no-such-platform"),
    ],
    ids=["cold start", "items", "model", "platform"],
)
def test_doctor_finds_what_would_stop_a_run(
    section: dict[str, Any], part: str, edit: Callable[..., Path], alearn: Alearn
) -> None:
    """Each with its advice, before anything has begun."""
    said = alearn("doctor", edit(**section), "--json")
    assert said.code == 1
    assert [part in one["advice"] for one in said.json if not one["ok"]] == [True]


def test_python_m_alearn() -> None:
    """The module runs as the script does."""
    done = subprocess.run([sys.executable, "-m", "alearn", "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("alearn ")
