"""How long annotators wait for `alearn serve`: from a saved label to the better queue, and while they save it.

    ALEARN_FASHION=FOLDER python benchmarks/serve.py latency --items 2000 50000   from the last annotation of a
                                                                                   batch until `next` serves a new order
    ALEARN_FASHION=FOLDER python benchmarks/serve.py submit                       saving with and without the webhook
    ALEARN_FASHION=FOLDER python benchmarks/serve.py crowd                        8 annotators, 500 labels, PostgreSQL

A private Label Studio in a temporary folder, `alearn serve` in a process of its own, annotators over Label Studio's
REST API as fast as it answers. Embeddings are cached: the loop has run a round before anything is measured. Data:
Fashion-MNIST (MIT; the folder of its four files). Needs alearn[offline,serve,postgres]; `crowd` needs a PostgreSQL,
whose URL (of a superuser, with the password) is in ALEARN_POSTGRES.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import yaml
from PIL import Image

from alearn.config import load
from alearn.loop.intake import take_in
from alearn.loop.undertaking import opened
from alearn_connectors.label_studio.accounts import accounts, enter
from alearn_connectors.label_studio.installation import install
from alearn_connectors.label_studio.private import PrivateServer, free_port
from alearn_connectors.label_studio.process import Process, born, detach

CLASSES = [str(number) for number in range(10)]
BATCH = 32


def pictures(folder: Path, count: int) -> None:
    """Write the first so many pictures of the training part."""
    source = Path(os.environ["ALEARN_FASHION"])
    raw = gzip.decompress((source / "train-images-idx3-ubyte.gz").read_bytes())
    x = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28)[:count]
    y = np.frombuffer(gzip.decompress((source / "train-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
    for at, (image, truth) in enumerate(zip(x, y, strict=False)):
        place = folder / CLASSES[truth]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{at}.png")


@dataclass
class Studio:
    """A running Label Studio, and a client that is its owner."""

    url: str
    token: str
    media: Path
    client: httpx.Client


@contextmanager
def studio(folder: Path) -> Iterator[Studio]:
    """On SQLite."""
    server = PrivateServer(folder / "label-studio")
    state = server.up(lambda text: print(f"  {text}", file=sys.stderr))
    try:
        token = Path(state["token_file"]).read_text()
        with client(state["url"], token) as http:
            yield Studio(state["url"], token, Path(state["media_root"]), http)
    finally:
        server.down()


@contextmanager
def studio_on_postgres(folder: Path) -> Iterator[Studio]:
    """On a database of its own of the PostgreSQL at ALEARN_POSTGRES, which needs contrib (pg_trgm, btree_gin)."""
    import sqlalchemy as sa

    at = sa.make_url(os.environ["ALEARN_POSTGRES"]).set(drivername="postgresql+psycopg")
    name = f"label_studio_{os.getpid()}"
    with sa.create_engine(at, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    home, port = PrivateServer(folder / "label-studio").home, free_port(8090)
    home.folder.mkdir()
    home.prepare(install(print).template)
    where = {"DJANGO_DB": "default", "POSTGRE_HOST": str(at.host), "POSTGRE_PORT": str(at.port or 5432)}
    where |= {
        "POSTGRE_USER": at.username or "",
        "POSTGRE_PASSWORD": at.password or "",
        "POSTGRE_NAME": name,
    }
    command = [*install(print).command, "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port)]
    child = detach(command, home.environment() | where, home.data, home.log)
    url, token = f"http://127.0.0.1:{port}", home.token_file.read_text()
    try:
        with client(url, token) as http:
            until(lambda: answers(http), 300)
            yield Studio(url, token, home.media, http)
    finally:
        Process(child.pid, born(child.pid) or "").end()
        child.wait()


def client(url: str, token: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Token {token}"}, timeout=120, trust_env=False)


def answers(http: httpx.Client) -> bool:
    try:
        return http.get("/api/current-user/whoami").is_success
    except httpx.TransportError:
        return False


def until(met: Callable[[], Any], seconds: float, pause: float = 0.05) -> float:
    """Look again until it is met; returns how long that took."""
    began = time.perf_counter()
    while not met():
        if time.perf_counter() - began > seconds:
            raise TimeoutError("it did not come true")
        time.sleep(pause)
    return time.perf_counter() - began


@dataclass
class Service:
    """A loop that is served, and its project."""

    name: str
    config: Path
    project: int
    http: httpx.Client
    studio: Studio

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get("/loops").json()[self.name]
        return found

    @property
    def version(self) -> str:
        return str(self.studio.client.get(f"/api/projects/{self.project}/").json()["model_version"])


@contextmanager
def served(folder: Path, studio: Studio, items: int, **sections: Any) -> Iterator[Service]:
    """`alearn serve` with a loop of so many pictures, from when its queue is filled."""
    name, photos = f"serve-{items}", folder / f"photos-{items}"
    pictures(photos, items)
    raw: dict[str, Any] = {
        "name": name,
        "items": {"path": str(photos), "truth": "folder"},
        "task": {"data": "image", "classes": CLASSES},
        "model": {"name": "efficientnet-lite0", "size": 64, "tap": "block10", "ladder": "linear"},
        "query": {"batch": BATCH},
        "holdout": {"size": 100, "share": 0.1},
        "platform": {"name": "label-studio", "options": {"url": studio.url, "media_root": str(studio.media)}},
        "home": str(folder / name),
        **sections,
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(raw))
    os.environ["LABEL_STUDIO_API_KEY"] = studio.token
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (folder / f"{name}.log").open("wb")
    process = subprocess.Popen([sys.executable, "-m", "alearn", "serve", str(path), "--port", str(port)], stderr=log)
    try:
        with (
            httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as http,
            ExitStack() as stack,
        ):
            until(lambda: _open(http, name), 900, pause=0.5)
            loop = stack.enter_context(opened(load(path)))
            project = int(re.findall(r"/projects/(\d+)", loop.platform.links()["project"])[0])
            found = Service(name, path, project, http, studio)
            until(lambda: found.version, 60)
            yield found
    finally:
        process.terminate()
        process.wait(60)
        log.close()


def _open(http: httpx.Client, name: str) -> bool:
    try:
        return bool(http.get("/loops").json()[name].get("open"))
    except httpx.TransportError:
        return False


def truths(service: Service) -> dict[str, str]:
    """The known answers, by key."""
    with opened(load(service.config)) as loop:
        take_in(loop)
        return dict(loop.store.items.truths([one.key for one in loop.store.items.candidates()]))


def given(http: httpx.Client, project: int) -> dict[str, Any] | None:
    """What an annotator is shown next."""
    answer = http.get(f"/api/projects/{project}/next")
    if answer.status_code == 404:
        return None
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def save(http: httpx.Client, task: Mapping[str, Any], name: str) -> float:
    """Submit an answer; returns the seconds."""
    item = {"from_name": "label", "to_name": "item", "type": "choices", "value": {"choices": [name]}}
    headers = {"X-CSRFToken": http.cookies.get("csrftoken") or "", "Referer": str(http.base_url)}
    began = time.perf_counter()
    http.post(f"/api/tasks/{task['id']}/annotations/", json={"result": [item], "lead_time": 2.0}, headers=headers)
    return time.perf_counter() - began


def latency(items: int, rounds: int) -> None:
    """From the answer to the last annotation of a batch until `next` serves from the new version's order."""
    with (
        tempfile.TemporaryDirectory() as name,
        studio(Path(name)) as there,
        served(Path(name), there, items) as service,
    ):
        known = truths(service)
        took = [_round(service, known, trained_in(service.version)) for _ in range(rounds)]
    shown = ", ".join(f"{one:.1f}" for one in took)
    print(f"{items:,} items: median {statistics.median(took[1:]):.1f} s of rounds 2 to {rounds} ({shown})", flush=True)


