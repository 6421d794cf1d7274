"""A live Label Studio on bad days: slow, behind a failing proxy, gone and back, with a wrong clock, changed by people.

Between the connector and the real server stands a proxy that does what the day is about. Whoever runs a loop calls
again after `Unavailable`, as the controller does: then everything is there, and nothing is there twice.
"""

import io
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import httpx
import pytest
from PIL import Image

from alearn.core.keys import content_key
from alearn.errors import PlatformError, Refused, Unavailable
from alearn.platform import Queue
from alearn_connectors.label_studio import client

T = TypeVar("T")

FORWARDED = {"authorization", "content-type", "accept"}


@dataclass
class Day:
    """What happens to each request: (method, path) → how. Without a rule it passes through."""

    before: Callable[[str, str], None] = lambda method, path: None
    """Called before a request is passed on; may wait."""
    gone: Callable[[str, str], bool] = lambda method, path: False
    """Whether the connection is cut, and nothing is passed on."""
    refused: Callable[[str, str], bool] = lambda method, path: False
    """Whether it is answered with 502, and not passed on."""
    lost: Callable[[str, str], bool] = lambda method, path: False
    """Whether it is passed on, and answered with 502 all the same."""
    asked: list[tuple[str, str]] = field(default_factory=list)


class Proxy:
    """An HTTP proxy in front of one server."""

    def __init__(self, behind: str) -> None:
        self.day = Day()
        self._http = httpx.Client(base_url=behind, trust_env=False, timeout=60)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._http.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._pass()

            def do_POST(self) -> None:
                self._pass()

            def do_PATCH(self) -> None:
                self._pass()

            def do_DELETE(self) -> None:
                self._pass()

            def _pass(self) -> None:
                day, path = proxy.day, self.path
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                day.asked.append((self.command, path))
                if day.gone(self.command, path):
                    self.close_connection = True
                    return
                day.before(self.command, path)
                if day.refused(self.command, path):
                    self.send_error(502)
                    return
                headers = {name: value for name, value in self.headers.items() if name.lower() in FORWARDED}
                answer = proxy._http.request(self.command, path, content=body, headers=headers)
                status, content = (502, b"<html>Bad Gateway</html>") if day.lost(self.command, path) else (None, b"")
                try:
                    self.send_response(status or answer.status_code)
                    content = content or answer.content
                    if status is None:
                        for name in ("Content-Type", "Date"):
                            self.send_header(name, answer.headers.get(name, ""))
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:  # who asked has left
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        return Handler


@pytest.fixture
def proxy(label_studio: Any) -> Iterator[Proxy]:
    made = Proxy(label_studio.url)
    yield made
    made.close()


@pytest.fixture
def loop(make: Callable[..., Any], label_studio: Any, proxy: Proxy) -> Any:
    """A loop whose connector goes through the proxy, and whose annotators do not."""
    return make(server=SimpleNamespace(**{**vars(label_studio), "url": proxy.url}))


def insist(act: Callable[[], T], times: int = 40) -> tuple[T, int]:
    """Call as the controller does; also how often it was in vain."""
    for failed in range(times):
        try:
            return act(), failed
        except Unavailable:
            continue
    return act(), times


def answers(loop: Any, keys: Sequence[str]) -> Mapping[str, Sequence[str | None]]:
    """What a new process finds of the keys."""
    found = insist(lambda: loop.open().pull(None, pushed=keys))[0]
    assert found.missing == frozenset()
    return {state.key: [one.value for one in state.annotations] for state in found.states if state.annotations}


def test_two_seconds_per_answer(loop: Any, proxy: Proxy) -> None:
    """Slow, and no more than that: a push asks six times at most, a look that finds nothing once."""
    keys = loop.keys_of(3)
    proxy.day = Day(before=lambda method, path: time.sleep(2.0))
    loop.platform.push(loop.tasks_of(keys), loop.queue_of(keys))
    assert len(proxy.day.asked) <= 6
    asked = len(proxy.day.asked)
    loop.platform.pull("2099-01-01T00:00:00.000000Z")
    assert len(proxy.day.asked) == asked + 1
    assert loop.served() == keys


