"""The same against a real Label Studio: `alearn run` is killed at random moments while a robot annotates."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from alearn import platform as door
from alearn.config import Config, load
from alearn.loop.intake import take_in
from alearn.loop.undertaking import opened

KILLS, PER_LOOP = 10, 5


@pytest.fixture(scope="module")
def photos(digit_photos: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty digits, by parity."""
    return digit_photos(tmp_path_factory.mktemp("photos"), 40)


def written(photos: Path, home: Path, server: Any) -> Path:
    """The config of a loop of its own, with a project of its own; all of them are called the same."""
    home.mkdir()
    raw = {
        "name": "killed",
        "items": {"path": str(photos), "truth": "folder"},
        "task": {"data": "image", "classes": ["even", "odd"]},
        "model": {"name": "pixels"},
        "query": {"strategy": "random", "batch": 6},
        "queue": {"low": 0, "high": 6},
        "holdout": {"size": 4, "share": 0.2},
        "budget": {"labels": 18},
        "platform": {
            "name": "label-studio",
            "poll": 0.2,
            "options": {"url": server.url, "media_root": str(server.media_root), "title": server.new_title("killed")},
        },
        "robots": {"count": 1, "accuracy": 0.9},
        "home": str(home),
    }
    (home / "loop.yaml").write_text(yaml.safe_dump(raw))
    return home / "loop.yaml"


@contextmanager
def robot(config: Config) -> Iterator[None]:
    """One robot that annotates as long as the block lasts, whatever happens to the controller."""
    with opened(config) as loop:
        take_in(loop)
        loop.platform.prepare()
        with door.robots("label-studio", loop.setting, config.profile, 1):
            yield


def start(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "alearn", "run", str(path)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )


def finish(path: Path) -> None:
    running = start(path)
    _, err = running.communicate(timeout=120)
    assert running.returncode == 0, err


def remembered(config: Config, server: Any) -> dict[str, Any]:
    """The loop's picks, labels and versions, and how often Label Studio holds each item."""
    with opened(config, create=False) as loop:
        store = loop.store
        project = int(re.findall(r"/projects/(\d+)", loop.platform.links()["project"])[0])
        asked = {"project": project, "page_size": 500, "fields": "all"}
        tasks = server.client.get("/api/tasks", params=asked).raise_for_status().json()["tasks"]
        held = [task["data"]["alearn_id"] for task in tasks]
        return {
            "picks": [(p.round, p.rank, p.key, p.purpose, p.closed, p.pushed) for p in store.rounds.picks()],
            "labels": [(label.key, label.value) for label, _ in store.annotations.labels()],
            "versions": [(row.number, row.version, row.kind) for row, _ in store.rounds.history()],
            "tasks": sorted(held),
            "doubled": len(held) - len(set(held)),
            "annotated_twice": [task["id"] for task in tasks if len(task["annotations"]) > 1],
        }


def kill_often(path: Path, moments: random.Random, *, most: int, lasted: float) -> int:
    """Start and kill the controller until it was killed so often, or was done before it could be; returns how often."""
    for killed in range(most):
        running = start(path)
        time.sleep(moments.uniform(0.1, 0.4) * lasted)
        done = running.poll() is not None
        running.kill()
        running.communicate()
        if done:
            return killed
    return most


@pytest.mark.timeout(600)
def test_killed_while_people_annotate(
    photos: Path, tmp_path: Path, label_studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same picks, same labels, same versions; no task doubled, nothing asked twice, nothing lost."""
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", label_studio.token)
    undisturbed = written(photos, tmp_path / "undisturbed", label_studio)
    began = time.monotonic()
    with robot(load(undisturbed)):
        finish(undisturbed)
    lasted = time.monotonic() - began
    truth = remembered(load(undisturbed), label_studio)
    assert (len(truth["labels"]), truth["doubled"], truth["annotated_twice"]) == (18, 0, [])

    moments, killed, trial = random.Random(7), 0, 0
    while killed < KILLS:
        path = written(photos, tmp_path / f"trial {trial}", label_studio)
        with robot(load(path)):
            killed += kill_often(path, moments, most=min(PER_LOOP, KILLS - killed), lasted=lasted)
            finish(path)
        assert remembered(load(path), label_studio) == truth, f"trial {trial}"
        trial += 1
    for path in tmp_path.rglob("*.sqlite3"):
        assert label_studio.token.encode() not in path.read_bytes(), "a secret never reaches the database"
