"""A person annotates in the browser beside two robots, while `alearn serve` trains and orders the queue anew."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from alearn import platform as door
from alearn.config import Config, load
from alearn.loop.undertaking import Undertaking, opened
from alearn.store.tables import PickRow
from alearn_connectors.label_studio.convert import moment

NAME, CLASSES = "browsed", ("even", "odd")
TASKS, AT_MOST = 8, 24
"""How many tasks the person does, and how many when what is to be seen does not come earlier."""


@pytest.fixture
def config(tmp_path: Path, label_studio: Any, digit_photos: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A loop that asks whether digits are even; half of what is asked is of the hold-out. Robots take their time."""
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", label_studio.token)
    options = {"url": label_studio.url, "media_root": str(label_studio.media_root), "robots_real_time": True}
    raw = {
        "name": NAME,
        "items": {"path": str(digit_photos(tmp_path / "photos", 120)), "truth": "folder"},
        "task": {"data": "image", "classes": list(CLASSES), "question": "Is this digit even or odd?"},
        "model": {"name": "pixels"},
        "query": {"batch": 8, "strategy": "margin"},
        "queue": {"low": 16},
        "holdout": {"size": 40, "share": 0.4, "rate": 0.5},
        "guard": {"share": 0},
        "robots": {"count": 2, "accuracy": 0.9, "seconds": 2.0},
        "platform": {
            "name": "label-studio",
            "poll": 3600,
            "options": {**options, "title": label_studio.new_title(NAME)},
        },
        "home": str(tmp_path / "home"),
    }
    path = tmp_path / f"{NAME}.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


@dataclass
class Queues:
    """What the store said of the queue: {version: {key: its pick}}, and which versions there were from when on: the one
    that was wanted, and the one that the platform was known to show.
    """

    orders: dict[str, dict[str, PickRow]] = field(default_factory=dict)
    changes: list[tuple[float, frozenset[str | None]]] = field(default_factory=list)

    def look(self, loop: Undertaking) -> None:
        before, picks, row = loop.store.loop(), loop.store.rounds.picks(open_only=True), loop.store.loop()
        current = frozenset({row.queue_wanted, row.queue_applied})
        if not self.changes or self.changes[-1][1] != current:
            self.changes.append((time.time(), current))
        if row.queue_wanted is not None and row.queue_wanted == before.queue_wanted:
            order = self.orders.setdefault(row.queue_wanted, {})
            for pick in picks:
                order.setdefault(pick.key, pick)

    def trained(self) -> bool:
        """Whether a queue was ordered by a model."""
        return any(map(is_trained, list(self.orders)))

    def pick(self, given: Any) -> PickRow:
        """A task that was given, as it stood in the queue that it was given from."""
        return self.orders[given.version][given.key]

    def shown(self, since: float, until: float) -> set[str | None]:
        """The versions that the platform may have shown in a span of time."""
        first = max((at for at, _ in self.changes if at <= since), default=since)
        return {version for at, some in self.changes if first <= at <= until for version in some}


def is_trained(version: str | None) -> bool:
    """Whether the queue with this version was ordered by a model."""
    return version is not None and not version.startswith("alearn-r0000-")


@contextmanager
def watched(config: Config) -> Iterator[Queues]:
    """Everything that the store says of the queue as long as the block lasts."""
    queues, ended = Queues(), threading.Event()

    def watch() -> None:
        with opened(config, create=False) as loop:
            while not ended.wait(0.03):
                queues.look(loop)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield queues
    finally:
        ended.set()
        watcher.join()


@dataclass(frozen=True)
class Done:
    """A task that the person did: how it was given, what was ticked then, and what they answered."""

    given: Any
    ticked: str | None
    answer: str


@dataclass(frozen=True)
class Said:
    """An annotation as Label Studio holds it; `at` in seconds since the epoch."""

    key: str
    who: int
    at: float


def said(server: Any, project: int) -> list[Said]:
    """Everybody's annotations, oldest first."""
    asked = {"project": project, "page_size": 500, "fields": "all"}
    tasks = server.client.get("/api/tasks", params=asked).raise_for_status().json()["tasks"]
    found = [
        Said(task["data"]["alearn_id"], _who(one["completed_by"]), moment(one["created_at"]).timestamp())
        for task in tasks
        for one in task["annotations"]
    ]
    return sorted(found, key=lambda one: one.at)


def _who(completed_by: Any) -> int:
    return int(completed_by["id"] if isinstance(completed_by, dict) else completed_by)


def in_hand(annotations: Sequence[Said], at: float) -> set[str]:
    """What everybody was answering at a moment: the first that they have said since."""
    found: dict[int, str] = {}
    for one in annotations:
        if one.at > at:
            found.setdefault(one.who, one.key)
    return set(found.values())


