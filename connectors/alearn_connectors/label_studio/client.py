"""HTTP to one Label Studio: who we are, and what its answers and silences mean.

Invariant: whatever goes wrong comes out as `Unavailable` (try again) or `Refused` (do not) with a sentence for the
person who runs the loop. A request that changes something is sent once: a lost answer may hide a change that was made,
so only the caller, who can look, may send it again. The token is in no message and in no `repr`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from alearn.errors import Refused, Unavailable

OLDEST, TESTED = (1, 20), "1.23.2"
"""The oldest Label Studio that is tried, and the one that alearn is tested with."""

PATIENCE = httpx.Timeout(120.0, connect=10.0)
BULK_PATIENCE = httpx.Timeout(900.0, connect=10.0)
"""For imports and deletions, which take minutes on a busy server."""

PASSING, PAUSES = frozenset({502, 503, 504}), (0.1, 0.5)
"""What a proxy says while a server restarts, or is one of two of which one is down; a question is asked again after so
many seconds."""


class Missing(Refused):
    """There is no such thing (404)."""


class Forbidden(Refused):
    """This may not be done (403). `detail` is what Label Studio said."""

    def __init__(self, message: str, detail: str) -> None:
        super().__init__(message)
        self.detail = detail


class Unauthorised(Refused):
    """The token is not accepted (401)."""


class Rejected(Refused):
    """What was sent is not acceptable (400); nothing was changed. `detail` is what Label Studio said."""

    def __init__(self, message: str, detail: str) -> None:
        super().__init__(message)
        self.detail = detail


class Credential(httpx.Auth):
    """A legacy token, sent as it is; or a personal access token, exchanged for access that lasts five minutes."""

    def __init__(self, token: str, url: str) -> None:
        self._token = token
        self._personal = token.count(".") == 2  # a JWT
        self._refresh = f"{url}/api/token/refresh/"
        self._access = ""
        self._lock = threading.Lock()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add what authorises the request; new access is fetched at first, and when the old one has expired."""
        if not self._personal:
            request.headers["Authorization"] = f"Token {self._token}"
            yield request
            return
        used = self._access
        if used:
            request.headers["Authorization"] = f"Bearer {used}"
            answer = yield request
            if answer.status_code != 401:
                return
        fresh = yield httpx.Request("POST", self._refresh, json={"refresh": self._token})
        if fresh.status_code >= 500:
            raise Unavailable(f"Label Studio cannot renew access now. Got {fresh.status_code}. Look into its log.")
        if fresh.is_success:
            fresh.read()  # only here: other bodies may be large files
            with self._lock:
                self._access = str(fresh.json()["access"])
        request.headers["Authorization"] = f"Bearer {self._access or 'none'}"
        yield request


