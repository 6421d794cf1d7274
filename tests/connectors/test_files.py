"""A folder as a platform: the rules of the door, and what people and scripts do to files."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alearn.core.schema import LabelSchema
from alearn.errors import ConfigError, Refused, Unavailable
from alearn.platform import Annotation, Platform, Setting, Task, connect
from alearn.testing import Ledger, PlatformCase, PlatformConformance, entries, texts
from alearn_connectors import files
from alearn_connectors.files.journal import Journal, Line, Position, parse

SCHEMA = LabelSchema(("cat", "dog", "3"))


class FolderCase(PlatformCase):
    """What people do: they append lines."""

    def open(self, setting: Setting) -> Platform:
        return connect("files", setting)

    def _read(self, setting: Setting, name: str) -> list[dict[str, Any]]:
        path = setting.home / "files" / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def _say(self, setting: Setting, **said: object) -> None:
        with (setting.home / "files" / "annotations.jsonl").open("a") as file:
            file.write(json.dumps(said) + "\n")

    def tasks(self, setting: Setting) -> list[str]:
        return [task["key"] for task in self._read(setting, "pushed.jsonl")]

    def annotate(self, setting: Setting, key: str, value: str, annotator: str = "ann") -> str:
        self._say(setting, key=key, value=value, annotator=annotator, lead_time=2.5)
        return f"{annotator}@{key}"

    def skip(self, setting: Setting, key: str, annotator: str = "ann") -> None:
        self._say(setting, key=key, skipped=True, annotator=annotator)

    def edit(self, setting: Setting, annotation: Annotation, value: str) -> None:
        self._say(setting, id=annotation.id, value=value)

    def delete_annotation(self, setting: Setting, annotation: Annotation) -> None:
        self._say(setting, id=annotation.id, deleted=True)

    def delete_task(self, setting: Setting, key: str) -> None:
        path = setting.home / "files" / "pushed.jsonl"
        path.write_text("".join(line + "\n" for line in path.read_text().splitlines() if key not in line))

    def annotate_outside(self, setting: Setting, key: str) -> None:
        self._say(setting, key=key, value="no such class", annotator="ann")

    def queue(self, setting: Setting) -> list[str]:
        return [place["key"] for place in self._read(setting, "tasks.jsonl")]

    def suggestions(self, setting: Setting) -> Mapping[str, str]:
        queue = self._read(setting, "tasks.jsonl")
        return {place["key"]: place["suggestion"] for place in queue if "suggestion" in place}

    def content(self, setting: Setting, key: str) -> str:
        return next(task["text"] for task in self._read(setting, "pushed.jsonl") if task["key"] == key)

    def unreachable(self, setting: Setting) -> Platform:
        """A file stands where the folder should be."""
        (self.folder / "blocked").write_text("")
        return connect("files", dataclasses.replace(setting, options={"folder": str(self.folder / "blocked" / "x")}))


class TestFilesConformance(PlatformConformance):
    """The rules of the door."""

    @pytest.fixture
    def platform_case(self, tmp_path: Path) -> PlatformCase:
        return FolderCase(tmp_path)


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting("cells", SCHEMA, "text", tmp_path)


@pytest.fixture
def folder(setting: Setting) -> Path:
    """A prepared folder with the tasks a, b and c."""
    platform = files.open(setting)
    platform.prepare()
    platform.push([Task(key, text=f"text {key}") for key in "abc"], entries(list("abc")))
    return setting.home / "files"


@pytest.fixture
def write(folder: Path) -> Callable[..., None]:
    """Append lines to annotations.jsonl as they are given: mappings as JSON, bytes as they are."""

    def make(*lines: Mapping[str, object] | bytes) -> None:
        with (folder / "annotations.jsonl").open("ab") as file:
            for line in lines:
                file.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")

    return make


Write = Callable[..., None]


def test_the_queue_file_is_what_is_to_be_answered_in_order(setting: Setting, folder: Path) -> None:
    """Rank, content, score and suggestion; what has left the queue is not in it, and its content is not forgotten."""
    platform = files.open(setting)
    queue = entries(["c", "a"], label="dog")
    platform.push([], queue)
    places = [json.loads(line) for line in (folder / "tasks.jsonl").read_text().splitlines()]
    suggested = {"suggestion": "dog", "confidence": 0.5}
    assert places == [
        {"rank": 0, "key": "c", "text": "text c", "score": 0.0, **suggested},
        {"rank": 1, "key": "a", "text": "text a", "score": 0.5, **suggested},
    ]
    files.open(setting).push([], entries(["b"]))
    assert json.loads((folder / "tasks.jsonl").read_text())["text"] == "text b"


def test_images_are_named_by_their_path(setting: Setting, folder: Path) -> None:
    """`uri` instead of `text`."""
    files.open(setting).push([Task("d", uri="/cells/d.png")], entries(["d"]))
    assert json.loads((folder / "tasks.jsonl").read_text())["uri"] == "/cells/d.png"


def test_whoever_opens_the_folder_is_told_how_to_answer(setting: Setting) -> None:
    """The classes and the question are in HOW-TO.txt."""
    asked = dataclasses.replace(setting, options={"question": "Which animal is it?"})
    reference = files.open(asked).prepare()
    words = (Path(reference) / "HOW-TO.txt").read_text()
    assert "Which animal is it?" in words
    assert '"cat", "dog", "3"' in words


def test_the_folder_can_be_elsewhere(setting: Setting, tmp_path: Path) -> None:
    """Relative to the loop's home, or absolute."""
    for place in ("other", str(tmp_path / "far" / "away")):
        reference = files.open(dataclasses.replace(setting, options={"folder": place})).prepare()
        assert reference == str(tmp_path / place)
        assert Path(reference, "annotations.jsonl").exists()