def passed_over(done: Done, queues: Queues, annotations: Sequence[Said]) -> list[str]:
    """What stood before a task in the queue, and that nobody had answered or was answering when it was given."""
    given = done.given
    assert given.version is not None, f"{given.key} was given by chance: the queue was empty"
    assert given.version in queues.shown(given.since, given.until), f"{given.key} was given from an old queue"
    order, place = queues.orders[given.version], queues.pick(given)
    before = {key for key, pick in order.items() if pick.score < place.score}
    answered = {one.key for one in annotations if one.at <= given.until}
    return sorted(before - answered - in_hand(annotations, given.until))


def is_shown(some: Sequence[Done], queues: Queues) -> bool:
    """Whether the person has seen all that this test is about: after a training, suggestions, one that is wrong to
    them, and an item of the hold-out.
    """
    since = [one for one in some if is_trained(one.given.version)]
    held = sum(queues.pick(one.given).purpose == "holdout" for one in since)
    differs = sum(one.ticked not in {None, one.answer} for one in since)
    return len(some) >= TASKS and held >= 1 and differs >= 1 and sum(one.ticked is not None for one in since) >= 2


def other(name: str) -> str:
    return CLASSES[1 - CLASSES.index(name)]


def do(person: Any, given: Any, number: int, shoot: Any) -> tuple[Done, Any]:
    """Look at a task, answer it, and get the next. Every second suggestion is contradicted."""
    natural, shown = person.see(given)
    assert natural == 16
    assert shown >= 400, "the picture is too small to be judged"
    assert all(person.sees_without_scrolling(name) for name in CLASSES)
    ticked = person.preselected(CLASSES)
    what = "suggested" if ticked else "plain"
    shoot(person.page, f"task-{number:02d}-{what}")
    answer = CLASSES[number % 2] if ticked is None else (ticked if number % 2 else other(ticked))
    person.pick(answer)
    if ticked not in {None, answer}:
        shoot(person.page, f"task-{number:02d}-contradicted")
    return Done(given, ticked, answer), person.submit()


def annotate(person: Any, project: int, queues: Queues, server: Any, shoot: Any) -> list[Done]:
    """The person's session, from *Label All Tasks* on: two tasks, a pause with the third one open until the robots'
    answers have led to a version, and the rest. Where the page finds no task they come back later.
    """
    some, given = list[Done](), person.label_all_tasks()
    while not is_shown(some, queues) and len(some) < AT_MOST:
        if given is None:
            shoot(person.page, f"nothing-left-{len(some):02d}")
            person.open_project(project)
            given = person.label_all_tasks()
            continue
        if len(some) == 2:
            server.wait_for(queues.trained, what="a version")
        done, given = do(person, given, len(some), shoot)
        some.append(done)
    return some


@pytest.mark.usefixtures("chromium")  # before Label Studio is started for nothing
@pytest.mark.timeout(300, func_only=True)
def test_a_person_in_the_browser(config: Path, person: Any, serving: Any, label_studio: Any, shoot: Any) -> None:
    """Who presses *Label All Tasks* sees the item that alearn ranks first among those that nobody else has in hand,
    with the newest version's suggestion ticked unless it is of the hold-out, and never one that they have answered.
    What they submit is what alearn holds.
    """
    loaded = load(config)
    with serving(config, NAME), opened(loaded, create=False) as loop, watched(loaded) as queues:
        project = int(re.findall(r"/projects/(\d+)", loop.platform.links()["project"])[0])
        with door.robots("label-studio", loop.setting, loaded.profile, 2):
            person.see_login()
            shoot(person.page, "login")
            person.log_in()
            person.open_project(project)
            shoot(person.page, "project")
            some = annotate(person, project, queues, label_studio, shoot)
            label_studio.wait_for(lambda: robots_went_on(said(label_studio, project), some[-1], person), what="robots")
        label_studio.wait_for(lambda: len(mine(loop, person)) >= len(some), what="the person's answers in the store")
        everything = said(label_studio, project)
        assert [passed_over(one, queues, everything) for one in some] == [[]] * len(some)
        assert is_shown(some, queues)
        assert [one.ticked for one in some] == [queues.pick(one.given).label for one in some]
        assert all(one.ticked is None for one in some if queues.pick(one.given).purpose == "holdout")
        assert len({one.given.key for one in some}) == len(some), "a question was asked twice"
        assert mine(loop, person) == {one.given.key: one.answer for one in some}


def robots_went_on(annotations: Sequence[Said], last: Done, person: Any) -> bool:
    """Whether both robots have said something since a task was given: so it is known what they had in hand then."""
    return len({one.who for one in annotations if one.at > last.given.until} - {person.number}) == 2


def mine(loop: Undertaking, person: Any) -> dict[str, str | None]:
    """The person's annotations in the store."""
    return {row.key: row.value for row in loop.store.annotations.all() if row.annotator == f"user-{person.number}"}
