"""HTTP to one account of Appen: what its answers and silences mean.

Invariant: whatever goes wrong comes out as `Unavailable` (try again) or `Refused` (do not) with a sentence for the
person who runs the loop, and the API key is in none of them. What changes something is sent once: a lost answer may
hide a change that was made, so only the caller, who can look, may send it again.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from alearn.errors import Refused, Unavailable
from alearn_connectors.appen.credentials import Secret

Params = Mapping[str, str | int]


class Missing(Refused):
    """There is no such thing (404)."""


class Rejected(Refused):
    """What was asked makes no sense there (400); nothing was changed."""


class Credential(httpx.Auth):
    """The API key in its header."""

    def __init__(self, key: Secret) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add what authorises the request."""
        request.headers["Authorization"] = f"Token token={self._key.reveal()}"
        yield request


class Client:
    """Requests and answers as values; see the module for what is raised."""

    def __init__(self, url: str, key: Secret, timeout: float) -> None:
        self.url = url
        self._key = key
        host = urlsplit(url).hostname or ""
        try:
            self._http = httpx.Client(
                base_url=url,
                auth=Credential(key),
                timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
                headers={"User-Agent": "alearn", "Accept": "application/json, */*;q=0.5"},
                trust_env=not (host == "localhost" or host.startswith("127.") or host == "::1"),  # no proxy reaches it
            )
        except httpx.InvalidURL as error:
            raise Refused(f"`platform.options.url` must be a URL. Got {url!r}: {error}. Correct it.") from error

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, params: Params | None = None) -> Any:
        """Ask for something; asked once more when the connection had gone stale."""
        try:
            return self.act("GET", path, params=params)
        except _Stale:
            return self.act("GET", path, params=params)

    def act(self, method: str, path: str, body: Any = None, params: Params | None = None) -> Any:
        """Send something that changes something, never twice; also the GETs of `v1` that do."""
        content = None if body is None else json.dumps(body, allow_nan=False).encode()
        return self._value(self._exchange(method, path, content, "application/json", params))

    def upload(self, method: str, path: str, content: bytes, kind: str, params: Params | None = None) -> Any:
        """Send a file."""
        return self._value(self._exchange(method, path, content, kind, params))

    def fetch(self, path: str, params: Params | None = None) -> bytes | None:
        """A file that is made when it is asked for by POST; None while it is being made (202)."""
        answer = self._exchange("POST", path, None, "", params)
        self._judge(answer)
        return None if answer.status_code == 202 else answer.content

    def pending(self, path: str, params: Params | None = None) -> tuple[bool, Any]:
        """Whether something is still going on (202), and what is said of it."""
        answer = self._exchange("GET", path, None, "", params)
        return answer.status_code == 202, self._value(answer)

    def _exchange(
        self, method: str, path: str, content: bytes | None, kind: str, params: Params | None
    ) -> httpx.Response:
        headers = {"Content-Type": kind} if content is not None else {}
        try:
            return self._http.request(method, path, params=params, content=content, headers=headers)
        except httpx.TimeoutException as error:
            raise Unavailable(
                f"Appen at {self.url} did not finish {method} {path} in time ({type(error).__name__}). What it did of "
                "it is looked at before it is asked again. Raise `platform.options.timeout_seconds` when this stays."
            ) from error
        except httpx.RemoteProtocolError as error:
            raise _Stale(self._silence(error)) from error
        except httpx.RequestError as error:
            raise Unavailable(self._silence(error)) from error

    def _silence(self, error: httpx.RequestError) -> str:
        return (
            f"Appen at {self.url} must answer. Got: {self._key.masked(str(error)) or type(error).__name__}. It is "
            "tried again; look at the network, and at `platform.options.url`."
        )

    def _value(self, answer: httpx.Response) -> Any:
        """What a good answer holds; None when it is empty."""
        self._judge(answer)
        if not answer.content.strip():
            return None
        try:
            value = answer.json()
        except ValueError:
            raise self._stranger(f"{answer.request.url.path} is not JSON") from None
        if isinstance(value, dict) and (value.get("error") or value.get("errors")):  # v1 may refuse with status 200
            raise Refused(self._no(answer, self._said(answer), "Correct what it names."))
        return value

    def _judge(self, answer: httpx.Response) -> None:
        """Return when the answer is a yes; else raise what it means."""
        if answer.is_success:
            return
        if answer.is_redirect:
            where = self._key.masked(str(answer.headers.get("Location")))
            raise self._stranger(f"{answer.request.url.path} is elsewhere, at {where}")
        status, said = answer.status_code, self._said(answer)
        again = status in {408, 429} or status >= 500 or (status == 409 and "already exists" not in said)
        if again:
            wait = answer.headers.get("Retry-After", "")
            later = f" It asks to wait {wait} s." if wait.isdecimal() else ""
            raise Unavailable(f"{self._no(answer, said, 'It is tried again.')}{later}")
        if status == 404:
            raise Missing(self._no(answer, said, "Look whether it was deleted, and at `platform.options.url`."))
        kind = Rejected if status == 400 else Refused
        raise kind(self._no(answer, said, _NEXT.get(status, "Correct what it names.")))

    def _no(self, answer: httpx.Response, said: str, step: str) -> str:
        what = f"{answer.request.method} {answer.request.url.path}"
        return f"Appen at {self.url} must accept {what}. Got {answer.status_code}: {said}. {step}"

    def _said(self, answer: httpx.Response) -> str:
        """What an answer says of a failure, in one line."""
        try:
            body = answer.json()
        except ValueError:
            body = answer.text[:200]
        words = " ".join(_words(body).split()).rstrip(".")
        return self._key.masked(words)[:500] or "nothing"

    def _stranger(self, what: str) -> Refused:
        return Refused(
            f"`platform.options.url` must be where Appen's API answers. Got {self.url}, where {what}. Correct it."
        )


class _Stale(Unavailable):
    """The server closed the connection without an answer."""


_NEXT = {
    401: "Copy the API key anew from your account's API page.",
    402: "Add funds to the account in Appen.",
    403: "Use the key of a user who may do this, and look at `platform.options.team`.",
    422: "A job takes 250,000 rows unless an administrator allows more.",
}


def _words(body: Any) -> str:
    """The sentence in an error of either generation."""
    if isinstance(body, dict):
        for name in ("errorMessage", "message", "error", "errors", "notice", "details"):
            if body.get(name):
                return _words(body[name])
        return json.dumps(body)
    if isinstance(body, list):
        return "; ".join(_words(one) for one in body)
    return str(body)