@pytest.mark.parametrize("done", [True, False])
def test_every_other_answer_is_502(loop: Any, proxy: Proxy, done: bool) -> None:
    """Whether Label Studio did what it was asked, or never heard of it: all of it in the end, and nothing twice."""
    keys, flips, heard = loop.keys_of(5), iter(range(10_000)), set[str]()

    def bad(method: str, path: str) -> bool:
        if done:
            return next(flips) % 2 == 1
        first = f"{method} {path}" not in heard  # strict turns would hit the same one for ever where nothing is done
        heard.add(f"{method} {path}")
        return first

    proxy.day = Day(lost=bad) if done else Day(refused=bad)
    _, failed = insist(lambda: loop.platform.push(loop.tasks_of(keys), loop.queue_of(keys)))
    assert failed > 0
    proxy.day = Day()
    assert sorted(loop.tasks()) == sorted(keys)
    assert loop.versions() == {"q1": 5}
    assert loop.served() == keys
    proxy.day = Day(lost=bad) if done else Day(refused=bad)
    assert answers(loop, keys) == {key: ["cat"] for key in keys}


def test_every_other_answer_is_lost_while_strangers_are_adopted(loop: Any, proxy: Proxy) -> None:
    """A key that was written, and whose answer got lost, is found by the next resync."""
    texts, flips = {"one", "two", "three", "four"}, iter(range(10_000))
    loop.post(f"/api/projects/{loop.project}/import", [{"text": text} for text in texts])
    proxy.day = Day(lost=lambda method, path: method == "PATCH" and next(flips) % 2 == 1)
    found: set[str] = set()
    for _ in range(8):
        try:
            found |= {str(one.text) for one in loop.platform.pull(None, pushed=[]).found}
        except Unavailable:
            continue
    assert found == texts
    assert sorted(loop.tasks()) == sorted(content_key(text.encode()) for text in texts)


def test_a_picture_that_never_comes_holds_up_nothing(make: Any, label_studio: Any, proxy: Proxy) -> None:
    """One file that Label Studio cannot bring: the others are adopted, answers are heard, and it is tried again."""
    loop = make(
        server=SimpleNamespace(**{**vars(label_studio), "url": proxy.url}),
        data="image",
        media_root=str(label_studio.media_root),
        images="local-files",
    )
    for color in ("red", "blue"):
        content = io.BytesIO()
        Image.new("RGB", (4, 3), color).save(content, "PNG")
        files = {"file": (f"{color}.png", content.getvalue())}
        loop.http.post(f"/api/projects/{loop.project}/import", files=files).raise_for_status()
    proxy.day = Day(gone=lambda method, path: path.startswith("/data/upload/") and "red" in path)
    found = loop.platform.pull(None, pushed=[])
    assert len(found.found) == 1
    assert any("does not bring the picture" in notice for notice in found.notices)
    proxy.day = Day()
    assert len(loop.platform.pull(None, pushed=[found.found[0].key]).found) == 1
    assert None not in loop.tasks()


