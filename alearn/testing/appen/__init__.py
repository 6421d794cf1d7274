"""A stand-in of Appen on this machine: both generations of its documented API, contributors, webhooks, and bad days.

    with Appen() as appen:
        options = {"url": appen.url, "cap_cents": 1000, "payment_cents": 5}
        ...                                            # open the connector with them, prepare, push
        appen.account.work("alearn cells", [Worker("amy"), Worker("bob", accuracy=0.8)], truth, classes)

Written after the documentation alone. Invariant: it listens on loopback only, and what it counts as spent is what the
calls that reached it ordered, whatever became of their answers.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from alearn.testing.appen import classic, projects
from alearn.testing.appen.account import Account, Job, Judgment, Order, Unit, Worker
from alearn.testing.appen.classic import Answer, Asked

__all__ = ["Account", "Appen", "Job", "Judgment", "Order", "Unit", "Worker", "form"]

ROUTES = [(method, re.compile(path), do) for method, path, do in (*classic.ROUTES, *projects.ROUTES)]
SLOW = (r"POST /v3/jobs/download\.csv", "GET /v3/jobs/upload/status")
"""What is answered with 202 when it is asked for first."""

Harm = Literal["drop", "hang"] | int | Callable[[], object]
"""Close the connection, never answer, answer with this status, or do something and close the connection."""


@dataclass
class Fault:
    """What goes wrong with `times` calls like `call` behind the next `spare`; `after`: when they had their effect."""

    call: re.Pattern[str]
    harm: Harm
    after: bool
    times: int
    spare: int


class Appen:
    """The stand-in; entering it starts it. `account` is what it holds, `calls` what reached it."""

    def __init__(
        self,
        *,
        key: str = "stand-in-key",
        secret: str = "stand-in-secret",  # noqa: S107 - of nothing
        payment_cents: int = 5,
        rows_per_job: int = 250_000,
        copies: int = 1,
    ) -> None:
        self.account = Account(key, secret, payment_cents=payment_cents, rows_per_job=rows_per_job)
        self.calls: list[str] = []
        self.undelivered: list[str] = []
        self.copies = copies
        self._faults: deque[Fault] = deque()
        self._asked: set[str] = set()
        self._stop = threading.Event()
        self.account.hook = self._deliver
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.appen = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fail(self, call: str, harm: Harm, *, after: bool = False, times: int = 1, spare: int = 0) -> None:
        """Harm calls that match, like "POST .*/orders.json", after the next `spare`; `after` they had their effect."""
        self._faults.append(Fault(re.compile(call), harm, after, times, spare))

    def count(self, call: str) -> int:
        """How many calls like this reached it."""
        return sum(re.fullmatch(call, one) is not None for one in self.calls)

    def _deliver(self, uri: str, signal: str, payload: bytes) -> None:
        """POST a webhook, `copies` times."""
        parts = urlsplit(uri)
        for _ in range(self.copies):
            connection = HTTPConnection(parts.hostname or "", parts.port, timeout=2)
            try:
                headers = {"Content-Type": "application/x-www-form-urlencoded"}
                connection.request("POST", parts.path, form(signal, payload, self.account.secret), headers)
                if connection.getresponse().status != 200:
                    self.undelivered.append(signal)
            except (OSError, HTTPException):
                self.undelivered.append(signal)
            finally:
                connection.close()

    # --- one call -----------------------------------------------------------------------------------------------------

    def fault(self, call: str) -> Fault | None:
        """What goes wrong with this call."""
        for fault in self._faults:
            if not fault.times or not fault.call.fullmatch(call):
                continue
            if fault.spare:
                fault.spare -= 1
                continue
            fault.times -= 1
            return fault
        return None

    def answer(self, method: str, target: str, body: bytes, kind: str) -> Answer:
        """What the API says."""
        parts = urlsplit(target)
        if any(re.fullmatch(slow, f"{method} {parts.path}") for slow in SLOW) and target not in self._asked:
            self._asked.add(target)
            return 202, {"status": "UPLOADING", "details": "in progress"}
        self._asked.discard(target)
        for wanted, path, do in ROUTES:
            match = path.fullmatch(parts.path)
            if match and wanted == method:
                with self.account.lock:
                    return do(self.account, Asked(match.groups(), dict(parse_qsl(parts.query)), body, kind))
        return classic.no(404, "We couldn't find what you were looking for.")

    def pause(self) -> None:
        """Wait until this stops: an answer that never comes."""
        self._stop.wait(30)


def form(signal: str, payload: bytes, secret: str) -> bytes:
    """A webhook's body: signed as Appen signs, by the hexadecimal SHA-1 of payload and secret."""
    signature = hashlib.sha1(payload + secret.encode(), usedforsecurity=False).hexdigest()
    return urlencode({"signal": signal, "payload": payload, "signature": signature}).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    appen: Appen


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""

    def _do(self) -> None:
        appen = self.server.appen
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        call = f"{self.command} {urlsplit(self.path).path}"
        appen.calls.append(call)
        if self.headers.get("Authorization") != f"Token token={appen.account.key}":
            told = self.headers.get("Authorization")  # told back, as careless servers do: it must not be shown further
            self._send(classic.no(401, f"Authorization failed for {told}, check your key."))
            return
        fault = appen.fault(call)
        if fault is not None and not fault.after:
            self._harm(fault.harm)
            return
        answer = appen.answer(self.command, self.path, body, self.headers.get("Content-Type", ""))
        if fault is not None:
            self._harm(fault.harm)
            return
        self._send(answer)

    do_GET = do_POST = do_PUT = do_DELETE = _do  # noqa: N815 - the names are http.server's

    def _harm(self, harm: Harm) -> None:
        if isinstance(harm, int):
            self._send((harm, {"error": {"message": "not now"}}), {"Retry-After": "7"} if harm == 429 else {})
            return
        if harm == "hang":
            self.server.appen.pause()
        elif callable(harm):
            harm()
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, answer: Answer, headers: dict[str, str] | None = None) -> None:
        status, value = answer
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, words in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, words)
        kind = "application/zip" if isinstance(value, bytes) else "application/json"
        self.send_header("Content-Type", kind)
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(content)
