"""Tasks that people add to a live Label Studio by hand: they become items, each once, whatever is cut short."""

import base64
import io
import json
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image

from alearn.config import parse
from alearn.core.keys import content_key
from alearn.core.schema import LabelSchema
from alearn.loop.intake import take_in
from alearn.loop.steps import collect, prepare
from alearn.loop.undertaking import opened
from alearn.platform import Found, Pull, Task
from alearn_connectors.label_studio import adopting, contents, convert
from alearn_connectors.label_studio.client import Client
from alearn_connectors.label_studio.contents import Pictures, Texts, Unadoptable

PULL = """
import json, os, signal, sys
from pathlib import Path
from alearn.core.schema import LabelSchema
from alearn.platform import Setting
from alearn_connectors import label_studio
from alearn_connectors.label_studio import adopting

told = json.loads(Path(sys.argv[1]).read_text())
setting = Setting(told["loop"], LabelSchema(tuple(told["classes"])), "text", Path(told["home"]), told["options"])
platform = label_studio.open(setting)
patch, calls = adopting.Adopter._write, []

def write(self, number, data):
    if told["point"] == "before" and len(calls) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    patch(self, number, data)
    calls.append(number)
    if told["point"] == "after" and len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

adopting.Adopter._write = write
platform.pull(None, pushed=[])
os.kill(os.getpid(), signal.SIGKILL)  # before the loop has kept what it was told
"""


def png(color: str = "red") -> bytes:
    """A small picture."""
    out = io.BytesIO()
    Image.new("RGB", (4, 3), color).save(out, "PNG")
    return out.getvalue()


def key_of(text: str) -> str:
    return content_key(text.encode())


class Hands:
    """What a person does with a loop's project."""

    def __init__(self, loop: Any) -> None:
        self.loop = loop

    def type(self, *tasks: Mapping[str, Any]) -> list[int]:
        """Tasks from a file of JSON."""
        made = self.loop.post(f"/api/projects/{self.loop.project}/import", list(tasks), return_task_ids="true")
        return list(made["task_ids"])

    def upload(self, name: str, content: bytes) -> None:
        """A file, as by dragging it onto the page."""
        path = f"/api/projects/{self.loop.project}/import"
        self.loop.http.post(path, files={"file": (name, content)}).raise_for_status()

    def data(self, task: int) -> Any:
        return self.loop.get(f"/api/tasks/{task}/")["data"]


@pytest.fixture
def hands(loop: Any) -> Hands:
    return Hands(loop)


@pytest.fixture
def pictures(make: Callable[..., Any]) -> Hands:
    """The hands of a loop that is about pictures, under the server's own media root."""

    media_root = str(make(prepare=False).server.media_root)
    return Hands(make(data="image", media_root=media_root, images="local-files"))


def told(pull: Pull) -> Mapping[str, Sequence[tuple[str | None, bool]]]:
    """{key: [(value, trusted), …]} of the keys that somebody has answered."""
    return {one.key: [(said.value, said.trusted) for said in one.annotations] for one in pull.states if one.annotations}