def _round(service: Service, known: Mapping[str, str], before: int) -> float:
    """Answer a batch, as fast as Label Studio takes it; seconds until a later round's order than `before` is served."""
    http = service.studio.client
    for _ in range(BATCH):
        task = given(http, service.project)
        assert task is not None
        save(http, task, known[task["data"]["alearn_id"]])
    last = time.perf_counter()
    until(lambda: trained_in(service.version) > before, 120, pause=0.02)
    until(lambda: _of(given(http, service.project), service.version), 60, pause=0.02)
    return time.perf_counter() - last


def trained_in(version: str) -> int:
    """The round whose model made an order: `alearn-r0003-…`."""
    return int(version.split("-")[1][1:])


def _of(task: Mapping[str, Any] | None, version: str) -> bool:
    """Whether a task is served in this version's order."""
    return task is not None and any(one["model_version"] == version for one in task["predictions"])


def submit(blocks: int, size: int) -> None:
    """How long saving takes with the webhook and without it, in turns."""
    with tempfile.TemporaryDirectory() as name, studio(Path(name)) as there:
        big = {"query": {"batch": 2 * blocks * size}, "retrain": {"labels": 10_000}}
        with served(Path(name), there, 2000, **big) as service:
            known = truths(service)
            (hook,) = there.client.get("/api/webhooks/", params={"project": service.project}).json()
            took: dict[bool, list[float]] = {True: [], False: []}
            for block in range(2 * blocks):
                on = block % 2 == 0
                there.client.patch(f"/api/webhooks/{hook['id']}/", json={"is_active": on}).raise_for_status()
                time.sleep(1)
                for _ in range(size):
                    task = given(there.client, service.project)
                    assert task is not None
                    took[on].append(save(there.client, task, known[task["data"]["alearn_id"]]))
            on, off = (statistics.median(took[one]) for one in (True, False))
            print(
                f"saving: {1000 * on:.0f} ms with the webhook, {1000 * off:.0f} ms without: {on / off:.2f} times",
                flush=True,
            )


