"""A loop on the shared Label Studio, for the tests of the connector.

Projects are never deleted here: that breaks the signals of a server that others use.
"""

import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from alearn.core.schema import LabelSchema
from alearn.platform import Annotation, Call, Listening, Queue, QueueEntry, Reply, Setting, Suggestion, Task
from alearn_connectors import label_studio as connector
from alearn_connectors.label_studio.accounts import accounts, enter
from alearn_connectors.label_studio.connection import LabelStudio
from alearn_connectors.label_studio.home import Home
from alearn_connectors.label_studio.options import read_options
from alearn_connectors.label_studio.private import PrivateServer

CLASSES = ("cat", 'd<o>g & "co", 😀', "$100")


class Loop:
    """A loop with a project of its own, and hands to do in it what annotators and passers-by do."""

    classes = CLASSES

    def __init__(self, server: Any, folder: Path, data: Any = "text", **options: Any) -> None:
        self.server = server
        self.http: httpx.Client = server.client
        (folder / "token").write_text(server.token)
        given = {"url": server.url, "token_file": str(folder / "token"), **options}
        self.setting = Setting(f"t-{secrets.token_hex(6)}", LabelSchema(CLASSES), data, folder / "home", given)
        self.platform = self.open()

    def open(self, later: float = 0.0) -> LabelStudio:
        """The platform as a new process would open it, so many seconds later."""
        if later:
            return LabelStudio(self.setting, read_options(self.setting), now=lambda: time.time() + later)
        platform = connector.open(self.setting)
        assert isinstance(platform, LabelStudio)
        return platform

    @property
    def project(self) -> int:
        return int(self.platform.links()["project"].split("/")[4])

    @property
    def raw(self) -> Mapping[str, Any]:
        return self.get(f"/api/projects/{self.project}/")

    def get(self, path: str, **params: Any) -> Any:
        return self.http.get(path, params=params).raise_for_status().json()

    def post(self, path: str, body: Any, **params: Any) -> Any:
        answer = self.http.post(path, json=body, params=params).raise_for_status()
        return answer.json() if answer.content else None

    def patch(self, **settings: Any) -> Any:
        return self.http.patch(f"/api/projects/{self.project}/", json=settings).raise_for_status().json()

    def tasks(self) -> dict[str, int]:
        """{key: task id}; fails when a key has two tasks."""
        found = self.get("/api/tasks", project=self.project, page_size=5000, include="id,data")["tasks"]
        keys = [task["data"].get("alearn_id") for task in found]
        assert len(set(keys)) == len(keys), "a task is doubled"
        return {key: task["id"] for key, task in zip(keys, found, strict=True)}

    def next(self, client: httpx.Client | None = None) -> Any:
        """The task that an annotator is given; None when there is none."""
        answer = (client or self.http).get(f"/api/projects/{self.project}/next")
        return None if answer.status_code == 404 else answer.raise_for_status().json()

    def answer(self, task: int, *names: str, **more: Any) -> int:
        """Submit an annotation; returns its id."""
        item = {"from_name": "label", "to_name": "item", "type": "choices", "value": {"choices": list(names)}}
        body = {"result": [item] if names else [], "lead_time": 1.5, **more}
        return int(self.post(f"/api/tasks/{task}/annotations/", body)["id"])

    def served(self) -> list[str]:
        """All keys in the order in which one annotator is given them, who answers each."""
        keys = []
        while (task := self.next()) is not None:
            keys.append(task["data"]["alearn_id"])
            self.answer(task["id"], "cat")
        return keys

    def versions(self) -> dict[str, int]:
        return dict(self.get(f"/api/projects/{self.project}/model-versions/"))

    def action(self, name: str, tasks: Sequence[int]) -> None:
        """An action of the data manager on some tasks."""
        self.post(
            "/api/dm/actions", {"selectedItems": {"all": False, "included": list(tasks)}}, id=name, project=self.project
        )

    def pulled(self, cursor: str | None = None) -> dict[str, tuple[Annotation, ...]]:
        return {state.key: state.annotations for state in self.platform.pull(cursor).states}

    @staticmethod
    def keys_of(count: int) -> list[str]:
        return [secrets.token_hex(16) for _ in range(count)]

    @staticmethod
    def tasks_of(keys: Sequence[str]) -> list[Task]:
        return [Task(key, text=f"the text of {key}") for key in keys]

    @staticmethod
    def queue_of(keys: Sequence[str], version: str = "q1", label: str | None = None) -> Queue:
        """A queue that asks for the keys in this order."""
        entries = (QueueEntry(key, at / len(keys), label, 0.5 if label else None) for at, key in enumerate(keys))
        return Queue(version, tuple(entries))


