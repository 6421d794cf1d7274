"""One robot annotator, and what it reads out of the project before it answers.

It knows Label Studio's REST API and nothing else of the loop: next task, submit or skip, next task.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from alearn.core.annotators import Answer
from alearn.errors import Refused, Unavailable
from alearn_connectors.label_studio.accounts import Seat
from alearn_connectors.label_studio.convert import Offer, offer, result_json, task_key

REFUSALS = 5
"""A session that has ended is opened again, but so many refusals in a row are believed."""


def offered(project: Mapping[str, Any]) -> Offer:
    """What a project asks, out of its JSON; Refused when that is no single Choices control."""
    asked = offer(project.get("parsed_label_config") or {})
    if asked is None:
        raise Refused("The project's label config must hold one Choices control. Got none, or several. Put it back.")
    return asked


def result(name: str, asked: Offer) -> list[dict[str, Any]]:
    """The class `name` as what an annotator's browser sends; Refused when the project does not offer it."""
    if name not in asked.choices:
        raise Refused(f"The project must offer the class {name!r}. Got only {', '.join(asked.choices)}. Add it.")
    return [{"id": secrets.token_hex(5), "origin": "manual", **result_json(name, asked)}]


def read_json(answer: httpx.Response) -> dict[str, Any]:
    """The body of an answer; Unavailable when it is something else, such as a proxy's page."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Unavailable(
            f"Label Studio must answer {answer.request.url.path} with JSON. Got: {answer.text[:80]!r}. Wait."
        )
    return body


class Robot:
    """An annotator at work.

    `find` returns the project's id, or None while there is none; it may raise `httpx.HTTPStatusError`. `reply` returns
    what it says of an item's key, or None when it is to stop. Nothing but `Unavailable` and `httpx.RequestError` (come
    back later), and `Refused`, is raised.
    """

    def __init__(
        self, seat: Seat, find: Callable[[httpx.Client], int | None], reply: Callable[[str], Answer | None]
    ) -> None:
        self._seat = seat
        self._find = find
        self._reply = reply
        self._client: httpx.Client | None = None
        self._project: int | None = None
        self._asked: Offer | None = None
        self._skipped: set[tuple[int, str]] = set()
        self._refusals = 0

    def work(self) -> bool:
        """Do one task; False when there was none to do."""
        client = self._client = self._client or self._seat()
        if self._project is None or self._asked is None:
            self._project = self._look(client)
            self._asked = None if self._project is None else self._read(client, self._project)
        if self._project is None or self._asked is None:
            return False
        task = self._next(client, self._project)
        if task is None:
            return False
        key = task_key(task) or ""
        if (task["id"], key) in self._skipped:  # some projects hand out skipped tasks again when nothing else is left
            return False
        said = self._reply(key)
        if said is None or not self._submit(client, task["id"], said):
            return False
        if said.value is None:
            self._skipped.add((task["id"], key))
        return True

    def leave(self) -> None:
        """Close the connection; `work` would open it again."""
        if self._client is not None:
            self._client.close()
        self._client = None

    def _look(self, client: httpx.Client) -> int | None:
        try:
            return self._find(client)
        except httpx.HTTPStatusError as error:
            self._checked(error.response)
        return None

    def _read(self, client: httpx.Client, project: int) -> Offer | None:
        answer = self._checked(client.get(f"/api/projects/{project}/"))
        return offered(read_json(answer)) if answer.is_success else None

    def _next(self, client: httpx.Client, project: int) -> dict[str, Any] | None:
        answer = self._checked(client.get(f"/api/projects/{project}/next"))
        if answer.is_success:
            return read_json(answer)
        if "No Project" in answer.text:  # deleted; the loop may make it again
            self._project = None
        return None

    def _submit(self, client: httpx.Client, task: int, said: Answer) -> bool:
        """Submit or skip; False when the task was deleted meanwhile. A lost reply is harmless: `next` knows."""
        assert self._asked is not None, "the project was read"
        if said.value is not None and said.value not in self._asked.choices and self._project is not None:
            self._asked = self._read(client, self._project) or self._asked  # a class may have been added since
        body = {
            "result": [] if said.value is None else result(said.value, self._asked),
            "was_cancelled": said.value is None,
            "lead_time": said.seconds,
        }
        csrf = {"X-CSRFToken": client.cookies.get("csrftoken") or "", "Referer": str(client.base_url)}
        return self._checked(client.post(f"/api/tasks/{task}/annotations/", json=body, headers=csrf)).is_success

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        """The answer when it is a success or a 404."""
        self._refusals = self._refusals + 1 if answer.status_code in (401, 403) else 0
        said = f"Label Studio answered {answer.request.url.path} with {answer.status_code}: {answer.text[:200]}"
        if 0 < self._refusals < REFUSALS:
            self.leave()
            raise Unavailable(f"{said}. The session may have ended; enter again.")
        if answer.status_code in (408, 429) or answer.status_code >= 500:
            raise Unavailable(f"{said}. Wait, or look into its log.")
        if answer.is_client_error and answer.status_code != 404:
            raise Refused(f"{said}. Look into the project's settings.")
        return answer
