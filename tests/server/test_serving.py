"""`alearn serve`: what it answers, and what becomes of it and its controllers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Serve = Callable[..., Any]
Write = Callable[..., Path]


def answer_all(home: Path) -> int:
    """Answer, as people would in a file, all that is asked and has no answer; returns how many were asked in all."""
    asked = [json.loads(line)["key"] for line in (home / "files" / "tasks.jsonl").read_text().splitlines()]
    with (home / "files" / "annotations.jsonl").open("a") as lines:
        for at, key in enumerate(asked):
            lines.write(
                json.dumps({"key": key, "value": ("even", "odd")[at % 2], "annotator": "ann", "id": key}) + "\n"
            )
    return len(asked)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_loops_run_and_are_shown(serve: Serve, write: Write, tmp_path: Path) -> None:
    """Two loops run side by side; health, metrics, JSON and the front page tell where they stand."""
    served = serve(write("one"), write("two"))
    served.until(lambda: all(served.loop(name).get("open") == 5 for name in ("one", "two")))
    answer_all(tmp_path / "home-one")
    served.until(lambda: served.loop("one")["rounds"] == 1)
    assert served.client.get("/health").json()["loops"] == {
        name: {"state": "running", "reason": ""} for name in ("one", "two")
    }
    text = served.client.get("/metrics").text
    assert 'alearn_labels{loop="one"} 5.0' in text
    assert 'alearn_controller{loop="two",state="running"} 1.0' in text
    assert "two" in served.client.get("/").text
    assert served.stop() == 0


def test_what_is_not_there(serve: Serve, write: Write) -> None:
    """An unknown loop, a platform that hears nothing, and a body without an end."""
    served = serve(write())
    assert served.client.get("/loops/other/webhook").status_code == 404
    assert served.client.post("/loops/parity/webhook", json={}).status_code == 404
    assert served.client.post("/loops/parity/webhook", content=b"x" * (16 * 2**20 + 1)).status_code == 413
    assert 'alearn_calls_total{loop="parity",status="413"} 1.0' in served.client.get("/metrics").text


def test_a_dead_controller_is_started_again(serve: Serve, write: Write, tmp_path: Path) -> None:
    """What it was at goes on."""
    served = serve(write())
    served.until(lambda: served.loop("parity").get("open") == 5)
    (child,) = controllers(served)
    os.kill(child, signal.SIGKILL)
    answer_all(tmp_path / "home-parity")
    served.until(lambda: served.loop("parity")["rounds"] == 1)
    assert controllers(served) != [child]


def controllers(served: Any) -> list[int]:
    return [
        pid for pid in served.children() if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes() and not gone(pid)
    ]


def test_controllers_end_with_a_killed_server(serve: Serve, write: Write) -> None:
    """No controller outlives it to write beside the next one."""
    served = serve(write())
    served.until(lambda: served.loop("parity").get("open") == 5)
    children = controllers(served)
    assert children
    served.stop(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while not all(gone(pid) for pid in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_second_replica_stands_by(serve: Serve, write: Write, tmp_path: Path) -> None:
    """It takes over when the first has ended, and nothing is asked twice."""
    path = write()
    first, second = serve(path), serve(path)
    served = {one.state("parity"): one for one in (first, second)}
    first.until(lambda: {first.state("parity"), second.state("parity")} == {"running", "standby"})
    served = {one.state("parity"): one for one in (first, second)}
    running, waiting = served["running"], served["standby"]
    running.until(lambda: running.loop("parity").get("open") == 5)
    running.stop()
    answer_all(tmp_path / "home-parity")
    waiting.until(lambda: waiting.state("parity") == "running" and waiting.loop("parity")["rounds"] == 1)
    tasks = [json.loads(line)["key"] for line in (tmp_path / "home-parity/files/tasks.jsonl").read_text().splitlines()]
    assert len(tasks) == len(set(tasks))


def test_a_loop_that_fails_does_not_stop_the_others(serve: Serve, write: Write, tmp_path: Path) -> None:
    """It is reported with its reason, and goes on when that is mended."""
    broken = write("broken", items={"path": str(tmp_path / "later")})
    served = serve(broken, write("sound"))
    served.until(lambda: served.state("broken") == "failed" and served.loop("sound").get("open") == 5)
    assert served.client.get("/health").status_code == 503
    assert "later" in served.loop("broken")["state_reason"]
    (tmp_path / "photos").rename(tmp_path / "moved")
    (tmp_path / "later").symlink_to(tmp_path / "moved")
    served.until(lambda: served.loop("broken").get("open") == 5)
    assert served.state("broken") == "running"


def refused(*arguments: object) -> str:
    command = [sys.executable, "-m", "alearn", "serve", *map(str, arguments)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 2
    assert "Traceback" not in found.stderr
    return found.stderr


def test_wrong_arguments(serve: Serve, write: Write, tmp_path: Path) -> None:
    """A taken port, one name twice, an empty folder, and an address that nobody could call."""
    path = write()
    served = serve(path)
    assert f"127.0.0.1:{served.port}" in refused(path, "--port", served.port)
    assert "'parity' twice" in refused(path, path)
    (tmp_path / "empty").mkdir()
    assert "YAML files" in refused(tmp_path / "empty")
    assert "--address" in refused(path, "--host", "0.0.0.0", "--port", 0)
