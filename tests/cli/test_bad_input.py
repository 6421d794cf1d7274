"""What a user can cause is one message on stderr and exit code 2, and never a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Alearn = Callable[..., Any]


def assert_refused(said: Any, *parts: str) -> None:
    assert said.code == 2, said
    assert "\nalearn: " in f"\n{said.err}", said.err
    assert "Traceback" not in said.err
    for part in parts:
        assert part in said.err


@pytest.mark.parametrize(
    "command", ["add", "run", "status", "history", "report", "health", "autolabel", "replay", "holdout", "doctor"]
)
def test_a_missing_config(command: str, alearn: Alearn, tmp_path: Path) -> None:
    """Every command that takes a config names the one that is not there."""
    assert_refused(alearn(command, tmp_path / "nothing.yaml"), "nothing.yaml")


def test_a_wrong_config(edit: Callable[..., Path], alearn: Alearn) -> None:
    """File, key, allowed, got, next step."""
    assert_refused(alearn("run", edit(query={"batch": 0})), "`query.batch` in parity.yaml", "Got 0", "default, 32")


def test_a_missing_or_empty_folder(edit: Callable[..., Path], alearn: Alearn, tmp_path: Path) -> None:
    """The source is named."""
    assert_refused(alearn("run", edit(items={"path": "nowhere"})), "nowhere")
    (tmp_path / "void").mkdir()
    assert_refused(alearn("run", edit(items={"path": "void"})), "void")


@pytest.mark.parametrize("command", ["status", "history", "report", "health", "autolabel", "replay"])
def test_a_loop_that_has_not_begun(command: str, loop: Path, alearn: Alearn) -> None:
    """Reading what is not there says how to begin, and begins nothing."""
    assert_refused(alearn(command, loop), "has not begun")
    assert not (loop.parent / "home").exists()


def test_exports_that_cannot_be(loop: Path, alearn: Alearn, tmp_path: Path) -> None:
    """Nothing asked for, an unknown kind of file, no model yet."""
    alearn("add", loop)
    assert_refused(alearn("export", loop), "--labels")
    assert_refused(alearn("export", loop, "--labels", tmp_path / "labels.xls"), ".jsonl or .csv")
    assert_refused(alearn("export", loop, "--model", tmp_path / "model"), "no model yet")
    assert not (tmp_path / "model").exists()


def test_a_model_folder_that_is_none(alearn: Alearn, loop: Path, tmp_path: Path) -> None:
    """Predicting with something else than an exported folder is refused."""
    assert_refused(alearn("predict", tmp_path / "photos", tmp_path / "photos"))


@pytest.mark.parametrize(
    ("section", "part"),
    [
        ({"query": {"strategy": "astrology"}}, "astrology"),
        ({"query": {"strategy": "no.such.module:pick"}}, "no.such.module"),
        ({"model": {"name": "no-such-network"}}, "no-such-network"),
        ({"platform": {"name": "no-such-platform", "options": {}}}, "no-such-platform"),
        ({"platform": {"name": "simulated", "options": {"acuracy": 1}}}, "acuracy"),
        ({"platform": {"name": "simulated", "options": {"accuracy": 7}}}, "accuracy"),
        ({"store": {"url": "nosuchdb://x"}}, "nosuchdb"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_names_that_do_not_exist(section: dict[str, Any], part: str, edit: Callable[..., Path], alearn: Alearn) -> None:
    """Strategy, model, platform, option and store are named with what is allowed."""
    assert_refused(alearn("run", edit(**section)), part)


def test_other_classes_for_a_loop_that_has_begun(loop: Path, edit: Callable[..., Path], alearn: Alearn) -> None:
    """The labels there are would mean something else."""
    alearn("run", loop)
    assert_refused(alearn("run", edit(task={"classes": ["even", "odd", "other"]})), "new: other")


def test_label_studio_that_is_not_there(
    edit: Callable[..., Path], alearn: Alearn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port where nothing listens is named, with what to do."""
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "0" * 40)
    loop = edit(platform={"name": "label-studio", "options": {"url": "http://127.0.0.1:9"}})
    assert_refused(alearn("run", loop), "127.0.0.1:9")


def test_secrets_are_not_shown(edit: Callable[..., Path], alearn: Alearn) -> None:
    """A password in a URL does not reach the terminal."""
    said = alearn("run", edit(store={"url": "postgresql+psycopg://me:hunter2@127.0.0.1:9/x"}))
    assert_refused(said, "127.0.0.1:9")
    assert "hunter2" not in said.err + said.out


def test_config_check_does_not_show_passwords(
    edit: Callable[..., Path], alearn: Alearn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is printed can be pasted into an issue."""
    monkeypatch.setenv("LOOP_DATABASE", "postgresql+psycopg://me:hunter2@127.0.0.1:9/x")
    edit(platform={"name": "simulated", "options": {"also": "${LOOP_DATABASE}"}})
    said = alearn("config", "check", edit(store={"url": "${LOOP_DATABASE}"}))
    assert said.code == 0
    assert said.out.count("postgresql+psycopg://me:***@127.0.0.1:9/x") == 2
    assert "hunter2" not in said.out


@pytest.mark.parametrize("out", ["nodir/x.yaml", "photos"])
def test_init_where_no_file_can_be(
    out: str, loop: Path, alearn: Alearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is not there, or that is in the way, is one sentence."""
    monkeypatch.chdir(tmp_path)
    assert_refused(alearn("init", "photos", "--classes", "a,b", "--out", out), "--out", out)
    assert not (tmp_path / "nodir").exists()


def test_init_of_what_cannot_be_guessed(alearn: Alearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong guess would be found an hour later; what is not there is said, and what is not clear is asked."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "void").mkdir()
    assert_refused(alearn("init", "nowhere", "--classes", "a,b"), "nowhere")
    assert_refused(alearn("init", "void", "--classes", "a,b"), "--data image or --data text")
    assert_refused(alearn("init", "s3://bucket/photos", "--classes", "a,b"), "--data image or --data text")
    assert not (tmp_path / "alearn.yaml").exists()
    assert alearn("init", "s3://bucket/photos", "--classes", "a,b", "--data", "image").code == 0


def test_two_controllers(loop: Path, alearn: Alearn, edit: Callable[..., Path], tmp_path: Path) -> None:
    """A second `run` on the same loop is refused while the first one lives, and works after Ctrl-C has ended it."""
    edit(platform={"name": "files", "options": {}, "poll": 0.2})
    first = subprocess.Popen(
        [sys.executable, "-m", "alearn", "run", str(loop)], stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    try:
        tasks = tmp_path / "home" / "files" / "tasks.jsonl"
        while not tasks.exists():
            assert first.poll() is None, first.stderr and first.stderr.read()
            time.sleep(0.1)
        assert_refused(alearn("run", loop, "--once"), "one controller")
    finally:
        os.kill(first.pid, signal.SIGINT)
        _, err = first.communicate(timeout=30)
    assert first.returncode == 130
    assert "Nothing is lost" in err
    assert "Traceback" not in err
    assert alearn("run", loop, "--once", "--json").json["outcome"] == "wait"
