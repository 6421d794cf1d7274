"""One robot annotator, and what it reads out of the project before it answers.

It knows Label Studio's REST API and nothing else of the loop: next task, submit or skip, next task.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from alearn.core.annotators import Answer
from alearn.errors import Refused, Unavailable
from alearn_connectors.label_studio.accounts import Seat

REFUSALS = 5
"""A session that has ended is opened again, but so many refusals in a row are believed."""


@dataclass(frozen=True)
class Question:
    """What the project asks: the control that is answered, the object it is about, and what each class is stored as."""

    from_name: str
    to_name: str
    stored: Mapping[str, str]

    def result(self, name: str) -> list[dict[str, Any]]:
        """The class `name` as Label Studio's result; Refused when the project does not offer it."""
        if name not in self.stored:
            raise Refused(f"The project must offer the class {name!r}. Got only {', '.join(self.stored)}. Add it.")
        return [
            {
                "id": secrets.token_hex(5),
                "from_name": self.from_name,
                "to_name": self.to_name,
                "type": "choices",
                "origin": "manual",
                "value": {"choices": [self.stored[name]]},
            }
        ]


def question(label_config: str) -> Question:
    """Read what is asked out of a label config: its first Choices; Refused when it has none."""
    from label_studio_sdk.label_interface import LabelInterface

    for control in LabelInterface(label_config).controls:
        if control.tag == "Choices":
            shown = {label.attr["value"]: stored for stored, label in control.labels_attrs.items()}
            return Question(control.name, control.to_name[0], {stored: stored for stored in control.labels} | shown)
    raise Refused("The project's label config must hold a Choices control. Got none. Put the config back.")


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

    `find` returns the project's id, or None while there is none. `reply` returns what it says of an item's key, or None
    when it is to stop. Nothing but `Unavailable`, `httpx.RequestError` (come back later) and `Refused` is raised.
    """

    def __init__(
        self, seat: Seat, find: Callable[[httpx.Client], int | None], reply: Callable[[str], Answer | None]
    ) -> None:
        self._seat = seat
        self._find = find
        self._reply = reply
        self._client: httpx.Client | None = None
        self._project: int | None = None
        self._question: Question | None = None
        self._skipped: set[int] = set()
        self._refusals = 0

    def work(self) -> bool:
        """Do one task; False when there was none to do."""
        client = self._client = self._client or self._seat()
        if self._project is None or self._question is None:
            self._project = self._find(client)
            self._question = None if self._project is None else self._read(client, self._project)
        if self._project is None or self._question is None:
            return False
        task = self._next(client, self._project)
        # a project may hand skipped tasks to the same annotator again when nothing else is left
        if task is None or int(task["id"]) in self._skipped:
            return False
        said = self._reply(str(task["data"].get("alearn_id", "")))
        return said is not None and self._submit(client, int(task["id"]), self._question, said)

    def leave(self) -> None:
        """Close the connection; `work` would open it again."""
        if self._client is not None:
            self._client.close()
        self._client = None

    def _read(self, client: httpx.Client, project: int) -> Question | None:
        answer = self._checked(client.get(f"/api/projects/{project}/"))
        return question(read_json(answer)["label_config"]) if answer.is_success else None

    def _next(self, client: httpx.Client, project: int) -> dict[str, Any] | None:
        answer = self._checked(client.get(f"/api/projects/{project}/next"))
        if answer.is_success:
            return read_json(answer)
        if "No Project" in answer.text:  # deleted; the loop may make it again
            self._project = None
        return None

    def _submit(self, client: httpx.Client, task: int, asked: Question, said: Answer) -> bool:
        """Submit or skip; False when the task was deleted meanwhile. A lost reply is harmless: `next` knows."""
        skip = said.value is None
        body = {
            "result": [] if said.value is None else asked.result(said.value),
            "was_cancelled": skip,
            "lead_time": said.seconds,
        }
        csrf = {"X-CSRFToken": client.cookies.get("csrftoken") or "", "Referer": str(client.base_url)}
        done = self._checked(client.post(f"/api/tasks/{task}/annotations/", json=body, headers=csrf)).is_success
        if done and skip:
            self._skipped.add(task)
        return done

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