class Client:
    """Requests and answers as values; see the module for what is raised.

    `whose` says where the token came from, for messages.
    """

    def __init__(self, url: str, token: str | Credential, whose: str = "your token") -> None:
        self.url = url
        self._whose = whose
        self.credential = token if isinstance(token, Credential) else Credential(token, url)
        self._http = httpx.Client(
            base_url=url,
            auth=self.credential,
            timeout=PATIENCE,
            headers={"User-Agent": "alearn"},
            trust_env=not is_here(url),
        )

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def twin(self) -> Client:
        """A client of its own for another thread, with the same credential."""
        return Client(self.url, self.credential, self._whose)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Ask for something."""
        return self.look(path, params)[0]

    def look(self, path: str, params: Mapping[str, Any] | None = None) -> tuple[Any, datetime | None]:
        """Ask for something; also when the server began to work on it, by its own clock (None: it does not say).

        Asked once more when the connection had gone stale, and twice when a proxy cannot pass it on.
        """
        answer = self._ask(path, params)
        for pause in PAUSES:
            if answer.status_code not in PASSING:
                break
            time.sleep(pause)
            answer = self._ask(path, params)
        return self._value(answer), _asked_at(answer)

    def _ask(self, path: str, params: Mapping[str, Any] | None) -> httpx.Response:
        try:
            return self._exchange("GET", path, params=params)
        except _Stale:
            return self._exchange("GET", path, params=params)

    def post(self, path: str, body: Any, params: Mapping[str, Any] | None = None, *, bulk: bool = False) -> Any:
        """Send something new; never sent twice."""
        return self._value(self._exchange("POST", path, body, params, bulk=bulk))

    def patch(self, path: str, body: Any) -> Any:
        """Change something."""
        return self._value(self._exchange("PATCH", path, body))

    def delete(self, path: str, body: Any = None) -> Any:
        """Delete something; may take minutes."""
        return self._value(self._exchange("DELETE", path, body, bulk=True))

    def fetch(self, path: str, params: Mapping[str, Any] | None = None) -> tuple[str, bytes]:
        """The content type and the bytes of a file that Label Studio serves."""
        answer = self._exchange("GET", path, params=params)
        self._judge(answer)
        return answer.headers.get("Content-Type", ""), answer.content

    def download(self, path: str, most: int, seconds: float) -> tuple[int, bytes | None]:
        """The status and the bytes of a file that Label Studio serves at a path with its query; None for more than
        `most` bytes. A status is not judged: it may be about this file alone. Raises TimeoutError too.
        """
        patience = httpx.Timeout(seconds, connect=PATIENCE.connect)
        with self._speaking("GET", path), self._http.stream("GET", path, timeout=patience) as answer:
            return answer.status_code, at_most(answer.iter_bytes(), most, seconds)

    def _value(self, answer: httpx.Response) -> Any:
        """What a good answer holds; None when it is empty."""
        self._judge(answer)
        if not answer.content:
            return None
        try:
            return answer.json()
        except ValueError:
            raise self._stranger(f"{answer.request.url.path} is not JSON") from None

    def _exchange(
        self,
        method: str,
        path: str,
        body: Any = None,
        params: Mapping[str, Any] | None = None,
        *,
        bulk: bool = False,
    ) -> httpx.Response:
        content = None if body is None else json.dumps(body, separators=(",", ":"), allow_nan=False)
        headers = {} if body is None else {"Content-Type": "application/json"}
        with self._speaking(method, path):
            return self._http.request(
                method,
                path,
                params=params,
                content=content,
                headers=headers,
                timeout=BULK_PATIENCE if bulk else PATIENCE,
            )

    @contextmanager
    def _speaking(self, method: str, path: str) -> Iterator[None]:
        """What goes wrong on the way, as what it means."""
        try:
            yield
        except httpx.TimeoutException as error:
            raise Unavailable(
                f"Label Studio at {self.url} did not finish {method} {path} in time ({type(error).__name__}). What it "
                "did of it is looked at before it is asked again. Look into its log when this stays."
            ) from error
        except httpx.RemoteProtocolError as error:
            raise _Stale(self._silence(error)) from error
        except httpx.RequestError as error:
            raise Unavailable(self._silence(error)) from error

    def _silence(self, error: httpx.RequestError) -> str:
        return (
            f"Label Studio at {self.url} must answer. Got: {str(error) or type(error).__name__}. Start it (`alearn "
            "label-studio up` starts a private one), or correct `platform.options.url`."
        )

    def _judge(self, answer: httpx.Response) -> None:
        """Return when the answer is a yes; else raise what it means."""
        status = answer.status_code
        if answer.is_success:
            return
        if answer.is_redirect:
            raise Refused(
                f"Label Studio at {self.url} must answer directly. Got a redirect to "
                f"{answer.headers.get('Location')}. Set `platform.options.url` to where it really is."
            )
        said = _said(answer)
        if status in {408, 429} or status >= 500:
            raise Unavailable(
                f"Label Studio at {self.url} cannot do {_what(answer)} now. Got {status}: "
                f"{said or answer.text[:200]}. Look into its log when this stays."
            )
        if said is None:
            raise self._stranger(f"{answer.request.url.path} is answered with {status}")
        if status == 401:
            raise Unauthorised(self._unauthorised(said))
        sentence = f"Label Studio at {self.url} must accept {_what(answer)}. Got {status}: {said}."
        if status == 403:
            raise Forbidden(f"{sentence} Use the token of a user who may do this.", said)
        if status == 404:
            raise Missing(f"{sentence} Look whether it was deleted.")
        raise Rejected(f"{sentence} Correct what it names.", said)

    def _unauthorised(self, said: str) -> str:
        if "legacy" in said.lower():
            return (
                f"Label Studio at {self.url} must allow legacy tokens to accept {self._whose}. Got: they are off. "
                "Turn them on under Organization, API token settings; or use a personal access token."
            )
        return (
            f"Label Studio at {self.url} must accept {self._whose}. Got: {said}. Copy the token anew from your "
            "account page in Label Studio."
        )

    def _stranger(self, what: str) -> Refused:
        return Refused(
            f"`platform.options.url` must be where Label Studio answers. Got {self.url}, where {what}. Something else "
            "listens there; correct the URL."
        )


class _Stale(Unavailable):
    """The server closed a connection that was kept open."""


def at_most(chunks: Iterable[bytes], most: int, seconds: float = float("inf")) -> bytes | None:
    """The chunks as one; None when they are more than `most` bytes. Raises TimeoutError."""
    whole, deadline = bytearray(), time.monotonic() + seconds
    for chunk in chunks:
        whole += chunk
        if len(whole) > most:
            return None
        if time.monotonic() > deadline:
            raise TimeoutError
    return bytes(whole)


def is_here(url: str) -> bool:
    """Whether a server is on this machine, whose loopback a proxy cannot reach."""
    host = urlsplit(url).hostname or ""
    return host == "localhost" or host.startswith("127.") or host == "::1"


def _what(answer: httpx.Response) -> str:
    return f"{answer.request.method} {answer.request.url.path}"


def _said(answer: httpx.Response) -> str | None:
    """What a refusal says, in one line; None when it does not look like Label Studio's."""
    try:
        body = answer.json()
    except ValueError:
        return None
    if not isinstance(body, dict) or not ({"detail", "validation_errors", "error"} & set(body)):
        return None
    faults = body.get("validation_errors") or body.get("detail") or body.get("error")
    return " ".join(_flat(faults).split())[:500]


def _flat(faults: Any) -> str:
    if isinstance(faults, Mapping):
        return "; ".join(
            _flat(inner) if key == "non_field_errors" else f"{key}: {_flat(inner)}" for key, inner in faults.items()
        )
    if isinstance(faults, list):
        return "; ".join(_flat(inner) for inner in faults)
    return str(faults)


def _asked_at(answer: httpx.Response) -> datetime | None:
    """The server's clock when it began: its Date header is set at the end, and has whole seconds."""
    try:
        ended = parsedate_to_datetime(answer.headers["Date"])
    except (KeyError, ValueError):
        return None
    return (ended.replace(tzinfo=ended.tzinfo or UTC) - answer.elapsed).astimezone(UTC)
