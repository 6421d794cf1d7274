"""Automatic labels on a real Label Studio: nobody's question, and corrected by whoever looks at them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alearn.config import Config, parse
from alearn.errors import ConfigError, LeaseLost
from alearn.loop import suggesting
from alearn.loop.autolabel import Terms, give, offer
from alearn.loop.controller import holding, run
from alearn.loop.plan import Step
from alearn.loop.undertaking import Undertaking, opened

TERMS = Terms(0.8)


def made_config(folder: Path, home: Path, **sections: Any) -> Config:
    raw: dict[str, Any] = {
        "name": "parity",
        "items": {"path": str(folder / "photos"), "truth": "folder"},
        "task": {"data": "image", "classes": ["even", "odd"]},
        "model": {"name": "pixels"},
        "query": {"batch": 100, "strategy": "margin"},
        "queue": {"low": 0, "high": 5},
        "holdout": {"size": 80, "share": 0.4},
        "guard": {"share": 0},
        "budget": {"labels": 200},
        "platform": {"name": "simulated"},
        "home": str(home),
    }
    return parse({**raw, **sections}, name="parity.yaml", folder=home)


@pytest.fixture(scope="module")
def grown(digit_photos: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hundred digits, and the home of a loop that has spent its budget on them."""
    folder: Path = tmp_path_factory.mktemp("grown")
    digit_photos(folder / "photos", 300)
    (folder / "home").mkdir()
    with opened(made_config(folder, folder / "home")) as loop:
        assert run(loop).step is Step.DONE
        assert give(loop, offer(loop, TERMS)) > 20
    return folder


@pytest.fixture
def moved(grown: Path, tmp_path: Path, label_studio: Any, monkeypatch: pytest.MonkeyPatch) -> Config:
    """That loop with its automatic labels, moved to Label Studio, where it may ask about five items more."""
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", label_studio.token)
    shutil.copytree(grown / "home", tmp_path / "home")
    options = {"url": label_studio.url, "media_root": str(label_studio.media_root), "title": label_studio.new_title()}
    platform = {"name": "label-studio", "options": options}
    return made_config(grown, tmp_path / "home", platform=platform, budget={"labels": 205})


@pytest.fixture
def loop(moved: Config) -> Iterator[Undertaking]:
    """That loop, opened; five items are open."""
    with opened(moved) as opened_:
        assert run(opened_, once=True).step is Step.WAIT
        yield opened_


def shown(loop: Undertaking, limit: int | None = None) -> suggesting.Shown:
    with holding(loop):
        suggesting.look(loop)
        return suggesting.show(loop, limit=limit)


def tasks(loop: Undertaking, server: Any) -> dict[str, Any]:
    """{key: task} of the loop's project."""
    project = loop.platform.links()["project"].split("/")[4]
    asked = {"project": project, "page_size": 500, "fields": "all"}
    found = server.client.get("/api/tasks", params=asked).raise_for_status().json()["tasks"]
    assert len({task["data"]["alearn_id"] for task in found}) == len(found), "a task is doubled"
    return {task["data"]["alearn_id"]: task for task in found}


def answer(server: Any, task: Any, name: str) -> None:
    item = {"from_name": "label", "to_name": "item", "type": "choices", "value": {"choices": [name]}}
    server.client.post(f"/api/tasks/{task['id']}/annotations/", json={"result": [item]}).raise_for_status()


def given(loop: Undertaking) -> dict[str, str]:
    return {row.key: row.label for row, _ in loop.store.automatic.labels()}


def picked(loop: Undertaking) -> set[str]:
    return {pick.key for pick in loop.store.rounds.picks(open_only=True)}


def test_the_loop_does_not_see_what_is_shown(loop: Undertaking, label_studio: Any) -> None:
    """Its picks, its queue and its next step stay; none of the hold-out is shown, and none that people have."""
    before, open_before = loop.snapshot(), picked(loop)
    first = shown(loop)
    there = tasks(loop, label_studio)
    held = {one.key for one in loop.store.items.candidates() if one.holdout}
    free = given(loop).keys() - held - {pick.key for pick in loop.store.rounds.picks()}
    assert (first.proposed.there, first.proposed.new) == (len(free), len(free))
    assert first.held_out == len(given(loop).keys() & held) > 0
    assert there.keys() == free | open_before
    assert run(loop, once=True).step is Step.WAIT
    assert (loop.snapshot(), picked(loop)) == (before, open_before)
    again = shown(loop)
    assert (again.proposed.there, again.proposed.new, again.proposed.removed) == (len(free), 0, 0)


def test_a_person_corrects_one_and_the_next_round_learns_of_it(
    loop: Undertaking, moved: Config, label_studio: Any
) -> None:
    """The automatic label gives way, the pick is one that was found, and the queue goes on before what is shown."""
    asked = {pick.key for pick in loop.store.rounds.picks()}
    rows = [(row.confidence, row.key) for row, item in loop.store.automatic.labels() if not item.holdout]
    surest_last = [key for _, key in sorted(rows) if key not in asked]
    least = surest_last[0]
    assert shown(loop, limit=3).later == len(surest_last) - 3
    there = tasks(loop, label_studio)
    assert there.keys() == {*surest_last[:3], *picked(loop)}
    answer(label_studio, there[least], "odd" if given(loop)[least] == "even" else "even")
    for key in picked(loop):
        answer(label_studio, there[key], "even")
    more = moved.model_copy(update={"budget": moved.budget.model_copy(update={"labels": 215})})
    with opened(more) as onward:
        assert run(onward, once=True).step is Step.WAIT
        assert least not in given(onward)
        assert least in onward.store.annotations.training(holdout=False).keys
        (pick,) = (one for one in onward.store.rounds.picks() if one.key == least)
        assert (pick.strategy, pick.closed) == ("found", "labeled")
        assert onward.snapshot().open == len(picked(onward)) > 0
        project = onward.platform.links()["project"].split("/")[4]
        task = label_studio.client.get(f"/api/projects/{project}/next").raise_for_status().json()
        assert task["data"]["alearn_id"] in picked(onward)
        with holding(onward):
            suggesting.look(onward)
            assert suggesting.hide(onward).removed + len(picked(onward) & there.keys()) >= 2
        left = tasks(onward, label_studio)
        assert left.keys() == {one.key for one in onward.store.rounds.picks() if one.pushed}
        assert least in left


def test_a_controller_and_this_do_not_push_at_once(moved: Config) -> None:
    """Whoever comes second is told who is at work."""
    with opened(moved) as loop, holding(loop), opened(moved) as other, pytest.raises(LeaseLost, match="one controller"):
        shown(other)


def test_a_platform_that_cannot_says_so(grown: Path, tmp_path: Path) -> None:
    """With what to do instead."""
    shutil.copytree(grown / "home", tmp_path / "home")
    with opened(made_config(grown, tmp_path / "home")) as loop, pytest.raises(ConfigError, match="label-studio"):
        suggesting.show(loop)