@pytest.mark.parametrize("options", [{"foldr": "x"}, {"folder": 3}, {"folder": ""}])
def test_wrong_options_are_named(setting: Setting, options: dict[str, object]) -> None:
    """In one sentence that says what may stand there."""
    with pytest.raises(ConfigError, match=r"platform\.options"):
        files.open(dataclasses.replace(setting, options=options))


def test_bad_lines_are_noticed_with_their_number_and_stop_nothing(setting: Setting, write: Write) -> None:
    """Once each; good lines beside them count."""
    write({"key": "a", "value": "cat"}, b"{oops\n", b"\n", b"[1]\n", b'{"key": "b\xff"}\n', {"value": "cat"})
    write({"key": "z", "value": "dog"}, {"id": "unknown", "deleted": True}, {"key": "b", "value": "dog"})
    ledger, platform = Ledger(), files.open(setting)
    notices = ledger.pull(platform).notices
    assert (ledger.one("a").value, ledger.one("b").value) == ("cat", "dog")
    assert "z" not in ledger.states
    numbers = [int(notice.split("line ")[1].split()[0].rstrip(".")) for notice in notices]
    assert sorted(numbers) == [2, 4, 5, 6, 7, 8]
    assert ledger.pull(platform).notices == ()
    assert ledger.pull(files.open(setting)).notices == ()


def test_many_bad_lines_are_a_few_notices(setting: Setting, write: Write) -> None:
    """Ten, and how many more there are."""
    write(*[b"oops\n"] * 500)
    notices = files.open(setting).pull(None).notices
    assert len(notices) == 11
    assert "490 more" in notices[-1]


def test_a_line_is_taken_when_it_is_whole(setting: Setting, write: Write) -> None:
    """A half-written line is left for later and is no notice; a whole one counts without a line end, too."""
    ledger, platform = Ledger(), files.open(setting)
    write(b'{"key": "a", "val')
    assert ledger.pull(platform).notices == ()
    write(b'ue": "cat"}')
    ledger.pull(platform)
    assert ledger.one("a").value == "cat"
    write(b'{"key": "b", "value": "dog"}\r\n{"key": "c", "value": "cat"}\n')
    ledger.pull(platform)
    assert [ledger.one(key).value for key in "abc"] == ["cat", "dog", "cat"]
    again = Ledger()
    again.pull(files.open(setting))
    assert again.states == ledger.states


def test_the_same_line_twice_is_one_annotation(setting: Setting, write: Write) -> None:
    """A script that was started again repeats itself."""
    write(*[{"key": "a", "value": "cat", "annotator": "ann", "id": 7}] * 3)
    ledger = Ledger()
    ledger.pull(files.open(setting))
    assert ledger.one("a").id == "7"


