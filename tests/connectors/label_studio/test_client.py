"""What goes wrong on the way to Label Studio, and which sentence it becomes; against real sockets."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from alearn.errors import PlatformError, Refused, Unavailable
from alearn_connectors.label_studio.checks import judge_version
from alearn_connectors.label_studio.client import Client, Missing, Rejected

SECRET = "5" * 40


@contextmanager
def server(answer: Callable[[BaseHTTPRequestHandler], tuple[int, str, str]]) -> Iterator[tuple[str, list[str]]]:
    """A server that answers each request with (status, content type, body); yields its URL and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append(f"{self.command} {self.path}")
            status, kind, body = answer(self)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if 300 <= status < 400:
                self.send_header("Location", body)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = handle_any  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{httpd.server_address[1]}", asked
    finally:
        httpd.shutdown()
        httpd.server_close()


def says(status: int, body: str, kind: str = "application/json") -> Callable[[Any], tuple[int, str, str]]:
    return lambda request: (status, kind, body)


FAULT = '{"status_code": %d, "version": "1.23.2", "detail": "%s", "validation_errors": {"non_field_errors": ["why"]}}'


@pytest.mark.parametrize(
    ("status", "body", "kind", "error", "sentence"),
    [
        (500, "<h1>Server Error</h1>", "text/html", Unavailable, "cannot do GET /x now. Got 500"),
        (502, "bad gateway", "text/plain", Unavailable, "Got 502"),
        (429, "{}", "application/json", Unavailable, "Got 429"),
        (400, FAULT % (400, "Validation error"), "application/json", Rejected, "Got 400: why"),
        (
            401,
            '{"detail": "Invalid token."}',
            "application/json",
            Refused,
            "must accept your token. Got: Invalid token",
        ),
        (
            401,
            '{"detail": "legacy token authentication has been disabled for this organization"}',
            "application/json",
            Refused,
            "must allow legacy tokens",
        ),
        (403, '{"detail": "You do not have permission"}', "application/json", Refused, "token of a user who may"),
        (404, '{"detail": "No Project matches"}', "application/json", Missing, "deleted"),
        (404, "<h1>nginx</h1>", "text/html", Refused, "Something else listens"),
        (200, "<h1>My blog</h1>", "text/html", Refused, "Something else listens"),
        (302, "https://elsewhere/", "text/html", Refused, "redirect to https://elsewhere/"),
    ],
)
def test_each_answer_has_its_meaning(
    status: int, body: str, kind: str, error: type[PlatformError], sentence: str
) -> None:
    """Try again, or do not; and why, in words."""
    with server(says(status, body, kind)) as (url, _), pytest.raises(error, match=sentence) as caught:
        Client(url, SECRET).get("/x")
    assert SECRET not in str(caught.value)
    assert isinstance(caught.value, Unavailable) == (error is Unavailable)


def test_nobody_listening_is_unavailable() -> None:
    """A server that is started later answers then."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(Unavailable, match=r"must answer.*alearn label-studio up"):
        Client(url, SECRET).get("/x")


@pytest.mark.parametrize(("method", "times"), [("get", 2), ("post", 1)])
def test_a_connection_that_is_cut_is_tried_again_only_for_a_question(method: str, times: int) -> None:
    """A POST whose answer got lost may have been done: sending it twice would double tasks."""
    cut: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(times):
                connection, _ = listener.accept()
                connection.recv(65536)
                connection.close()
                cut.append(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        client = Client(f"http://127.0.0.1:{listener.getsockname()[1]}", SECRET)
        with pytest.raises(Unavailable):
            client.get("/x") if method == "get" else client.post("/x", [])
        thread.join(5)
    assert len(cut) == times


def test_a_failing_post_is_sent_once() -> None:
    """Not on 502 either, where the SDK would send it again (and double what was imported)."""
    with server(says(502, "bad gateway")) as (url, asked), pytest.raises(Unavailable):
        Client(url, SECRET).post("/api/projects/1/import", [{}])
    assert asked == ["POST /api/projects/1/import"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [('{"release": "1.4.0"}', "must be 1.20 or newer .*Got 1.4.0"), ('{"ok": 1}', "tells no version")],
)
def test_an_old_version_and_another_product_are_refused(body: str, sentence: str) -> None:
    """Before anything is made there."""
    with server(says(200, body)) as (url, _), pytest.raises(Refused, match=sentence):
        judge_version(Client(url, SECRET))


def test_a_personal_token_is_exchanged_and_renewed() -> None:
    """Access lasts five minutes; when it has expired it is fetched again and the request goes through."""
    issued = iter(["first", "second"])
    seen: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> tuple[int, str, str]:
        if request.path == "/api/token/refresh/":
            return 200, "application/json", json.dumps({"access": next(issued)})
        seen.append(request.headers["Authorization"])
        expired = seen == ["Bearer first", "Bearer first"]
        return (401, "application/json", '{"detail": "expired"}') if expired else (200, "application/json", "{}")

    with server(answer) as (url, _):
        client = Client(url, "head.body.signature")
        assert [client.get("/x"), client.get("/x")] == [{}, {}]
    assert seen == ["Bearer first", "Bearer first", "Bearer second"]


def test_a_personal_token_that_was_revoked_is_refused() -> None:
    """The sentence says whose token it is."""
    with server(says(401, '{"detail": "Token is blacklisted"}')) as (url, _):
        client = Client(url, "head.body.signature", "the token in MY_TOKEN")
        with pytest.raises(Refused, match="must accept the token in MY_TOKEN"):
            client.get("/x")


def test_a_client_does_not_show_its_token() -> None:
    """Neither do its parts."""
    client = Client("http://127.0.0.1:1", SECRET)
    assert SECRET not in repr(client) + repr(client.credential)