@pytest.fixture
def make(label_studio: Any, tmp_path: Path) -> Iterator[Callable[..., Loop]]:
    """Makes loops, prepared and empty."""
    made: list[Loop] = []

    def make_one(*, prepare: bool = True, server: Any = None, **options: Any) -> Loop:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        loop = Loop(server or label_studio, folder, **options)
        made.append(loop)
        if prepare:
            loop.platform.prepare()
        return loop

    yield make_one
    for loop in made:
        loop.platform.close()


@pytest.fixture
def loop(make: Callable[..., Loop]) -> Loop:
    return make()


@pytest.fixture
def filled(loop: Loop) -> tuple[Loop, list[str]]:
    """A loop with six tasks in its queue."""
    keys = loop.keys_of(6)
    loop.platform.push(loop.tasks_of(keys), loop.queue_of(keys))
    return loop, keys


@pytest.fixture
def colleague(label_studio: Any, tmp_path: Path) -> Iterator[httpx.Client]:
    """A second annotator, logged in."""
    (account,) = accounts(tmp_path / "accounts.json", label_studio.url, 1)
    with closing(
        enter(account, label_studio.url, lambda: label_studio.client.get("/api/invite").json()["invite_url"])
    ) as client:
        client.headers["Referer"] = label_studio.url
        yield client


class Listener:
    """What `alearn serve` is to a platform: it counts what it is asked to do, and believes what it is told to."""

    def __init__(self) -> None:
        self.woken = 0
        self.trained = 0
        self.newest: str | None = None
        self.believed: dict[str, Suggestion] = {}
        self.asked: list[str] = []

    def wake(self) -> None:
        self.woken += 1

    def train(self) -> None:
        self.trained += 1

    def version(self) -> str | None:
        return self.newest

    def suggest(self, keys: Sequence[str]) -> Mapping[str, Suggestion]:
        self.asked.extend(keys)
        return {key: self.believed[key] for key in keys if key in self.believed}


class Ear:
    """An HTTP server that hands what it gets below /loops/NAME to a platform, as `alearn serve` does."""

    def __init__(self) -> None:
        self.listener = Listener()
        self.calls: list[tuple[Call, Reply]] = []
        self.platforms: dict[str, Listening] = {}
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def address(self, loop: Loop) -> str:
        """The loop's address; from now on its calls are heard by another object than the one that subscribes."""
        self.platforms[loop.setting.loop] = loop.open()
        return f"{self.url}/loops/{loop.setting.loop}"

    def paths(self) -> list[str]:
        return [call.path for call, _ in self.calls]

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        ear = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.do_POST()

            def do_POST(self) -> None:
                _, _, name, rest = self.path.split("/", 3)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {key.lower(): value for key, value in self.headers.items()}
                call = Call(self.command, f"/{rest}", headers, body)
                reply = ear.platforms[name].hear(call, ear.listener)
                ear.calls.append((call, reply))
                content = json.dumps(reply.content).encode()
                self.send_response(reply.status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        return Handler


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def new_ear() -> Iterator[Callable[[], Ear]]:
    """Makes servers that hear."""
    made: list[Ear] = []

    def make_one() -> Ear:
        made.append(Ear())
        return made[-1]

    yield make_one
    for one in made:
        one.close()


@pytest.fixture
def ear(new_ear: Callable[[], Ear]) -> Ear:
    return new_ear()


class Web:
    """A web server: {path: (status, headers, body)}."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, Mapping[str, str], bytes]] = {}
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked.append((self.path, dict(self.headers)))
                status, headers, body = web.pages.get(self.path, (404, {}, b""))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def web() -> Iterator[Web]:
    server = Web()
    yield server
    server.close()


@pytest.fixture
def closed() -> str:
    """An address where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Makes servers of one's own, started with other switches than a private one."""

    class Guarded(Home):
        switches: Mapping[str, str] = {}

        def environment(self) -> dict[str, str]:
            return super().environment() | dict(self.switches)

    made: list[PrivateServer] = []

    def start(**switches: str) -> Any:
        server = PrivateServer(tmp_path_factory.mktemp("guarded"))
        server.home = type("Switched", (Guarded,), {"switches": switches})(server.home.folder)
        made.append(server)
        state = server.up(lambda told: None)
        token = Path(state["token_file"]).read_text()
        http = httpx.Client(
            base_url=state["url"], headers={"Authorization": f"Token {token}"}, trust_env=False, timeout=60
        )
        return SimpleNamespace(url=state["url"], token=token, client=http)

    yield start
    for server in made:
        server.down()