def test_a_later_line_replaces_by_id_or_by_annotator_and_key(setting: Setting, write: Write) -> None:
    """An edit; also one that moves an annotation to another task."""
    write({"key": "a", "value": "cat", "id": "x"}, {"id": "x", "value": "dog"})
    write({"key": "b", "value": "cat", "annotator": "bob"}, {"key": "b", "value": "dog", "annotator": "bob"})
    ledger, platform = Ledger(), files.open(setting)
    ledger.pull(platform)
    assert (ledger.one("a").value, ledger.one("b").value) == ("dog", "dog")
    write({"id": "x", "key": "c", "value": "cat"})
    ledger.pull(platform)
    assert ledger.states["a"] == ()
    write({"key": "c", "value": "dog"})
    ledger.pull(platform)
    assert (ledger.one("c").id, ledger.one("c").value) == ("x", "dog")


def test_an_annotation_can_be_taken_back_without_an_id(setting: Setting, write: Write) -> None:
    """By its key and annotator; taking back what is not there is nothing."""
    write({"key": "a", "value": "cat", "annotator": "ann"}, {"key": "a", "value": "dog", "annotator": "bob"})
    write({"key": "a", "annotator": "ann", "deleted": True}, {"key": "b", "annotator": "ann", "deleted": True})
    ledger = Ledger()
    ledger.pull(files.open(setting))
    assert ledger.one("a").annotator == "bob"
    assert not ledger.states.get("b")


@pytest.mark.parametrize(
    ("said", "value", "refused"),
    [
        ({"value": 3}, "3", False),
        ({"value": " cat "}, "cat", False),
        ({"value": "Cat"}, None, True),
        ({"value": ["cat"]}, None, True),
        ({"value": {"choice": "\ud800"}}, None, True),
        ({"value": None}, None, False),
        ({"value": ""}, None, False),
        ({}, None, False),
    ],
)
def test_values_are_classes_or_refused(setting: Setting, write: Write, said: dict, value: str, refused: bool) -> None:
    """Nothing is guessed but what JSON's types hide."""
    write({"key": "a", **said})
    ledger = Ledger()
    ledger.pull(files.open(setting))
    found = ledger.one("a")
    assert (found.value, found.refused is not None, found.skipped, found.annotator) == (
        value,
        refused,
        False,
        "anonymous",
    )
    assert found.refused is None or found.refused.encode()


@pytest.mark.parametrize(
    ("said", "seconds", "moment"),
    [
        ({"lead_time": 2, "updated_at": "2026-01-02T03:04:05+02:00"}, 2.0, "2026-01-02T01:04:05+00:00"),
        ({"lead_time": "2", "updated_at": "2026-01-02T03:04:05Z"}, None, "2026-01-02T03:04:05+00:00"),
        ({"lead_time": -1, "updated_at": "yesterday"}, None, ""),
        ({"lead_time": float("nan"), "updated_at": 5}, None, ""),
    ],
)
def test_times_are_taken_when_they_are_ones(
    setting: Setting, write: Write, said: dict, seconds: float | None, moment: str
) -> None:
    """In UTC; anything else is as if it were not there."""
    write({"key": "a", "value": "cat", **said})
    ledger = Ledger()
    ledger.pull(files.open(setting))
    assert (ledger.one("a").lead_time, ledger.one("a").updated_at) == (seconds, moment)


@pytest.mark.parametrize("reopen", [False, True])
@pytest.mark.parametrize("how", ["cut", "edited in place", "replaced by a longer one", "emptied", "removed"])
def test_a_file_that_was_changed_is_read_anew(
    setting: Setting, folder: Path, write: Write, how: str, reopen: bool
) -> None:
    """By an editor, a restored backup or a fresh start: what is no longer there is no longer held."""
    write({"key": "a", "value": "cat"}, {"key": "b", "value": "cat"})
    ledger, platform = Ledger(), files.open(setting)
    ledger.pull(platform)
    path = folder / "annotations.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    new = {
        "cut": lines[:1],
        "edited in place": [lines[0].replace(b"cat", b"dog"), lines[1]],
        "replaced by a longer one": [lines[1], lines[1], lines[1]],
        "emptied": [],
        "removed": [],
    }[how]
    path.write_bytes(b"".join(new))
    if how == "removed":
        path.unlink()
    ledger.pull(files.open(setting) if reopen else platform)
    held = {key: [one.value for one in said] for key, said in ledger.states.items() if said}
    assert (
        held
        == {
            "cut": {"a": ["cat"]},
            "edited in place": {"a": ["dog"], "b": ["cat"]},
            "replaced by a longer one": {"b": ["cat"]},
            "emptied": {},
            "removed": {},
        }[how]
    )
    write({"key": "c", "value": "dog"})
    ledger.pull(platform)
    assert ledger.one("c").value == "dog"