def test_an_import_that_is_given_up_here_and_succeeds_there(
    loop: Any, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is still at work when the next push comes: that one waits for it, and makes no second task."""
    keys, late = loop.keys_of(4), threading.Event()

    def before(method: str, path: str) -> None:
        if "/import?" in path and not late.is_set():
            late.set()
            time.sleep(2.0)

    proxy.day = Day(before=before)
    monkeypatch.setattr(client, "BULK_PATIENCE", httpx.Timeout(0.5))
    with pytest.raises(Unavailable, match="did not finish POST"):
        loop.platform.push(loop.tasks_of(keys), loop.queue_of(keys))
    monkeypatch.undo()
    assert loop.tasks() == {}
    loop.platform.push(loop.tasks_of(keys), loop.queue_of(keys))
    assert sum("/import?" in path for _, path in proxy.day.asked) == 1
    assert loop.served() == keys


def test_gone_in_the_middle_of_a_push_and_back(loop: Any, proxy: Proxy) -> None:
    """At each of its requests in turn, in this process and for a new one: the next push completes it."""
    known: list[str] = []
    for left in range(7):
        keys = loop.keys_of(2)
        known += keys
        count = iter(range(10_000))
        proxy.day = Day(gone=lambda method, path, count=count, left=left: next(count) >= left)  # type: ignore[misc]
        queue = loop.queue_of(known[::-1], f"q{left}")
        platform = loop.platform if left % 2 else loop.open()
        try:
            platform.push(loop.tasks_of(keys), queue)
        except Unavailable:
            with pytest.raises(Unavailable):
                platform.push(loop.tasks_of(keys), queue)
        proxy.day = Day()
        platform.push(loop.tasks_of(keys), queue)
        assert sorted(loop.tasks()) == sorted(known)
        assert loop.raw["model_version"] == queue.version
    assert loop.served() == known[::-1]


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_clock_that_is_two_hours_off(loop: Any, hours: int) -> None:
    """The cursor is a time of the server's; what is open can be submitted; a clock that is put right is no trouble."""
    keys = loop.keys_of(4)
    wrong = loop.open(later=hours * 3600.0)
    wrong.push(loop.tasks_of(keys), loop.queue_of(keys))
    task = loop.next()
    wrong.push([], loop.queue_of(keys[::-1], "q2"))
    loop.answer(task["id"], "cat", parent_prediction=task["predictions"][0]["id"])
    cursor = wrong.pull(None).cursor
    loop.answer(loop.tasks()[keys[2]], "$100")
    assert {state.key for state in wrong.pull(cursor).states} == {keys[0], keys[2]}
    more = loop.keys_of(1)
    right = loop.open()
    right.push(loop.tasks_of(more), loop.queue_of([*more, *keys], "q3"))
    assert loop.served() == [*more, keys[1], keys[3]]
    assert {state.key for state in right.pull(cursor).states} == {*more, *keys}


def test_annotators_submit_while_the_order_switches(loop: Any) -> None:
    """None of their answers is refused or lost, no question is asked twice, and none is left out."""
    keys = loop.keys_of(8)
    loop.platform.push(loop.tasks_of(keys), loop.queue_of(keys, label="cat"))
    done: list[str] = []
    faults: list[BaseException] = []

    def annotate() -> None:
        try:
            while (task := loop.next()) is not None:
                parent = task["predictions"][0]["id"] if task["predictions"] else None
                loop.answer(task["id"], "cat", parent_prediction=parent)
                done.append(task["data"]["alearn_id"])
        except httpx.HTTPError as error:
            faults.append(error)

    person = threading.Thread(target=annotate)
    person.start()
    switches = 0
    while person.is_alive():
        switches += 1
        loop.platform.push([], loop.queue_of(keys[:: (-1) ** switches], f"r{switches}", label="$100"))
    person.join()
    assert faults == []
    assert switches > 2
    assert sorted(done) == sorted(keys)
    assert answers(loop, keys) == {key: ["cat"] for key in keys}


@pytest.fixture(scope="module")
def server(guarded: Callable[..., Any]) -> Any:
    return guarded()


class TestPeople:
    """What people do to the whole server; on one of its own, since a deleted project breaks its signals."""

    def test_a_token_that_was_revoked_is_refused_until_the_new_one_is_there(self, make: Any, server: Any) -> None:
        """In words; the same process then goes on with what the token file says."""
        loop = make(server=server)
        keys = loop.keys_of(2)
        loop.platform.push(loop.tasks_of(keys), loop.queue_of(keys))
        token = loop.http.post("/api/current-user/reset-token/").raise_for_status().json()["token"]
        for act in (lambda: loop.platform.pull(None), lambda: loop.platform.push([], loop.queue_of(keys, "q2"))):
            with pytest.raises(Refused, match="must accept the token in"):
                act()
        Path(str(loop.setting.options["token_file"])).write_text(token)
        server.token = token
        server.client.headers["Authorization"] = f"Token {token}"
        loop.platform.push([], loop.queue_of(keys[::-1], "q2"))
        assert loop.served() == keys[::-1]

    def test_a_project_that_was_deleted_is_said_and_made_anew_by_a_start(self, make: Any, server: Any) -> None:
        """What was asked there is missing then, so that it can be asked again; the answers are the loop's already."""
        loop = make(server=server)
        keys = loop.keys_of(2)
        loop.platform.push(loop.tasks_of(keys), loop.queue_of(keys))
        cursor, gone = loop.platform.pull(None).cursor, loop.project
        loop.http.delete(f"/api/projects/{gone}/").raise_for_status()
        for act in (
            lambda: loop.platform.pull(cursor, pushed=keys),
            lambda: loop.platform.pull(cursor),
            lambda: loop.platform.push([], Queue("q2")),
        ):
            with pytest.raises(PlatformError, match=r"must have a project|404"):
                act()
        loop.platform.prepare()
        assert loop.platform.pull(cursor, pushed=keys).missing == set(keys)
        loop.platform.push(loop.tasks_of(keys), loop.queue_of(keys))
        assert sorted(loop.tasks()) == sorted(keys)
        assert loop.next()["data"]["alearn_id"] == keys[0]
