"""A person annotates in the browser beside two robots, while `alearn serve` trains and orders the queue anew."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
        "robots": {"count": 2, "accuracy": 0.9, "seconds": 3.0},
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


Orders = Mapping[str, Mapping[str, PickRow]]
"""{queue version: {key: its pick}}, as the store had them while that version was wanted."""


@contextmanager
def watched(config: Config) -> Iterator[Orders]:
    """Everything that the store says of the queue as long as the block lasts."""
    orders: dict[str, dict[str, PickRow]] = {}
    ended = threading.Event()

    def watch() -> None:
        with opened(config, create=False) as loop:
            while not ended.wait(0.03):
                _note(loop, orders)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield orders
    finally:
        ended.set()
        watcher.join()


def _note(loop: Undertaking, orders: dict[str, dict[str, PickRow]]) -> None:
    version = loop.store.loop().queue_wanted
    picks = loop.store.rounds.picks(open_only=True)
    if version is not None and version == loop.store.loop().queue_wanted:
        known = orders.setdefault(version, {})
        for pick in picks:
            known.setdefault(pick.key, pick)


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


def passed_over(done: Done, orders: Orders, annotations: Sequence[Said]) -> list[str]:
    """What stood before a task in the queue, and that nobody had answered or was answering when it was given."""
    given = done.given
    assert given.version is not None, f"{given.key} was given by chance: it stood in no queue"
    order = orders[given.version]
    before = {key for key, pick in order.items() if pick.score < order[given.key].score}
    answered = {one.key for one in annotations if one.at <= given.at}
    return sorted(before - answered - in_hand(annotations, given.at))


def suggested(done: Done, orders: Orders) -> str | None:
    """What the store suggested for a task in the queue that it was given from."""
    return orders[done.given.version][done.given.key].label


def purpose(done: Done, orders: Orders) -> str:
    """Why the task was asked."""
    return orders[done.given.version][done.given.key].purpose


def after_training(done: Done) -> bool:
    """Whether there was a version when the queue was ordered."""
    return not str(done.given.version).startswith("alearn-r0000-")


def is_shown(some: Sequence[Done], orders: Orders) -> bool:
    """Whether the person has seen all that this test is about."""
    since = [one for one in some if after_training(one)]
    held = sum(purpose(one, orders) == "holdout" for one in since)
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


def annotate(person: Any, project: int, orders: Orders, shoot: Any) -> list[Done]:
    """The person's session, from *Label All Tasks* on. Where the page finds no task they come back later."""
    some, given = list[Done](), person.label_all_tasks()
    while not is_shown(some, orders) and len(some) < AT_MOST:
        if given is None:
            shoot(person.page, f"nothing-left-{len(some):02d}")
            person.open_project(project)
            given = person.label_all_tasks()
            continue
        done, given = do(person, given, len(some), shoot)
        some.append(done)
    return some


@pytest.mark.timeout(300, func_only=True)
def test_a_person_in_the_browser(config: Path, person: Any, serving: Any, label_studio: Any, shoot: Any) -> None:
    """Who presses *Label All Tasks* sees the item that alearn ranks first among those that nobody else has in hand,
    with the newest version's suggestion ticked unless it is of the hold-out, and never one that they have answered.
    What they submit is what alearn holds.
    """
    loaded = load(config)
    with serving(config, NAME), opened(loaded, create=False) as loop, watched(loaded) as orders:
        project = int(re.findall(r"/projects/(\d+)", loop.platform.links()["project"])[0])
        with door.robots("label-studio", loop.setting, loaded.profile, 2):
            person.see_login()
            shoot(person.page, "login")
            person.log_in()
            person.open_project(project)
            shoot(person.page, "project")
            some = annotate(person, project, orders, shoot)
            label_studio.wait_for(lambda: robots_went_on(said(label_studio, project), some[-1], person), what="robots")
        everything = said(label_studio, project)
        label_studio.wait_for(lambda: len(mine(loop, person)) >= len(some), what="the person's answers in the store")
        assert is_shown(some, orders)
        assert [passed_over(one, orders, everything) for one in some] == [[]] * len(some)
        assert [one.ticked for one in some] == [suggested(one, orders) for one in some]
        assert all(one.ticked is None for one in some if purpose(one, orders) == "holdout")
        assert len({one.given.key for one in some}) == len(some), "a question was asked twice"
        assert mine(loop, person) == {one.given.key: one.answer for one in some}


def robots_went_on(annotations: Sequence[Said], last: Done, person: Any) -> bool:
    """Whether both robots have said something since a task was given: so it is known what they had in hand then."""
    return len({one.who for one in annotations if one.at > last.given.at} - {person.number}) == 2


def mine(loop: Undertaking, person: Any) -> dict[str, str | None]:
    """The person's annotations in the store."""
    return {row.key: row.value for row in loop.store.annotations.all() if row.annotator == f"user-{person.number}"}
