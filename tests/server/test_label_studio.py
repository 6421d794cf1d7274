"""`alearn serve` and a real Label Studio: a label saved there leads to a better queue, whatever happens in between."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from alearn import platform as door
from alearn.config import Config, load
from alearn.loop.intake import take_in
from alearn.loop.undertaking import opened

Serve = Callable[..., Any]
Write = Callable[..., Path]
KILLS = int(os.environ.get("ALEARN_TEST_KILLS", "4"))


@pytest.fixture
def write_loop(write: Write, label_studio: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes the config of a loop on the shared server, whose controller would look once an hour by itself."""
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", label_studio.token)

    def make(name: str, **sections: Any) -> Path:
        options = {"url": label_studio.url, "media_root": str(label_studio.media_root)}
        options["title"] = label_studio.new_title(name)
        options |= sections.pop("options", {})
        return write(name, platform={"name": "label-studio", "poll": 3600, "options": options}, **sections)

    return make


@contextmanager
def project_of(path: Path) -> Iterator[int]:
    with opened(load(path)) as loop:
        yield int(re.findall(r"/projects/(\d+)", loop.platform.links()["project"])[0])


def answer_next(server: Any, project: int) -> str:
    """Answer what an annotator is given, as soon as there is something; returns its key."""
    given = list[Any]()
    server.wait_for(lambda: given.append(found := next_task(server, project)) or found, what="a task")
    task = given[-1]
    item = {"from_name": "label", "to_name": "item", "type": "choices", "value": {"choices": ["even"]}}
    body = {"result": [item], "lead_time": 1.0}
    server.client.post(f"/api/tasks/{task['id']}/annotations/", json=body).raise_for_status()
    return str(task["data"]["alearn_id"])


def next_task(server: Any, project: int) -> Any:
    answer = server.client.get(f"/api/projects/{project}/next")
    return None if answer.status_code == 404 else answer.raise_for_status().json()


def webhooks(server: Any, project: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.client.get("/api/webhooks/", params={"project": project}).json()
    return found


def test_a_saved_label_leads_to_the_next_queue(serve: Serve, write_loop: Write, label_studio: Any) -> None:
    """Nobody types a command: after the last answer of a batch a version is trained and more is asked. At the end of
    the service no webhook is left that would make annotators wait.
    """
    path = write_loop("saved")
    served = serve(path)
    served.until(lambda: served.loop("saved").get("open") == 5)
    with project_of(path) as project:
        assert [one["url"] for one in webhooks(label_studio, project)] == [f"{served.address}/loops/saved/webhook"]
        answered = {answer_next(label_studio, project) for _ in range(5)}
        served.until(lambda: served.loop("saved")["rounds"] == 1 and served.loop("saved")["open"] >= 5)
        answered |= {answer_next(label_studio, project) for _ in range(5)}
        served.until(lambda: served.loop("saved")["rounds"] == 2)
        assert len(answered) == 10
        assert served.stop(signal.SIGTERM) == 0
        assert webhooks(label_studio, project) == []


def test_a_storm_of_calls(serve: Serve, write_loop: Write, label_studio: Any) -> None:
    """A thousand calls at once are all answered and do no harm; those without the secret do not even wake anybody."""
    path = write_loop("storm")
    served = serve(path)
    served.until(lambda: served.loop("storm").get("open") == 5)
    with project_of(path) as project:
        (hook,) = webhooks(label_studio, project)
        body = {"action": "ANNOTATION_CREATED"}

        def call(at: int) -> int:
            headers = hook["headers"] if at % 2 else {}
            return int(served.client.post("/loops/storm/webhook", json=body, headers=headers).status_code)

        with ThreadPoolExecutor(16) as callers:
            codes = list(callers.map(call, range(1000)))
        assert codes == [401, 200] * 500
        answer_next(label_studio, project)
        served.until(lambda: served.loop("storm")["labels"] == 1)


@contextmanager
def robots(config: Config) -> Iterator[None]:
    """Two robots that annotate as long as the block lasts, whatever happens to the server."""
    with opened(config) as loop:
        take_in(loop)
        loop.platform.prepare()
        with door.robots("label-studio", loop.setting, config.profile, 2):
            yield


@pytest.mark.timeout(900)
def test_killed_while_people_annotate(serve: Serve, write_loop: Write, label_studio: Any) -> None:
    """Killed at random moments, a server that runs again has lost nothing, and asks nobody the same thing twice."""
    path = write_loop("storms", budget={"labels": 40}, robots={"count": 2, "accuracy": 0.9})
    config, moments = load(path), random.Random(5)
    with robots(config), project_of(path) as project:
        for _ in range(KILLS):
            served = serve(path)
            time.sleep(moments.uniform(0.2, 6))
            served.stop(signal.SIGKILL)
        served = serve(path)
        served.until(lambda: (served.loop("storms").get("decision") or {}).get("kind") == "budget", seconds=300)
        tasks = label_studio.client.get(
            "/api/tasks", params={"project": project, "page_size": 500, "fields": "all"}
        ).json()["tasks"]
        status = served.loop("storms")
        served.stop(signal.SIGTERM)
        assert webhooks(label_studio, project) == []
    keys = [task["data"]["alearn_id"] for task in tasks]
    assert len(keys) == len(set(keys)), "a task is doubled"
    people = [[one["completed_by"] for one in task["annotations"]] for task in tasks]
    assert all(len(some) == len(set(some)) for some in people), "somebody was asked twice"
    assert status["labels"] == 40
    assert sum(bool(some) for some in people) == 40, "an answer is lost, or is asked for in vain"