def test_an_answer_given_before_its_task_counts_when_the_task_comes(setting: Setting, write: Write) -> None:
    """A script may have answered the whole pool at once."""
    write({"key": "later", "value": "dog"})
    ledger, platform = Ledger(), files.open(setting)
    assert "later" in ledger.pull(platform).notices[0]
    platform.push([Task("later", text="x")], entries(["later"]))
    ledger.pull(platform)
    assert ledger.one("later").value == "dog"


def test_an_unchanged_file_is_not_read(setting: Setting, folder: Path, write: Write) -> None:
    """A pull without news costs a stat: 200 of them over 50,000 lines take less than a reading."""
    write(*[{"key": "a", "value": "cat", "annotator": f"ann {number}"} for number in range(50_000)])
    ledger, platform = Ledger(), files.open(setting)
    started = time.perf_counter()
    ledger.pull(platform)
    first = time.perf_counter() - started
    started = time.perf_counter()
    for _ in range(200):
        assert ledger.pull(platform).states == ()
    assert time.perf_counter() - started < first


def test_a_strange_cursor_is_as_good_as_none(setting: Setting, write: Write) -> None:
    """One of another platform, or of another version."""
    write({"key": "a", "value": "cat"})
    platform = files.open(setting)
    for cursor in ("", "1:2", "x:y:z:w", "999:abc:999:abc", "²:a:²:b"):
        assert platform.pull(cursor).states == platform.pull(None).states


def test_a_lost_folder_is_unavailable(setting: Setting, folder: Path) -> None:
    """A drive that is not mounted is not a project without annotations."""
    folder.rename(folder.with_name("away"))
    platform = files.open(setting)
    for call in (lambda: platform.pull(None), lambda: platform.push(texts(1), entries([]))):
        with pytest.raises(Unavailable, match="Mount its drive"):
            call()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(setting: Setting, folder: Path) -> None:
    """The file is named."""
    (folder / "annotations.jsonl").chmod(0)
    with pytest.raises(Refused, match=r"annotations\.jsonl"):
        files.open(setting).pull(None)


def test_check_tells_of_lines_that_cannot_be_used(setting: Setting, write: Write) -> None:
    """With the first of them."""
    write(b"oops\n")
    (_, lines) = files.open(setting).check()
    assert not lines.ok
    assert "line 1" in lines.advice


PUSHER = """
    import sys
    from pathlib import Path
    from alearn.core.schema import LabelSchema
    from alearn.platform import Setting
    from alearn.testing import entries, texts
    from alearn_connectors import files

    platform = files.open(Setting("cells", LabelSchema(("cat", "dog")), "text", Path(sys.argv[1])))
    platform.prepare()
    print("ready", flush=True)
    for count in range(100, 20_000, 100):
        tasks = texts(count)
        platform.push(tasks[-100:], entries([task.key for task in tasks]))
"""


