"""The rules of the door, on a real Label Studio: people act through its API as its own pages do."""

import dataclasses
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from alearn.platform import Annotation, Platform, Setting, connect
from alearn.testing import PlatformCase, PlatformConformance
from alearn_connectors.label_studio import convert
from alearn_connectors.label_studio.accounts import Account, enter
from alearn_connectors.label_studio.notes import Notes
from alearn_connectors.label_studio.project import remembered_number

People = Mapping[str, httpx.Client]


class LabelStudioCase(PlatformCase):
    """The owner is "ann", whoever signed up is "bob"."""

    def __init__(self, folder: Path, server: Any, people: People) -> None:
        super().__init__(folder)
        self.server = server
        self.people = people
        self.owner: httpx.Client = server.client
        self._ids: dict[tuple[str, str], int] = {}
        self._scopes: dict[str, str] = {}

    def open(self, setting: Setting) -> Platform:
        token = self.folder / "token"
        token.write_text(self.server.token)
        given = {"url": self.server.url, "token_file": str(token), "media_root": str(self.server.media_root)}
        return connect("label-studio", dataclasses.replace(setting, options={**given, **setting.options}))

    def tasks(self, setting: Setting) -> list[str]:
        return [task["data"]["alearn_id"] for task in self._list(setting)]

    def annotate(self, setting: Setting, key: str, value: str, annotator: str = "ann") -> str:
        made = self._answer(annotator, self._id(setting, key), value)
        return f"{self._scope(setting)}/{made['id']}-{convert.compact(made['created_at'])}"

    def skip(self, setting: Setting, key: str, annotator: str = "ann") -> None:
        self._answer(annotator, self._id(setting, key), None)

    def edit(self, setting: Setting, annotation: Annotation, value: str) -> None:
        answer = self.owner.patch(f"/api/annotations/{_number(annotation)}/", json={"result": _result(value)})
        answer.raise_for_status()

    def delete_annotation(self, setting: Setting, annotation: Annotation) -> None:
        self.owner.delete(f"/api/annotations/{_number(annotation)}/").raise_for_status()

    def delete_task(self, setting: Setting, key: str) -> None:
        chosen = {"selectedItems": {"all": False, "included": [self._id(setting, key)]}}
        params: dict[str, Any] = {"id": "delete_tasks", "project": self._project(setting)}
        self.owner.post("/api/dm/actions", json=chosen, params=params).raise_for_status()

    def annotate_outside(self, setting: Setting, key: str) -> None:
        self._answer("ann", self._id(setting, key), "no such class")

    def queue(self, setting: Setting) -> list[str]:
        return [task["data"]["alearn_id"] for task in self._served(setting)]

    def suggestions(self, setting: Setting) -> Mapping[str, str]:
        """The page shows the predictions that come with the task."""
        return {
            task["data"]["alearn_id"]: item["value"]["choices"][0]
            for task in self._served(setting)
            for prediction in task["predictions"]
            for item in prediction["result"]
        }

    def content(self, setting: Setting, key: str) -> str:
        task = self.owner.get(f"/api/tasks/{self._id(setting, key)}/").raise_for_status().json()
        return str(task["data"]["text"])

    def unreachable(self, setting: Setting) -> Platform:
        """Nothing listens where it is said to be."""
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{held.getsockname()[1]}"
        return self.open(dataclasses.replace(setting, options={"url": url}))

    def _project(self, setting: Setting) -> int:
        number = remembered_number(Notes(setting.home / "label-studio"))
        assert number is not None, "the loop is prepared"
        return number

    def _scope(self, setting: Setting) -> str:
        if setting.loop not in self._scopes:
            raw = self.owner.get(f"/api/projects/{self._project(setting)}/").raise_for_status().json()
            self._scopes[setting.loop] = f"{raw['id']}.{convert.compact(raw['created_at'])}"
        return self._scopes[setting.loop]

    def _list(self, setting: Setting) -> list[Any]:
        params: dict[str, Any] = {"project": self._project(setting), "page_size": 5000, "include": "id,data"}
        found: list[Any] = self.owner.get("/api/tasks", params=params).raise_for_status().json()["tasks"]
        return found

    def _id(self, setting: Setting, key: str) -> int:
        if (setting.loop, key) not in self._ids:
            self._ids |= {(setting.loop, task["data"]["alearn_id"]): task["id"] for task in self._list(setting)}
        return self._ids[setting.loop, key]

    def _answer(self, annotator: str, task: int, value: str | None) -> Any:
        body = {"result": [] if value is None else _result(value), "was_cancelled": value is None, "lead_time": 1.5}
        answer = self.people[annotator].post(f"/api/tasks/{task}/annotations/", json=body)
        return answer.raise_for_status().json()

    def _served(self, setting: Setting) -> list[Any]:
        """The open tasks as an annotator is given them, who answers one to be given the next; then takes all back."""
        path, tasks, made = f"/api/projects/{self._project(setting)}/next", [], []
        while (answer := self.owner.get(path)).status_code != httpx.codes.NOT_FOUND:
            tasks.append(answer.raise_for_status().json())
            made.append(self._answer("ann", tasks[-1]["id"], "cat")["id"])
        for annotation in made:
            self.owner.delete(f"/api/annotations/{annotation}/").raise_for_status()
        return tasks


def _number(annotation: Annotation) -> str:
    """Label Studio's number of an annotation."""
    return annotation.id.split("/")[1].split("-")[0]


def _result(name: str) -> list[Mapping[str, Any]]:
    return [{"from_name": "label", "to_name": "item", "type": "choices", "value": {"choices": [name]}}]


@pytest.fixture(scope="module")
def people(label_studio: Any) -> Iterator[People]:
    """Two annotators with accounts of their own."""

    def invite() -> str:
        return str(label_studio.client.get("/api/invite").raise_for_status().json()["invite_url"])

    account = Account(f"bob.{secrets.token_hex(4)}@alearn.invalid", secrets.token_urlsafe(12))
    with closing(enter(account, label_studio.url, invite)) as door:
        token = door.get("/api/current-user/token").raise_for_status().json()["token"]
    headers = {"Authorization": f"Token {token}"}
    with httpx.Client(base_url=label_studio.url, headers=headers, timeout=60, trust_env=False) as bob:
        yield {"ann": label_studio.client, "bob": bob}


class TestLabelStudio(PlatformConformance):
    """The rules of the door."""

    @pytest.fixture
    def platform_case(self, tmp_path: Path, label_studio: Any, people: People) -> PlatformCase:
        return LabelStudioCase(tmp_path, label_studio, people)
