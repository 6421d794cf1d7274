"""Several annotators: whom a loop believes, what it asks again, and the questions whose answers it knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alearn.config import Config
from alearn.loop.believing import EVERYBODY, resolver
from alearn.loop.controller import run
from alearn.loop.plan import Step
from alearn.loop.team import team_of
from alearn.loop.undertaking import Undertaking, opened
from alearn.store.tables import AnnotationRow

Make = Callable[..., Config]


@pytest.fixture
def team(config: Make, digit_photos: Any, tmp_path: Path) -> Callable[..., Config]:
    """A loop of 400 digits with four annotators, the last of whom answers by chance."""
    photos = digit_photos(tmp_path / "many", 400)

    def make(accuracy: tuple[float, ...] = (1.0, 0.95, 0.95, 0.5), **consensus: Any) -> Config:
        return config(
            items={"path": str(photos)},
            query={"batch": 20, "strategy": "random"},
            holdout={"size": 30},
            budget={"labels": 240},
            consensus=consensus,
            platform={"name": "simulated", "options": {"annotators": len(accuracy), "accuracy": list(accuracy)}},
        )

    return make


def answers(loop: Undertaking) -> dict[str, list[AnnotationRow]]:
    found: dict[str, list[AnnotationRow]] = {}
    for row in loop.store.annotations.all():
        found.setdefault(row.key, []).append(row)
    return found


def test_a_spammer_is_found_and_checked(team: Make) -> None:
    """Second opinions and test questions tell who answers by chance; they are flagged, told of once, weigh little, and
    what only they said is asked again. Nobody else is.
    """
    with opened(team(overlap=0.3, tests=0.1)) as loop:
        assert run(loop).step is Step.DONE
        standing = {row.name: row for row in loop.store.annotations.standings()}
        said = answers(loop)
        told = [row.text for row in loop.store.annotations.notices() if "is right in about" in row.text]
        shown = team_of(loop, hourly=36)
    assert [name for name, row in standing.items() if row.flagged] == ["annotator-4"]
    assert standing["annotator-4"].weight < 0.3 < min(standing[f"annotator-{one}"].weight for one in (1, 2, 3))
    assert len(told) == 1
    alone = sum({row.annotator for row in rows} == {"annotator-4"} for rows in said.values())
    assert alone <= 25, "only what was answered after the last look"
    assert shown["annotators"][0]["cost"] == pytest.approx(shown["annotators"][0]["hours"] * 36, abs=0.02)
    assert 0 < shown["alpha"] < 1


def test_opinions_are_of_different_people_and_bounded(team: Make) -> None:
    """Nobody answers an item twice, the share that the config says gets a second opinion, and three are enough."""
    with opened(team((0.9, 0.9, 0.9), overlap=0.5)) as loop:
        run(loop)
        said = answers(loop)
        look = loop.store.look()
    people = [[row.annotator for row in rows] for rows in said.values()]
    assert all(len(some) == len(set(some)) <= 3 for some in people)
    share = sum(len(some) > 1 for some in people) / len(people)
    assert 0.3 < share < 0.7
    assert look.labels == 240, "an item that is asked about again is paid for once"


def test_test_questions_are_put_to_everybody(team: Make) -> None:
    """They are items with a known answer outside the hold-out, and each annotator answers about the share asked for."""
    with opened(team((1.0, 1.0, 1.0, 1.0), tests=0.1)) as loop:
        run(loop)
        tests = {pick.key: pick for pick in loop.store.rounds.picks() if pick.purpose == "test"}
        said = answers(loop)
        held = {one.key for one in loop.store.items.candidates() if one.holdout}
        counts = Counter(row.annotator for rows in said.values() for row in rows)
        asked = {row.name: row.asked for row in loop.store.annotations.standings()}
    assert tests
    assert not held & tests.keys()
    assert all(pick.opinions == EVERYBODY for pick in tests.values())
    assert all(len(said[key]) == 4 for key in tests if key in said)
    assert all(0.03 < asked[name] / counts[name] < 0.25 for name in counts)


def test_suggestions_do_not_bias_second_opinions(team: Make) -> None:
    """Neither a test question nor an item that is asked again shows what the model believes."""
    with opened(team(overlap=0.5, tests=0.1)) as loop:
        run(loop)
        picks = loop.store.rounds.picks(open_only=True)
    asked_again = [pick for pick in picks if pick.opinions > 1]
    assert asked_again
    assert all(pick.label is None for pick in asked_again)


def test_without_a_policy_everything_is_asked_once(team: Make) -> None:
    """One annotation an item, and nobody is judged on nothing."""
    with opened(team()) as loop:
        run(loop)
        assert all(len(rows) == 1 for rows in answers(loop).values())
        assert not any(row.flagged for row in loop.store.annotations.standings())


@pytest.mark.parametrize("method", ["majority", "weighted", "dawid_skene"])
def test_labels_by_every_method(team: Make, method: str) -> None:
    """With a spammer among four who answer nearly everything, labels are right nearly always."""
    accuracy = (0.95, 0.95, 0.95, 0.5)
    with opened(team(accuracy, overlap=1.0, opinions=4, agreement=1.0, method=method)) as loop:
        run(loop)
        rows = loop.store.annotations.labels()
        right = sum(label.value == item.truth for label, item in rows) / len(rows)
    assert right > (0.88 if method == "majority" else 0.93)


def test_what_a_person_marks_is_the_label(team: Make) -> None:
    """A star decides, whoever else says otherwise, and later than it."""

    def said(by: str, value: str, at: str, *, trusted: bool = False) -> AnnotationRow:
        return AnnotationRow(loop_id=1, id=by, key="k", annotator=by, value=value, updated_at=at, trusted=trusted)

    with opened(team()) as loop:
        label = resolver(loop)(
            [
                said("a", "odd", "2026-01-02"),
                said("b", "odd", "2026-01-03"),
                said("c", "even", "2026-01-01", trusted=True),
            ]
        )
    assert label is not None
    assert (label.value, label.agreement, label.votes) == ("even", 1.0, 3)