@pytest.mark.parametrize("moment", [0.02, 0.05, 0.1, 0.2])
def test_a_push_that_is_killed_is_simply_done_again(setting: Setting, moment: float) -> None:
    """SIGKILL in the middle: the queue is whole, no task is lost or doubled after pushing again."""
    command = [sys.executable, "-c", textwrap.dedent(PUSHER), str(setting.home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(moment)
        child.send_signal(signal.SIGKILL)
    folder = setting.home / "files"
    if (folder / "tasks.jsonl").exists():
        assert all(json.loads(line)["key"] for line in (folder / "tasks.jsonl").read_text().splitlines())
    before = (folder / "pushed.jsonl").read_bytes() if (folder / "pushed.jsonl").exists() else b""
    tasks = texts(before.count(b"\n") + 50)
    keys = [task.key for task in tasks]
    platform = files.open(setting)
    platform.push(tasks, entries(keys))
    assert platform.pull(None, pushed=keys).missing == frozenset()
    assert [json.loads(line)["key"] for line in (folder / "tasks.jsonl").read_text().splitlines()] == keys
    assert files.open(setting).pull(None, pushed=keys).missing == frozenset()


def test_a_torn_line_of_a_push_is_repaired_by_the_next(setting: Setting, folder: Path) -> None:
    """As a power cut leaves it: half a line at the end of pushed.jsonl."""
    with (folder / "pushed.jsonl").open("ab") as file:
        file.write(b'{"key": "d", "text": "te')
    platform = files.open(setting)
    assert platform.pull(None, pushed=["d"]).missing == {"d"}
    platform.push([Task("d", text="text d"), Task("e", text="text e")], entries(list("abcde")))
    assert platform.pull(None, pushed=list("abcde")).missing == frozenset()
    assert [json.loads(line)["key"] for line in (folder / "tasks.jsonl").read_text().splitlines()] == list("abcde")


# --- line parsing, whatever comes -------------------------------------------------------------------------------------

VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.lists(st.text(max_size=2))
KEYS = st.sampled_from(["a", "b", "stranger"])
SAID = st.fixed_dictionaries(
    {},
    optional={
        "key": KEYS | VALUES, "value": st.sampled_from(["cat", "dog"]) | VALUES, "annotator": KEYS | VALUES,
        "id": KEYS | VALUES, "deleted": VALUES, "skipped": VALUES, "lead_time": VALUES, "updated_at": VALUES,
    },
)  # fmt: skip
RAW = st.binary(max_size=30).map(lambda raw: raw + b"\n") | SAID.map(lambda said: json.dumps(said).encode() + b"\n")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | SAID.map(lambda said: json.dumps(said).encode()))
def test_a_line_is_objects_or_a_fault(raw: bytes) -> None:
    """Never both, never an exception; a fault can be stored and shown."""
    objects, fault = parse(raw)
    assert not (objects and fault)
    fault.encode()


@settings(max_examples=100, deadline=None)
@given(st.lists(RAW, max_size=8), st.data())
def test_reading_in_pieces_is_reading_at_once(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], data: st.DataObject
) -> None:
    """However the file grows between two looks, the annotations and their ids are the same in the end."""
    home = tmp_path_factory.mktemp("home")
    setting = Setting("cells", SCHEMA, "text", home)
    platform, ledger = files.open(setting), Ledger()
    platform.prepare()
    platform.push([Task(key, text=key) for key in "ab"], entries(["a", "b"]))
    whole = b"".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        with (home / "files" / "annotations.jsonl").open("ab") as file:
            file.write(whole[start:end])
        ledger.pull(files.open(setting) if data.draw(st.booleans()) else platform)
    at_once = Ledger()
    at_once.pull(files.open(setting))
    assert {key: set(said) for key, said in ledger.states.items() if said} == {
        key: set(said) for key, said in at_once.states.items() if said
    }
    for said in at_once.states.values():
        assert len({one.annotator for one in said}) == len({one.id for one in said}) == len(said)
        assert all(repr(one).encode() and (one.value in {*SCHEMA.classes, None}) for one in said)


def test_a_position_names_what_was_read(tmp_path: Path) -> None:
    """An earlier position holds while the file only grows, and no longer when it was changed below it."""
    path, taken = tmp_path / "x.jsonl", []
    journal = Journal(path, taken.append, taken.clear)
    journal.refresh()
    assert journal.position == Position()
    path.write_bytes(b'{"a": 1}\n')
    journal.refresh()
    first = journal.position
    path.write_bytes(b'{"a": 1}\n{"a": 2}\n')
    journal.refresh()
    assert taken == [Line(1, 9, ({"a": 1},)), Line(2, 18, ({"a": 2},))]
    other = Journal(path, lambda _: None, lambda: None)
    other.refresh()
    assert journal.holds(first)
    assert other.holds(first)
    path.write_bytes(b'{"a": 3}\n{"a": 2}\n{"a": 4}\n')
    journal.refresh()
    assert not journal.holds(first)
    assert [line.number for line in taken] == [1, 2, 3]
