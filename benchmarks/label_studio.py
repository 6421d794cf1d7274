"""What the Label Studio connector costs beside the bare HTTP calls that do the same.

Both sides run in turn in one process against one server, on projects of their own, so that the machine's other load
falls on both. Ratios are of medians; 1.0 means that the connector costs nothing.

    python benchmarks/label_studio.py                          # starts a private Label Studio in a temporary folder
    python benchmarks/label_studio.py --url …                  # uses a running one, with the token in
                                                               # LABEL_STUDIO_API_KEY; its projects stay there
    python benchmarks/label_studio.py --n 0.1                  # a tenth of the size
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from alearn.core.schema import LabelSchema
from alearn.platform import Queue, QueueEntry, Setting, Task
from alearn_connectors import label_studio
from alearn_connectors.label_studio import convert, pull
from alearn_connectors.label_studio.private import PrivateServer
from alearn_connectors.label_studio.tasks import PAGE

SCHEMA = LabelSchema(("cat", "dog"))
OFFER = convert.Offer("label", "item", frozenset({"text"}), SCHEMA.classes)


def main() -> None:
    """Measure, and print one line of JSON for each."""
    asked = _arguments()
    with _server(asked.url) as (url, token):
        for row in (
            push_ratio(url, token, tasks=max(int(1000 * asked.n), 1), repeats=asked.repeats),
            pull_ratio(url, token, tasks=max(int(10_000 * asked.n), 1), repeats=asked.repeats),
        ):
            print(json.dumps(row))


def push_ratio(url: str, token: str, *, tasks: int, repeats: int) -> Mapping[str, Any]:
    """New tasks with predictions: `push` beside import, import/predictions and PATCH."""
    keys = [secrets.token_hex(16) for _ in range(tasks)]
    queue = Queue("bench-1", tuple(QueueEntry(key, at / tasks, "cat", 0.5) for at, key in enumerate(keys)))
    items = [Task(key, text=f"the item {key}") for key in keys]
    with _bare(url, token) as http, tempfile.TemporaryDirectory() as home:

        def ours() -> float:
            with _loop(url, token, Path(home)) as platform:
                platform.prepare()
                return _seconds(lambda: platform.push(items, queue))

        def theirs() -> float:
            project = _project(http)
            return _seconds(lambda: _bare_push(http, project, items, queue))

        return _row("push", tasks, _in_turn(ours, theirs, repeats))


def pull_ratio(url: str, token: str, *, tasks: int, repeats: int) -> Mapping[str, Any]:
    """All annotations of a project: `pull` beside the same pages, read by number."""
    with _bare(url, token) as http, tempfile.TemporaryDirectory() as home, _loop(url, token, Path(home)) as platform:
        project = int(platform.prepare().rsplit("/", 1)[1])
        _annotated(http, project, tasks)

        def ours() -> float:
            return _seconds(lambda: _expect(tasks, len(platform.pull(None).states)))

        def theirs() -> float:
            return _seconds(lambda: _expect(tasks, _bare_pull(http, project)))

        return _row("pull", tasks, _in_turn(ours, theirs, repeats))


def _bare_push(http: httpx.Client, project: int, items: Sequence[Task], queue: Queue) -> None:
    made: list[int] = []
    for start in range(0, len(items), 1000):
        bodies = [{"data": {"alearn_id": item.key, "text": item.text}} for item in items[start : start + 1000]]
        answer = http.post(f"/api/projects/{project}/import", params={"return_task_ids": "true"}, json=bodies)
        made += answer.raise_for_status().json()["task_ids"]
    predictions = [
        convert.prediction_json(task, entry, queue.version, OFFER, suggest=True)
        for task, entry in zip(made, queue.entries, strict=True)
    ]
    http.post(f"/api/projects/{project}/import/predictions", json=predictions).raise_for_status()
    http.patch(f"/api/projects/{project}/", json={"model_version": queue.version}).raise_for_status()


def _bare_pull(http: httpx.Client, project: int) -> int:
    changed = {"filter": "filter:tasks:updated_at", "operator": "greater", "type": "Datetime", "value": pull.BEGINNING}
    query = json.dumps(
        {"filters": {"conjunction": "and", "items": [changed]}, "ordering": ["tasks:updated_at"]},
    )
    params: dict[str, Any] = {
        "project": project,
        "fields": "all",
        "include": pull.INCLUDE,
        "page_size": PAGE,
        "query": query,
    }
    seen, page = 0, 0
    while True:
        page += 1
        answer = http.get("/api/tasks", params={**params, "page": page}).raise_for_status().json()
        seen += len(answer["tasks"])
        if seen >= answer["total"]:
            return seen


def _annotated(http: httpx.Client, project: int, count: int) -> None:
    """Fill a project with answered tasks."""
    for start in range(0, count, 1000):
        bodies = [
            {
                "data": {"alearn_id": secrets.token_hex(16), "text": f"the item {at}"},
                "annotations": [{"result": [convert.result_json("dog", OFFER)], "ground_truth": False}],
            }
            for at in range(start, min(start + 1000, count))
        ]
        http.post(f"/api/projects/{project}/import", json=bodies).raise_for_status()


def _in_turn(ours: Callable[[], float], theirs: Callable[[], float], repeats: int) -> tuple[list[float], list[float]]:
    """Seconds of both, taken in turn; who begins changes each time."""
    mine: list[float] = []
    bare: list[float] = []
    for at in range(repeats):
        order = ((ours, mine), (theirs, bare))
        for run, into in order if at % 2 == 0 else order[::-1]:
            into.append(run())
    return mine, bare


def _row(what: str, n: int, seconds: tuple[list[float], list[float]]) -> Mapping[str, Any]:
    ours, bare = seconds
    return {
        "what": what,
        "n": n,
        "ratio": round(statistics.median(ours) / statistics.median(bare), 3),
        "ours_seconds": [round(one, 2) for one in ours],
        "bare_seconds": [round(one, 2) for one in bare],
    }


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _expect(wanted: int, got: int) -> None:
    assert got == wanted, f"{got} tasks were read, not {wanted}"


def _project(http: httpx.Client) -> int:
    body = {
        "title": f"bare {secrets.token_hex(6)}",
        "label_config": convert.label_config(SCHEMA, "text"),
        "sampling": "Uncertainty sampling",
    }
    return int(http.post("/api/projects/", json=body).raise_for_status().json()["id"])


@contextmanager
def _loop(url: str, token: str, home: Path) -> Iterator[Any]:
    name = f"bench-{secrets.token_hex(6)}"
    (home / "token").write_text(token)
    options = {"url": url, "token_file": str(home / "token")}
    platform = label_studio.open(Setting(name, SCHEMA, "text", home / name, options))
    try:
        yield platform
    finally:
        platform.close()


def _bare(url: str, token: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Token {token}"}, timeout=900, trust_env=False)


@contextmanager
def _server(url: str | None) -> Iterator[tuple[str, str]]:
    if url:
        yield url.rstrip("/"), os.environ["LABEL_STUDIO_API_KEY"]
        return
    with tempfile.TemporaryDirectory() as folder:
        server = PrivateServer(Path(folder))
        try:
            state = server.up(print)
            yield state["url"], Path(state["token_file"]).read_text()
        finally:
            server.down()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=float, default=1.0, help="share of the full size: 1,000 pushed and 10,000 pulled")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--url")
    return parser.parse_args()


if __name__ == "__main__":
    main()
