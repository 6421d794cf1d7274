"""Stopping: the error is spent over all looks, the hold-out grows, and rules besides the target."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from alearn.config import Config
from alearn.loop.controller import Outcome, run
from alearn.loop.forecasting import holdout_full, in_words, outlook
from alearn.loop.plan import Step
from alearn.loop.status import status_of
from alearn.loop.undertaking import opened
from alearn.store.tables import MetricRow, RoundRow

Make = Callable[..., Config]


def finished(config: Config) -> Outcome:
    with opened(config) as loop:
        return run(loop)


def history(config: Config) -> list[tuple[RoundRow, dict[str, MetricRow]]]:
    with opened(config) as loop:
        return loop.store.rounds.history()


@pytest.fixture(scope="module")
def many(digit_photos: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Four hundred digits, by parity."""
    return digit_photos(tmp_path_factory.mktemp("many"), 400)


def looking(config: Make, many: Any, **sections: Any) -> Config:
    base: dict[str, Any] = {
        "items": {"path": str(many)},
        "holdout": {"size": 40, "share": 0.4, "most": 40},
        "budget": {"labels": 150},
        "target": {"metric": "accuracy", "value": 0.99},
    }
    return config(**{name: {**base.get(name, {}), **sections.get(name, {})} for name in {*base, *sections}})


def test_every_look_spends_of_one_error(config: Make, many: Any) -> None:
    """Bounds are wider than those of a single look, less so the more a version agrees with the one before."""
    looked = looking(config, many)
    finished(looked)
    rounds = history(looked)
    looks = [json.loads(row.look) for row, _ in rounds if row.look]
    assert len(looks) >= 5
    assert [one["number"] for one in looks] == list(range(1, len(looks) + 1))
    assert looks[0]["overlap"] == 0
    assert all(0 < one["overlap"] <= 1 for one in looks[2:]), "successive versions are right about the same items"
    assert all(0.95 < one["confidence"] < 1 for one in looks)
    for row, metrics in rounds:
        assert (row.look is not None) == (row.holdout_labels >= 30), "no target is judged on fewer"
        assert metrics["accuracy"].confidence == 0.95


def test_a_round_that_is_measured_again_is_the_same_look(config: Make, many: Any) -> None:
    """Another target's class or confidence makes no new look of the last round."""
    finished(looking(config, many))
    before = [row.look for row, _ in history(looking(config, many))]
    surer = looking(config, many, target={"confidence": 0.9})
    finished(surer)
    after = [row.look for row, _ in history(surer)]
    assert after[:-1] == before[:-1]
    assert json.loads(after[-1] or "")["number"] == json.loads(before[-1] or "")["number"]


def test_the_hold_out_grows_while_only_its_size_keeps_the_target_open(config: Make, many: Any) -> None:
    """Forty labels cannot show that a good model is good; more are asked for, up to `holdout.most`."""
    grown = looking(config, many, holdout={"most": 100}, target={"value": 0.85}, budget={"labels": 250})
    outcome = finished(grown)
    rows = [row for row, _ in history(grown)]
    wanted = [row.holdout_wanted for row in rows if row.holdout_wanted]
    assert wanted, [row.reason for row in rows]
    assert max(wanted) <= 100
    assert rows[-1].holdout_labels > 40
    assert any("hold-out grows" in (row.reason or "") for row in rows)
    assert outcome.step is Step.DONE


def test_annotators_hours_are_a_budget(config: Make, many: Any) -> None:
    """The loop stops when the platform has timed so much work."""
    spent = looking(config, many, budget={"hours": 0.05}, robots={"seconds": 5.0})
    outcome = finished(spent)
    assert "annotator hours" in outcome.reason
    with opened(spent) as loop:
        assert loop.store.look().labels < 150


def test_a_plateau_and_stability_stop_when_the_config_says_so(config: Make, many: Any) -> None:
    """Either is enough with `any`; with `all` both are needed."""
    easy: dict[str, Any] = {"plateau": {"labels": 10, "gain": 0.5}, "stability": {"kappa": 1.0, "rounds": 50}}
    first = looking(config, many, stop=easy)
    outcome = finished(first)
    assert history(first)[-1][0].kind == "plateau", outcome.reason
    both = looking(config, many, stop={**easy, "combine": "all"})
    finished(both)
    assert history(both)[-1][0].kind == "budget"


@pytest.mark.parametrize(
    ("rule", "stops", "told"),
    [
        ({"changes": {"most": 0.9, "rounds": 1}}, True, "answers changed"),
        ({"uncertainty": {"most": 0.99, "rounds": 2}}, True, "mean uncertainty"),
        ({"changes": {"most": 0.0, "rounds": 50}, "uncertainty": {"most": 0.0001, "rounds": 1}}, False, ""),
    ],
)
def test_a_model_that_changes_nothing_or_is_sure_stops(
    config: Make, many: Any, rule: dict[str, Any], stops: bool, told: str
) -> None:
    """Where the config says so, with the reason in words; where the bar is not reached the budget ends the loop."""
    asked = looking(config, many, stop=rule)
    outcome = finished(asked)
    assert history(asked)[-1][0].kind == ("stability" if stops else "budget"), outcome.reason
    assert told in outcome.reason


def test_status_tells_how_far_the_target_is(config: Make, many: Any) -> None:
    """With five rounds there is a forecast, in numbers and in words."""
    asked = looking(config, many)
    finished(asked)
    with opened(asked) as loop:
        found = status_of(loop)
    assert found["forecast"]["words"]
    assert 0 <= found["forecast"]["chance"] <= 1
    assert found["hours"] > 0


def test_the_forecast_is_of_certainty(config: Make, many: Any) -> None:
    """The metric has to be above the target by what its bound needs; by less on a hold-out that may grow, which is
    then counted.
    """
    asked = looking(config, many, target={"value": 0.9})
    finished(asked)
    told = []
    for most in (70, 110, 1000):
        with opened(looking(config, many, target={"value": 0.9}, holdout={"most": most})) as loop:
            history, seen = loop.store.rounds.history(), loop.store.look()
            far = outlook(loop, history, seen)
            assert far is not None
            assert far.measured is not None
            told.append(far)
            assert status_of(loop)["forecast"]["holdout"] == far.holdout
            full = holdout_full(loop, seen)
            assert full == min(most, seen.holdout_held + seen.holdout_left)
            assert far.holdout <= full - history[-1][1]["accuracy"].n
            assert "certain at 0.9" in in_words(loop, far, seen)
    assert all(1 >= one.measured > 0.9 for one in told)
    assert told[0].measured > told[1].measured > told[2].measured
    assert told[0].chance <= told[1].chance <= told[2].chance
    assert told[0].holdout < told[1].holdout


def test_where_only_the_hold_out_is_missing_it_is_said(config: Make, many: Any) -> None:
    """The metric is far above the target, forty labels cannot show it, and more may be asked for."""
    asked = looking(config, many, target={"value": 0.88}, holdout={"size": 30, "most": 30}, budget={"labels": 120})
    finished(asked)
    with opened(looking(config, many, target={"value": 0.88}, holdout={"size": 30, "most": 300})) as loop:
        found = status_of(loop)["forecast"]
    assert found["labels"]["median"] == 0
    assert found["holdout"] > 0
    assert "of the hold-out, which is what is missing" in found["words"]


def test_a_target_that_is_hit_has_no_forecast(config: Make, many: Any) -> None:
    """There is nothing to come."""
    easy = looking(config, many, target={"value": 0.4})
    finished(easy)
    with opened(easy) as loop:
        assert history(easy)[-1][0].kind == "target"
        assert status_of(loop)["forecast"] is None