class TestTexts:
    def test_a_text_becomes_an_item_with_the_key_of_its_content(self, hands: Hands) -> None:
        """The key that a source of the loop would give it; all else of its data stays."""
        (task,) = hands.type({"text": "a stranger  ", "source": {"page": 3}})
        found = hands.loop.platform.pull(None, pushed=[])
        key = key_of("a stranger  ")
        assert found.found == (Found(key, text="a stranger  "),)
        assert hands.data(task) == {"text": "a stranger  ", "source": {"page": 3}, "alearn_id": key}
        assert found.notices == ()

    def test_its_answers_are_told_with_it_and_ever_after(self, hands: Hands) -> None:
        """What was imported with a task is the truth unless it says otherwise: Label Studio's own default."""
        item = {"from_name": "label", "to_name": "item", "type": "choices", "value": {"choices": ["cat"]}}
        (imported,) = hands.type({"data": {"text": "known"}, "annotations": [{"result": [item]}]})
        (other,) = hands.type({"text": "answered"})
        hands.loop.answer(other, "$100")
        first = hands.loop.platform.pull(None)
        assert told(first) == {key_of("known"): [("cat", True)], key_of("answered"): [("$100", False)]}
        hands.loop.answer(imported, "$100")
        assert told(hands.loop.platform.pull(first.cursor))[key_of("known")] == [("cat", True), ("$100", False)]

    def test_a_file_of_lines_is_as_many_items(self, hands: Hands) -> None:
        """As a person drops it onto the page."""
        hands.upload("lines.txt", "one\nzwei ü\n".encode())
        assert {one.text for one in hands.loop.platform.pull(None, pushed=[]).found} == {"one", "zwei ü"}

    def test_what_is_in_the_loop_already_is_one_item_with_two_tasks(self, hands: Hands) -> None:
        """The answers of both are the item's."""
        loop = hands.loop
        keys = [key_of("twice")]
        tasks = [task_of("twice")]
        loop.platform.push(tasks, loop.queue_of(keys))
        loop.answer(loop.tasks()[keys[0]], "cat")
        second, third = hands.type({"text": "twice"}, {"text": "twice"})
        loop.answer(second, "$100")
        found = loop.platform.pull(None, pushed=keys)
        assert {one.key for one in found.found} == set(keys)
        assert sorted(told(found)[keys[0]]) == [("$100", False), ("cat", False)]
        assert hands.data(third)["alearn_id"] == keys[0]
        assert found.missing == frozenset()

    def test_they_can_be_pushed_and_are_served_in_their_place(self, hands: Hands) -> None:
        """From the moment of their adoption on they are tasks like any other: none is doubled."""
        loop = hands.loop
        hands.type({"text": "b"}, {"text": "a"})
        keys = [one.key for one in loop.platform.pull(None, pushed=[]).found]
        order = sorted(keys)
        loop.platform.push([task_of(text) for text in ("a", "b")], loop.queue_of(order))
        assert loop.served() == order

    def test_what_cannot_be_an_item_is_told_once_with_its_reason(self, hands: Hands, monkeypatch: Any) -> None:
        """The others are adopted; nothing is done to what is left."""
        monkeypatch.setattr(contents, "LARGEST", 10)
        blank, number, long, _ = hands.type({"text": " \n"}, {"text": 5}, {"text": "x" * 11}, {"text": "fine"})
        first = hands.loop.platform.pull(None, pushed=[])
        assert [one.text for one in first.found] == ["fine"]
        assert len(first.notices) == 3
        for task, why in ((blank, "is empty"), (number, "no text"), (long, "longer than")):
            assert any(f"Tasks {task} " in notice and why in notice for notice in first.notices)
            assert "alearn_id" not in hands.data(task)
        for platform in (hands.loop.platform, hands.loop.open()):
            again = platform.pull(first.cursor, pushed=[key_of("fine")])
            assert (again.notices, again.found) == ((), ())

    def test_what_was_corrected_is_adopted(self, hands: Hands) -> None:
        """By a change of its data, or by another task that got its id."""
        first, second = hands.type({"text": " "}, {"text": ""})
        assert hands.loop.platform.pull(None, pushed=[]).found == ()
        hands.loop.http.patch(f"/api/tasks/{first}/", json={"data": {"text": "better"}}).raise_for_status()
        hands.loop.action("delete_tasks", [second])
        hands.type({"text": "new"})
        found = hands.loop.platform.pull(None, pushed=[])
        assert {one.text for one in found.found} == {"better", "new"}

    def test_they_are_looked_for_only_when_there_may_be_some(self, hands: Hands) -> None:
        """An ordinary look stays one request; a resync, or an answer beside another number of tasks, is a reason."""
        loop = hands.loop
        cursor = loop.platform.pull(None, pushed=[]).cursor
        (task,) = hands.type({"text": "x"})
        asked: list[str] = []
        loop.platform._client._http.event_hooks["request"].append(lambda request: asked.append(request.url.path))
        assert loop.platform.pull(cursor).found == ()
        assert asked == ["/api/tasks"]
        loop.answer(task, "cat")
        assert [one.text for one in loop.platform.pull(cursor).found] == ["x"]

    def test_many_are_adopted_over_several_looks(self, hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
        """None holds up the loop for long, and none needs a resync."""
        monkeypatch.setattr(adopting, "TASKS", 3)
        hands.type(*({"text": f"text {at}"} for at in range(7)))
        pulls = [hands.loop.platform.pull(None, pushed=[]), *(hands.loop.platform.pull(None) for _ in range(3))]
        assert [len(pull.found) for pull in pulls] == [3, 3, 1, 0]
        assert len({one.key for pull in pulls for one in pull.found}) == 7

    def test_a_look_ends_in_time(self, hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
        """However slow each of them is; at least one is done."""
        monkeypatch.setattr(adopting, "SECONDS", 0.0)
        hands.type({"text": "a"}, {"text": "b"})
        pulls = [hands.loop.platform.pull(None, pushed=[]), *(hands.loop.platform.pull(None) for _ in range(2))]
        assert [len(pull.found) for pull in pulls] == [1, 1, 0]

    @pytest.mark.parametrize("point", ["before", "after", "told"])
    def test_a_kill_loses_nothing_and_doubles_nothing(self, hands: Hands, tmp_path: Path, point: str) -> None:
        """Before a key is written, after it, and before the loop has kept what it was told."""
        loop, texts = hands.loop, {"one", "two", "three"}
        tasks = hands.type(*({"text": text} for text in sorted(texts)))
        setting = loop.setting
        (tmp_path / "told.json").write_text(
            json.dumps(
                {
                    "loop": setting.loop,
                    "home": str(setting.home),
                    "options": dict(setting.options),
                    "classes": loop.classes,
                    "point": point,
                }
            )
        )
        process = subprocess.run([sys.executable, "-c", PULL, str(tmp_path / "told.json")], check=False)
        assert process.returncode == -signal.SIGKILL
        again = loop.open()
        assert {one.text for one in again.pull(None, pushed=[]).found} == texts
        assert {hands.data(task)["alearn_id"] for task in tasks} == {key_of(text) for text in texts}
        assert again.pull(None, pushed=[]).found == ()
        assert loop.open().pull(None, pushed=[]).found == ()

    def test_tasks_of_another_loop_are_items_when_their_key_is_their_contents(self, hands: Hands) -> None:
        """An export of another project; a key that means something else is nobody's, and is left alone."""
        theirs = {"alearn_id": key_of("theirs"), "text": "theirs"}
        other, _ = hands.type({"alearn_id": "ab" * 16, "text": "x"}, theirs)
        first = hands.loop.platform.pull(None, pushed=[])
        assert [one.text for one in first.found] == ["theirs"]
        assert hands.data(other)["alearn_id"] == "ab" * 16

    def test_a_project_that_asks_something_else_adopts_nothing_until_it_is_put_back(self, hands: Hands) -> None:
        """What its tasks are about cannot be known."""
        loop, config = hands.loop, hands.loop.raw["label_config"]
        other = convert.label_config(LabelSchema(loop.classes), "text").replace("$text", "$content")
        loop.patch(label_config=other)
        hands.type({"content": "a", "text": "b"})
        found = loop.platform.pull(None, pushed=[])
        assert found.found == ()
        assert any("$content" in notice for notice in found.notices)
        loop.patch(label_config=config)
        assert [one.text for one in loop.platform.pull(None, pushed=[]).found] == ["b"]


class TestPictures:
    def test_an_uploaded_picture_is_kept_as_a_file(self, pictures: Hands) -> None:
        """Whole, under its key, with the suffix of what it is; it is fetched with our token."""
        loop = pictures.loop
        pictures.upload("photo of a cat.jpeg", png())
        (found,) = loop.platform.pull(None, pushed=[]).found
        assert found.key == content_key(png())
        path = Path(str(found.uri))
        assert path == (loop.setting.home / "label-studio" / "found" / f"{found.key}.png").absolute()
        assert path.read_bytes() == png()
        assert [one.name for one in path.parent.iterdir()] == [path.name]

    def test_a_file_under_the_media_root_and_a_data_uri(self, pictures: Hands, web: Any) -> None:
        """Also by the full address of Label Studio."""
        loop = pictures.loop
        colors = ("blue", "green", "white", "black")
        place = loop.server.media_root / "alearn" / loop.setting.loop
        for color in colors[:2]:
            (place / f"{color} 1.png").write_bytes(png(color))
        below = [f"/data/local-files/?d={quote(f'alearn/{loop.setting.loop}/{color} 1.png')}" for color in colors[:2]]
        encoded = base64.b64encode(png("white")).decode()
        web.pages["/black.png"] = (200, {}, png("black"))
        pictures.type(
            {"image": below[0]},
            {"image": loop.server.url + below[1]},
            {"image": f"data:image/png;base64,{encoded}"},
            {"image": f"{web.url}/black.png"},
        )
        pull = loop.platform.pull(None, pushed=[])
        found = {one.key: str(one.uri) for one in pull.found}
        assert set(found) == {content_key(png(color)) for color in colors}, pull.notices
        assert found.pop(content_key(png("black"))) == f"{web.url}/black.png"
        assert all(content_key(Path(uri).read_bytes()) == key for key, uri in found.items())

    def test_they_can_be_pushed(self, pictures: Hands) -> None:
        """The file that was kept is one that a push can show."""
        loop = pictures.loop
        pictures.upload("a.png", png())
        (found,) = loop.platform.pull(None, pushed=[]).found
        assert loop.platform.push([Task(found.key, uri=found.uri)], loop.queue_of([found.key])) == {}
        assert loop.served() == [found.key]

    def test_our_own_tasks_are_not_looked_at(self, pictures: Hands, tmp_path: Path) -> None:
        """A push that was not marked as done: what the media root shows under a key may be another format of it."""
        loop = pictures.loop
        Image.new("CMYK", (4, 3)).save(tmp_path / "scan.tif")
        key = content_key((tmp_path / "scan.tif").read_bytes())
        loop.platform.push([Task(key, uri=str(tmp_path / "scan.tif"))], loop.queue_of([key]))
        found = loop.open().pull(None, pushed=[])
        assert (found.found, found.notices) == ((), ())
        assert not (loop.setting.home / "label-studio" / "found").exists()

    def test_what_passes_is_tried_again_and_told_once(self, pictures: Hands, web: Any) -> None:
        """The server of a picture was down; the next resync adopts it."""
        loop = pictures.loop
        web.pages["/late.png"] = (503, {}, b"")
        pictures.type({"image": f"{web.url}/late.png"}, {"image": f"{web.url}/gone.png"})
        first = loop.platform.pull(None, pushed=[])
        assert sorted("503" in notice for notice in first.notices) == [False, True]
        assert loop.platform.pull(None, pushed=[]).notices == ()
        web.pages["/late.png"] = web.pages["/gone.png"] = (200, {}, png())
        assert [one.uri for one in loop.platform.pull(None, pushed=[]).found] == [f"{web.url}/late.png"]


class TestLoop:
    def test_what_was_imported_with_its_answers_is_labeled_items_of_the_loop(
        self, label_studio: Any, tmp_path: Path
    ) -> None:
        """From a file of tasks to the labels that a loop learns from; a second look changes nothing."""
        (tmp_path / "token").write_text(label_studio.token)
        (tmp_path / "items.csv").write_text("text\nours\n")
        options = {"url": label_studio.url, "token_file": str(tmp_path / "token")}
        config = parse(
            {
                "name": f"t-{secrets.token_hex(6)}",
                "items": {"path": str(tmp_path / "items.csv")},
                "task": {"data": "text", "classes": ["cat", "dog"]},
                "platform": {"name": "label-studio", "options": options},
                "home": str(tmp_path / "home"),
            },
            name="loop.yaml",
            folder=tmp_path,
        )
        item = {"from_name": "label", "to_name": "item", "type": "choices", "value": {"choices": ["cat"]}}
        with opened(config) as loop:
            take_in(loop)
            prepare(loop)
            project = loop.platform.links()["project"].split("/")[4]
            tasks = [{"data": {"text": "theirs"}, "annotations": [{"result": [item]}]}, {"data": {"text": "bare"}}]
            label_studio.client.post(f"/api/projects/{project}/import", json=tasks).raise_for_status()
            assert collect(loop, resync=True) == 1
            for _ in range(2):
                labels = [(label.value, row.text) for label, row in loop.store.annotations.labels()]
                assert labels == [("cat", "theirs")]
                assert set(loop.store.items.contents(map(key_of, ("ours", "theirs", "bare")))) == {
                    key_of("ours"),
                    key_of("theirs"),
                    key_of("bare"),
                }
                assert collect(loop, resync=True) == 0


class TestFetching:
    @pytest.fixture
    def shelf(self, label_studio: Any, tmp_path: Path) -> Pictures:
        client = Client(label_studio.url, label_studio.token)
        return Pictures(client, [label_studio.url, "https://labels.example/ls"], tmp_path / "found")

    @pytest.mark.parametrize(
        ("value", "why"),
        [
            ("file:///etc/passwd", "scheme file:"),
            ("FILE:///etc/passwd", "scheme file:"),
            ("s3://bucket/a.png", "scheme s3:"),
            ("ftp://host/a.png", "scheme ftp:"),
            ("etc/passwd", "no scheme"),
            ("//host/a.png", "no scheme"),
            ("/etc/passwd", "serves no files"),
            ("/api/projects/", "serves no files"),
            ("/data/../api/projects/", "serves no files"),
            ("/data/%2e%2e/api/projects/", "serves no files"),
            ("https://labels.example/ls/api/users", "serves no files"),
            ("/data/upload/1/none.png", "answers"),
            ("/data/local-files/?d=none/none.png", "answers 404"),
            ("http://[", "cannot be read"),
            ("data:image/png;base64,////", "no picture"),
            ("data:nothing", "cannot be read"),
            ("http://127.0.0.1:1/a.png", "does not answer"),
            ("http://169.254.169.254/latest/meta-data", "an address where there are no pictures, which is not"),
            ("http://0.0.0.0/a.png", "not followed"),
            ("http://not a host/", "cannot be read|does not answer"),
            ("http:///a.png", "no host"),
            ("", "no single URL"),
            ("a\0b", "no single URL"),
            (["/data/upload/1/a.png"], "no single URL"),
            (None, "no single URL"),
        ],
    )
    def test_what_is_not_followed_is_a_reason(self, shelf: Pictures, value: Any, why: str) -> None:
        """No file of this machine, no other scheme, nothing but files of Label Studio; and nothing is kept."""
        with pytest.raises(Unadoptable, match=why):
            shelf.found(value)
        assert not shelf.folder.exists()

    @pytest.mark.parametrize(
        "target", ["file:///etc/passwd", "ftp://host/a.png", "http://", "http://169.254.169.254/", "/a.png"]
    )
    def test_redirects_lead_nowhere_else(self, shelf: Pictures, web: Any, target: str) -> None:
        """A server on the web must not make us read what is not on the web, nor keep us for ever."""
        web.pages["/a.png"] = (302, {"Location": target}, b"")
        with pytest.raises(Unadoptable):
            shelf.found(f"{web.url}/a.png")
        assert len(web.asked) <= 6

    def test_from_a_label_studio_elsewhere_nothing_of_this_machine_is_read(self, web: Any, tmp_path: Path) -> None:
        """Its annotators may not reach what this machine does."""
        web.pages["/a.png"] = (200, {}, png())
        with pytest.raises(Unadoptable, match="to this machine itself, which is not followed"):
            Pictures(Client("http://10.0.0.1:8080", "token"), [], tmp_path / "found").found(f"{web.url}/a.png")
        assert web.asked == []

    def test_redirects_on_the_web_are_followed_and_nobody_gets_the_token(self, shelf: Pictures, web: Any) -> None:
        """The item's address is the one that people gave."""
        web.pages |= {"/a.png": (302, {"Location": "/b.png"}, b""), "/b.png": (200, {}, png())}
        assert shelf.found(f"{web.url}/a.png") == Found(content_key(png()), uri=f"{web.url}/a.png")
        assert [path for path, _ in web.asked] == ["/a.png", "/b.png"]
        assert not any("Authorization" in headers for _, headers in web.asked)

    def test_what_is_too_large_is_read_no_further(self, shelf: Pictures, web: Any, monkeypatch: Any) -> None:
        """Whoever serves it: the web, the task itself, or Label Studio."""
        monkeypatch.setattr(contents, "LARGEST", 20)
        web.pages["/a.png"] = (200, {}, png())
        encoded = base64.b64encode(png()).decode()
        for url in (f"{web.url}/a.png", f"data:image/png;base64,{encoded}"):
            with pytest.raises(Unadoptable, match="larger than 20 bytes"):
                shelf.found(url)
        assert Client(web.url, "token").download("/a.png", 20, 5.0) == (200, None)

    @pytest.mark.parametrize("body", [b"", b"<html>log in</html>", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
    def test_what_is_no_picture_is_a_reason(self, shelf: Pictures, web: Any, body: bytes) -> None:
        """A login page, or a program that only calls itself one."""
        web.pages["/a.png"] = (200, {}, body)
        with pytest.raises(Unadoptable, match="no picture"):
            shelf.found(f"{web.url}/a.png")

    def test_a_server_that_is_silent_is_waited_for_once(self, shelf: Pictures, closed: str) -> None:
        """Two hundred of its pictures would take half an hour."""
        for _ in range(2):
            with pytest.raises(Unadoptable, match="does not answer") as caught:
                shelf.found(f"{closed}/a.png")
            assert caught.value.passing
        assert shelf._silent == {closed.removeprefix("http://")}

    @pytest.mark.parametrize("text", ["", " \t", "a\0b", "half \ud83d", 5, None, ["a"]])
    def test_texts_that_no_source_would_take(self, text: Any) -> None:
        """The same refusals as those of the loop's own source."""
        with pytest.raises(Unadoptable):
            Texts().found(text)


def task_of(text: str) -> Task:
    """The task of an item that is this text."""
    return Task(key_of(text), text=text)
