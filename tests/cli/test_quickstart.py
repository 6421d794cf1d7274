"""`alearn quickstart`: a new loop each time, a summary, and nothing left running."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alearn.cli.quickstart import go_on_command
from alearn.config import load

Alearn = Callable[..., Any]


def test_a_quickstart_of_a_config(loop: Path, alearn: Alearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels and a model folder are there at the end, and the summary says where; a second one begins anew."""
    monkeypatch.chdir(tmp_path)
    said = alearn("quickstart", loop, "--json")
    assert said.code == 0, said.err
    assert (said.json["outcome"], said.json["labels"]) == ("done", 40)
    assert Path(said.json["labels_file"]).read_text().count("\n") == 41
    assert (Path(said.json["model_folder"]) / "predict.py").exists()
    again = alearn("quickstart", loop)
    for part in ("labels.csv", "model", "rounds", "minutes", "40 spent of 60 items", "to go on", "alearn.yaml"):
        assert part in again.out
    assert "After a stop, go on with: " in again.err
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_a_quickstart_goes_on_by_its_config(
    loop: Path, alearn: Alearn, edit: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that it writes is the loop's config: status, export and run work on it, from every folder."""
    monkeypatch.chdir(tmp_path)
    said = alearn("quickstart", loop, "--json").json
    file = Path(said["config"])
    assert said["go_on"].endswith(f"alearn run {file.relative_to(tmp_path)}")
    monkeypatch.chdir(tmp_path / "photos")
    status = alearn("status", file, "--json").json
    assert (status["loop"], status["labels"], status["next"]) == (file.parent.name, 40, "done")
    assert alearn("export", file, "--labels", tmp_path / "labels.csv", "--json").json["labels"]["count"] == 40
    file.write_text(file.read_text().replace("labels: 40", "labels: 44"))
    assert alearn("run", file, "--json").json["labels"] == 44
    assert alearn("add", file, "--json").json["added"] == 0


def test_a_quickstart_that_is_stopped_says_how_to_go_on(
    edit: Callable[..., Path], alearn: Alearn, tmp_path: Path
) -> None:
    """After Ctrl-C the last line is the command that goes on with this loop, and it does."""
    loop = edit(platform={"name": "files", "poll": 0.2})
    started = subprocess.Popen(
        [sys.executable, "-m", "alearn", "quickstart", str(loop)], stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    try:
        while not list(tmp_path.glob("runs/*/files/tasks.jsonl")):
            assert started.poll() is None, started.stderr and started.stderr.read()
            time.sleep(0.1)
    finally:
        os.kill(started.pid, signal.SIGINT)
        _, err = started.communicate(timeout=30)
    assert started.returncode == 130
    (file,) = tmp_path.glob("runs/*/alearn.yaml")
    said = err.splitlines()[-1]
    assert "Nothing is lost. Go on with: " in said
    command = shlex.split(said.partition("Go on with: ")[2])
    assert command[-2:] == ["run", str(file.relative_to(tmp_path))]
    assert any("go on with" in line for line in err.splitlines()[:3])
    done = subprocess.run([*command, "--once", "--json"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["open"] > 0
    assert len(list(tmp_path.glob("runs/*"))) == 1


@pytest.mark.parametrize(
    ("options", "robots", "command"),
    [
        ({}, True, "alearn label-studio up && {} run a/alearn.yaml --robots"),
        ({}, False, "alearn label-studio up && {} run a/alearn.yaml"),
        ({"url": "http://127.0.0.1:9"}, True, "alearn run a/alearn.yaml --robots"),
    ],
)
def test_what_goes_on_with_a_label_studio_loop(
    options: dict[str, str],
    robots: bool,
    command: str,
    edit: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Robots go on only when asked for, and the private server, which a quickstart stops, is started first."""
    monkeypatch.chdir(tmp_path)
    config = load(edit(platform={"name": "label-studio", "options": options}))
    said = go_on_command(tmp_path / "a" / "alearn.yaml", config, robots=robots)
    program = said.split(" ")[0]
    assert said == command.format(program).replace("alearn ", f"{program} ", 1)


def test_a_quickstart_writes_no_password_of_the_environment(
    edit: Callable[..., Path], alearn: Alearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is written, not what it stands for; a password that the config itself holds is the user's alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOP_DATABASE", "postgresql+psycopg://me:hunter2@127.0.0.1:9/x")
    assert alearn("quickstart", edit(store={"url": "${LOOP_DATABASE}"})).code == 2
    (file,) = tmp_path.glob("runs/*/alearn.yaml")
    assert "hunter2" not in file.read_text()
    file.unlink()
    assert alearn("quickstart", edit(store={"url": "postgresql+psycopg://me:own@127.0.0.1:9/x"})).code == 2
    (file,) = tmp_path.glob("runs/*/alearn.yaml")
    assert file.stat().st_mode & 0o077 == 0


def test_a_quickstart_that_does_not_exist(alearn: Alearn) -> None:
    """The shipped ones are listed."""
    said = alearn("quickstart", "tulips")
    assert said.code == 2
    assert "digits, intents, solar-cells" in said.err


@pytest.mark.timeout(300)
def test_the_whole_way_through_label_studio(
    label_studio: Any, edit: Callable[..., Path], alearn: Alearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A robot annotates through a real server's API, the budget is spent, and doctor finds nothing wrong."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", label_studio.token)
    options = {"url": label_studio.url, "media_root": str(label_studio.media_root), "title": label_studio.new_title()}
    loop = edit(platform={"name": "label-studio", "poll": 0.2, "options": options}, robots={"count": 1})
    ran = alearn("run", loop, "--robots", "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["outcome"], ran.json["labels"]) == ("done", 40)
    found = alearn("doctor", loop, "--json").json
    assert [one for one in found if not one["ok"]] == []
