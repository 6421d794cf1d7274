"""`alearn simulate`: strategies compared on answers that are known."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from alearn.errors import ConfigError
from alearn.simulation.occupancy import LOCK, occupied

SMALL = ("--strategies", "margin,random", "--seeds", "2", "--labels", "20", "--batch", "10")


def untimed(value: Any) -> Any:
    """Results without what a clock says."""
    if isinstance(value, dict):
        return {key: untimed(one) for key, one in value.items() if key not in {"seconds", "files"}}
    return [untimed(one) for one in value] if isinstance(value, list) else value


def results(folder: Path) -> Any:
    return untimed(json.loads((folder / "results.json").read_text()))


def test_an_experiment_is_killed_and_goes_on(loop: Path, alearn: Callable[..., Any], tmp_path: Path) -> None:
    """Results are those of an experiment that nothing disturbed; what was done is not done again; nobody is left."""
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    for family in _killed_in_the_middle(loop, killed):
        assert psutil.wait_procs(family, timeout=20)[1] == []
    done = {path.name: path.read_bytes() for path in (killed / "runs").glob("*.json")}
    assert done
    said = alearn("simulate", loop, *SMALL, "--jobs", 1, "--out", killed)
    assert said.code == 0
    assert f"{len(done)} of 6 runs were done before" in said.err or len(done) == 6
    assert all((killed / "runs" / name).read_bytes() == content for name, content in done.items())
    assert alearn("simulate", loop, *SMALL, "--jobs", 2, "--out", whole).code == 0
    assert results(killed) == results(whole)
    _sound(results(whole))
    assert "6 of 6 runs were done before" in alearn("simulate", loop, *SMALL, "--out", whole).err
    page = (whole / "report.html").read_text()
    assert "<svg" in page
    assert "http:" not in page
    assert "https:" not in page


def _killed_in_the_middle(loop: Path, out: Path) -> Iterator[list[psutil.Process]]:
    """Start an experiment, kill it when its first run is written, and hand over the processes it had started."""
    command = [sys.executable, "-c", "from alearn.cli import main; main()", "simulate", str(loop), *SMALL]
    quiet, scratch = subprocess.DEVNULL, {**os.environ, "TMPDIR": str(out.parent)}
    process = subprocess.Popen([*command, "--jobs", "1", "--out", str(out)], stderr=quiet, stdout=quiet, env=scratch)
    deadline = time.monotonic() + 120
    while not list((out / "runs").glob("*.json")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGKILL)
    process.wait()
    yield family


def _sound(found: Any) -> None:
    """Every run has its rounds, on as many labels as asked for, and every strategy its numbers."""
    assert [(run["strategy"], run["seed"]) for run in found["runs"]] == [
        (name, seed) for seed in range(2) for name in ("margin", "random")
    ]
    for run in found["runs"]:
        assert [labels for labels, _ in run["curve"]] == [10, 20]
        assert all(0 <= value <= 1 for _, value in run["curve"])
    assert found["sizes"] == [[48, 12]]
    assert found["all"]["blocks"] == 2
    assert found["failed"] == []
    assert any("random" in sentence for sentence in found["words"])


def test_two_experiments_in_one_folder(loop: Path, alearn: Callable[..., Any], tmp_path: Path) -> None:
    """The second is refused while the first is at work, and touches nothing; afterwards the folder is free."""
    out = tmp_path / "out"
    with occupied(out):
        said = alearn("simulate", loop, *SMALL, "--jobs", 1, "--out", out)
        assert said.code == 2
        assert "no other `alearn simulate` works in" in said.err
        assert "Traceback" not in said.err
        assert [path.name for path in out.iterdir()] == [LOCK]
    with occupied(out):
        pass
    (tmp_path / "file").touch()
    said = alearn("simulate", loop, *SMALL, "--out", tmp_path / "file")
    assert said.code == 2
    assert "--out must be a folder that you may write to" in said.err


def test_a_folder_is_free_when_its_process_is_killed(tmp_path: Path) -> None:
    """Nothing that it left behind keeps the next one out."""
    code = "import sys, time, pathlib; from alearn.simulation.occupancy import occupied\n"
    code += "with occupied(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(ConfigError), occupied(tmp_path):
            pass
        process.kill()
        process.wait()
    with occupied(tmp_path):
        pass


def test_a_finished_loop_is_replayed(loop: Path, alearn: Callable[..., Any], tmp_path: Path) -> None:
    """Its labels are the known answers; the loop itself is left as it was."""
    out = tmp_path / "replayed"
    early = alearn("simulate", "--replay", loop, "--out", out)
    assert early.code == 2
    assert "has not begun" in early.err
    assert alearn("run", loop).code == 0
    before = alearn("status", loop, "--json").json
    said = alearn(
        "simulate",
        "--replay",
        loop,
        "--strategies",
        "margin,random",
        "--seeds",
        1,
        "--labels",
        20,
        "--out",
        out,
        "--json",
    )
    assert said.code == 0
    assert said.json["items"] == before["labels"] == 40
    assert any("Did active learning help here?" in sentence for sentence in said.json["words"])
    assert any("Only items that were labeled can be replayed" in sentence for sentence in said.json["words"])
    assert alearn("status", loop, "--json").json == before


def test_a_run_that_fails_stops_no_other(
    loop: Path, alearn: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its reason is told, and the others are compared."""
    (tmp_path / "broken_strategy.py").write_text("def choose(pool, n, rng):\n    raise ValueError('<it> broke')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    out = tmp_path / "out"
    options = [
        "--strategies",
        "broken_strategy:choose,random",
        "--seeds",
        "1",
        "--labels",
        "20",
        "--batch",
        "10",
        "--jobs",
        "1",
    ]
    said = alearn("simulate", loop, *options, "--out", out, "--json")
    assert said.code == 0
    assert [one["reason"] for one in said.json["failed"]] == ["ValueError: <it> broke"]
    assert [run["strategy"] for run in said.json["runs"]] == ["random"]
    assert "&lt;it&gt; broke" in (out / "report.html").read_text()


def test_items_without_answers_cannot_be_simulated(loop: Path, alearn: Callable[..., Any], tmp_path: Path) -> None:
    raw = yaml.safe_load(loop.read_text())
    del raw["items"]["truth"]
    loop.write_text(yaml.safe_dump(raw))
    said = alearn("simulate", loop, "--out", tmp_path / "out")
    assert said.code == 2
    assert "items.truth" in said.err


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--strategies", "nonsense"], "nonsense"),
        (["--strategies", "skactiveml:Nonsense"], "skactiveml:CoreSet"),
        (["--noise", "some"], "--noise"),
        (["--noise", "1.5"], "--noise"),
        (["--batch", "0"], "--batch"),
        (["--seeds", "0"], "--seeds"),
        (["--labels", "1"], "--labels"),
    ],
)
def test_a_wrong_option_is_named(options: list[str], named: str, loop: Path, alearn: Callable[..., Any]) -> None:
    said = alearn("simulate", loop, *options)
    assert said.code == 2
    assert named in said.err
