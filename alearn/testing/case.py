"""How a platform under test is driven: a person's hands, and what a loop remembers of the pulls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from alearn.core.keys import content_key
from alearn.platform import Annotation, Platform, Pull, Queue, QueueEntry, Setting, Task

CLASSES = ("cat", "dog", "bird")
AWKWARD_CLASSES = (
    "plain",
    "<b>&amp; less < more >",
    "quote \" and ' apostrophe",
    "comma, semicolon; colon:",
    "back\\slash / slash",
    "emoji 🐈🏽",
    "Größe é 漢字 עברית",
    "{curly} [square] $dollar %percent #hash",
    "true",
    "0",
)
AWKWARD_TEXTS = (
    "<script>alert(1)</script> & &amp; <Choices/>",
    "quotes \" ' ` and a back\\slash",
    "two\nlines and a\ttab",
    "emoji 🐈‍⬛, 漢字, עברית, combining é",
    "$text {curly} %s",
    "x" * 10_000,
)


def entries(keys: Sequence[str], label: str | None = None) -> Queue:
    """A queue that asks these keys in this order, all with the same suggestion."""
    places = [QueueEntry(key, at / max(len(keys), 1), label, 0.5 if label else None) for at, key in enumerate(keys)]
    return Queue(f"v-{content_key(repr(places).encode())[:16]}", tuple(places))


def texts(count: int, word: str = "text") -> list[Task]:
    """Text tasks with keys of their own."""
    return [Task(content_key(f"{word} {at}".encode()), text=f"{word} {at}") for at in range(count)]


class PlatformCase:
    """How a person acts on one platform; a connector's author writes these few methods.

    Whoever acts is named by `annotator`; the names on the platform may be others, as long as two are two. What the
    platform cannot do is left as it is here, and skips the tests that need it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, setting: Setting) -> Platform:
        """What the connector's `open` does, with whatever options it needs besides `setting.options`.

        Opened again with the same setting, it must find the same project.
        """
        raise NotImplementedError

    def tasks(self, setting: Setting) -> list[str]:
        """The key of every task the platform holds for this loop; one that is doubled appears twice."""
        raise NotImplementedError

    def annotate(self, setting: Setting, key: str, value: str, annotator: str = "ann") -> str:
        """Answer as a person does, whether or not they answered before; returns the id that `pull` will tell."""
        raise NotImplementedError

    def skip(self, setting: Setting, key: str, annotator: str = "ann") -> None:
        """Skip as a person does."""
        _cannot("skip")

    def edit(self, setting: Setting, annotation: Annotation, value: str) -> None:
        """Change an annotation that is there."""
        _cannot("edit")

    def delete_annotation(self, setting: Setting, annotation: Annotation) -> None:
        """Delete an annotation."""
        _cannot("delete annotations")

    def delete_task(self, setting: Setting, key: str) -> None:
        """Delete a task and all that was said of it."""
        _cannot("delete tasks")

    def annotate_outside(self, setting: Setting, key: str) -> None:
        """Answer with something that is none of the classes."""
        _cannot("answer outside the schema")

    def queue(self, setting: Setting) -> list[str]:
        """The keys of the open tasks in the order in which annotators are asked now."""
        _cannot("show its queue")

    def suggestions(self, setting: Setting) -> Mapping[str, str]:
        """What annotators see suggested now: {key: class}, without the tasks that have no suggestion."""
        _cannot("show suggestions")

    def content(self, setting: Setting, key: str) -> str:
        """The text that annotators read."""
        _cannot("show its texts")

    def unreachable(self, setting: Setting) -> Platform:
        """The platform as it is when it cannot be reached, or denies access."""
        _cannot("be made unreachable")

    def image(self, name: str) -> str:
        """The path of an image that the platform can show."""
        from PIL import Image

        path = self.folder / f"{name}.png"
        Image.new("RGB", (8, 8), f"#{content_key(name.encode())[:6]}").save(path)
        return str(path)


def _cannot(what: str) -> NoReturn:
    pytest.skip(f"this platform cannot {what}, or its case does not say how")


class Ledger:
    """What a loop knows from the pulls so far, as a loop keeps it: the newest state of each task."""

    def __init__(self) -> None:
        self.states: dict[str, tuple[Annotation, ...]] = {}
        self.cursor: str | None = None

    def pull(self, platform: Platform, pushed: Sequence[str] | None = None) -> Pull:
        """Pull and take in."""
        pulled = platform.pull(self.cursor, pushed=pushed)
        for state in pulled.states:
            assert all(one.key == state.key for one in state.annotations), "an annotation of another task"
            self.states[state.key] = state.annotations
        self.cursor = pulled.cursor
        return pulled

    def one(self, key: str) -> Annotation:
        """The only annotation of a task."""
        (found,) = self.states.get(key, ())
        return found

    def values(self, key: str) -> dict[str, str | None]:
        """{annotator: what they say}, where each has said one thing."""
        return {one.annotator: one.value for one in self.states.get(key, ())}


class Bench:
    """One loop on the platform under test: its setting, an open platform, and a person's hands."""

    def __init__(self, case: PlatformCase, setting: Setting) -> None:
        self.case, self.setting = case, setting
        self._opened: list[Platform] = []
        self.platform = self.open()
        self.reference = self.platform.prepare()
        self.ledger = Ledger()

    def open(self) -> Platform:
        """The platform, opened once more."""
        self._opened.append(self.case.open(self.setting))
        return self._opened[-1]

    def push(self, tasks: Sequence[Task], queue: Queue | None = None) -> list[str]:
        """Push the tasks, all of which must be taken; returns their keys."""
        keys = [task.key for task in tasks]
        assert dict(self.platform.push(tasks, entries(keys) if queue is None else queue)) == {}
        return keys

    def held(self) -> Counter[str]:
        """How often each task is on the platform."""
        return Counter(self.case.tasks(self.setting))

    def annotate(self, key: str, value: str, annotator: str = "ann") -> str:
        """Answer as a person."""
        return self.case.annotate(self.setting, key, value, annotator)

    def close(self) -> None:
        """Close all that was opened."""
        for platform in self._opened:
            platform.close()


BenchMaker = Callable[..., Bench]
"""Makes a prepared loop with a name of its own: new_bench(classes, data)."""