def crowd(people: int, labels: int) -> None:
    """Many annotators at once, on PostgreSQL, until there are so many labels; the loop itself would go on."""
    with (
        tempfile.TemporaryDirectory() as name,
        studio_on_postgres(Path(name)) as there,
        served(Path(name), there, 5000, query={"batch": 8 * people}) as service,
    ):
        known = truths(service)
        invite = there.client.get("/api/invite").json()["invite_url"]
        team = [enter(one, there.url, lambda: invite) for one in accounts(Path(name) / "team.json", there.url, people)]
        done = threading.Event()
        seen = [Seen() for _ in team]
        threads = [
            threading.Thread(target=work, args=(http, service, known, done, mine))
            for http, mine in zip(team, seen, strict=True)
        ]
        began = time.perf_counter()
        for one in threads:
            one.start()
        until(lambda: service.status()["labels"] >= labels, 1800, pause=0.5)
        seconds = time.perf_counter() - began
        done.set()
        for one in threads:
            one.join()
        given = sum(len(one.saves) for one in seen)
        until(lambda: service.status()["labels"] >= given, 60, pause=0.5)  # the last look
        report(service, seen, seconds)


@dataclass
class Seen:
    """What one annotator saw: seconds of each `next`, of each save, and how often there was nothing, and when."""

    waits: list[float]
    saves: list[float]
    nothing: list[int]

    def __init__(self) -> None:
        self.waits, self.saves, self.nothing = [], [], []


def work(http: httpx.Client, service: Service, known: Mapping[str, str], done: threading.Event, mine: Seen) -> None:
    """Answer what is given until all is done."""
    while not done.is_set():
        began = time.perf_counter()
        task = given(http, service.project)
        mine.waits.append(time.perf_counter() - began)
        if task is None:
            mine.nothing.append(service.status()["labels"])
            time.sleep(0.5)
            continue
        mine.saves.append(save(http, task, known[task["data"]["alearn_id"]]))


def report(service: Service, seen: Sequence[Seen], seconds: float) -> None:
    """What became of it."""
    asked = {"project": service.project, "page_size": 5000, "fields": "all"}
    tasks = service.studio.client.get("/api/tasks", params=asked).json()["tasks"]
    answered = [task for task in tasks if task["annotations"]]
    doubled = len(tasks) - len({task["data"]["alearn_id"] for task in tasks})
    early = sorted(at for one in seen for at in one.nothing)
    waits, saves = (
        sorted(each for one in seen for each in kind(one)) for kind in (lambda s: s.waits, lambda s: s.saves)
    )
    status = service.status()
    print(
        json.dumps(
            {
                "annotators": len(seen),
                "seconds": round(seconds, 1),
                "labels": status["labels"],
                "annotated items": len(answered),
                "annotations": sum(len(task["annotations"]) for task in answered),
                "doubled tasks": doubled,
                "model versions": status["rounds"],
                "404 from next": len(early),
                "at labels": early[:10],
                "next p50, p95, most (s)": [round(waits[int(at * (len(waits) - 1))], 2) for at in (0.5, 0.95, 1)],
                "save p50, p95, most (s)": [round(saves[int(at * (len(saves) - 1))], 2) for at in (0.5, 0.95, 1)],
            }
        ),
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["latency", "submit", "crowd"])
    parser.add_argument("--items", type=int, nargs="+", default=[2000, 50_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--labels", type=int, default=500)
    given = parser.parse_args()
    if given.what == "latency":
        for items in given.items:
            latency(items, given.rounds)
    elif given.what == "submit":
        submit(blocks=6, size=20)
    else:
        crowd(given.people, given.labels)


if __name__ == "__main__":
    main()
