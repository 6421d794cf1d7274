"""The numbers of a report: right, complete, and the same as the loop's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import yaml

from alearn.config import Config, parse
from alearn.config.sections import CostsSpec
from alearn.loop.autolabel import Terms, give, offer
from alearn.loop.controller import run
from alearn.loop.drawing import counts_for
from alearn.loop.intake import take_in
from alearn.loop.status import status_of
from alearn.loop.team import team_of
from alearn.loop.undertaking import opened
from alearn.reporting.gathering import gather, shown_items
from alearn.reporting.page import page
from alearn.reporting.savings import spent_of

Make = Callable[..., Config]
Numbers = dict[str, Any]


def test_it_is_json_and_the_same_twice(ran: Config, numbers: Numbers) -> None:
    """No NaN, nothing but JSON types, and nothing but the time differs when it is made again."""
    with opened(ran, create=False) as loop:
        again = gather(loop, "my loop.yaml")
    assert json.loads(json.dumps(numbers, allow_nan=False)) == numbers
    for one in (again, numbers):
        assert one["made"]["at"]
        assert one["spent"]["days"] >= 0
    timeless = {**again, "made": numbers["made"], "spent": {**again["spent"], "days": numbers["spent"]["days"]}}
    assert timeless == numbers


def test_the_hold_out_counts_agree_with_each_other_and_with_the_round(ran: Config, numbers: Numbers) -> None:
    """The confusion matrix gives labels, answers, precision, recall and accuracy; accuracy is the round's own."""
    held, matrix = numbers["holdout"], np.array(numbers["holdout"]["confusion"])
    assert matrix.sum() == held["labels"] == numbers["spent"]["holdout"] > 60
    for at, one in enumerate(held["classes"]):
        assert (one["labels"], one["predictions"]) == (matrix[at].sum(), matrix[:, at].sum())
        assert one["precision"]["value"] == pytest.approx(matrix[at, at] / matrix[:, at].sum())
        assert one["recall"]["value"] == pytest.approx(matrix[at, at] / matrix[at].sum())
        assert all(
            one[part]["low"] <= one[part]["value"] <= one[part]["high"] for part in ("precision", "recall", "f1")
        )
    accuracy = held["overall"]["accuracy"]["value"]
    assert accuracy == pytest.approx(np.trace(matrix) / matrix.sum())
    with opened(ran, create=False) as loop:
        status = status_of(loop)
    for name, found in status["metrics"].items():
        assert held["overall"][name]["value"] == pytest.approx(found["value"], abs=1e-6), name
    assert numbers["curve"]["points"][-1]["value"] == pytest.approx(accuracy)


def test_the_bins_give_the_calibration_error(numbers: Numbers) -> None:
    """The reliability diagram and the number below it are of the same bins."""
    bins, held = numbers["holdout"]["calibration"], numbers["holdout"]
    assert sum(one["items"] for one in bins) == held["labels"]
    gaps = sum(one["items"] * abs(one["accuracy"]["value"] - one["confidence"]) for one in bins)
    assert gaps / held["labels"] == pytest.approx(held["overall"]["calibration_error"]["value"], abs=1e-6)
    assert all(one["from"] <= one["confidence"] <= one["to"] + 1e-9 for one in bins)


def test_a_weighted_hold_out_is_weighed_everywhere(make: Make) -> None:
    """Metrics, classes and bins count a label for what it stands for; counts of labels count each for one."""
    config = make(holdout={"sampling": "weighted"}, target={"metric": "f1", "positive": "odd", "value": 0.97})
    with opened(config) as loop:
        run(loop)
        found, status = gather(loop, "my loop.yaml"), status_of(loop)
        weights = counts_for(loop, [item for _, item in loop.store.annotations.labels() if item.holdout])
    held = found["holdout"]
    assert 0.5 * held["labels"] < held["worth"] < 5 * held["labels"]
    assert len(set(weights.values())) > 1
    assert np.mean(list(weights.values())) == pytest.approx(1, abs=1e-4)
    for name, one in status["metrics"].items():
        assert held["overall"][name]["value"] == pytest.approx(one["value"], abs=1e-6), name
    matrix = np.array(held["confusion"])
    assert held["overall"]["accuracy"]["value"] != pytest.approx(np.trace(matrix) / matrix.sum(), abs=1e-4)
    assert held["classes"][1]["f1"]["value"] == pytest.approx(held["overall"]["f1"]["value"])
    assert sum(one["items"] for one in held["calibration"]) == held["labels"] == len(weights)
    assert "drawn evenly" in page(found, {})


def test_what_was_spent_adds_up(ran: Config, numbers: Numbers) -> None:
    """Labels by what they were for; annotators and hours as `alearn annotators` and `alearn status` say."""
    spent = numbers["spent"]
    assert spent["labels"] == spent["training"] + spent["holdout"] == sum(spent["asked_for"].values()) == 230
    assert spent["annotations"] > spent["labels"], "a fifth of the items has two answers"
    with opened(ran, create=False) as loop:
        assert numbers["team"] == team_of(loop)
        assert round(spent["hours"], 2) == status_of(loop)["hours"]
    assert {one["name"] for one in numbers["team"]["annotators"]} == {"annotator-1", "annotator-2"}


def test_what_it_cost_is_told_where_there_are_prices(ran: Config, numbers: Numbers) -> None:
    """Answers times their price, as `alearn annotators` adds it up; without a price nothing is said of money."""
    assert numbers["spent"]["money"] is None
    priced = ran.model_copy(update={"costs": CostsSpec(annotation=0.25, currency="doubloons")})
    with opened(priced, create=False) as loop:
        spent, team = spent_of(loop), team_of(loop)
    assert spent["money"] == spent["annotations"] * 0.25 == sum(one["cost"] for one in team["annotators"])
    assert spent["money_each"] == pytest.approx(spent["money"] / spent["labels"])
    assert spent["currency"] == "doubloons"


def test_the_curve_and_the_rounds_are_the_history(ran: Config, numbers: Numbers) -> None:
    """Every round with its labels, its metric, and the whole keys of its version, labels and weights."""
    with opened(ran, create=False) as loop:
        history = loop.store.rounds.history()
        keys = {row.key: row for row in loop.store.rounds.versions()}
    assert [one["labels"] for one in numbers["curve"]["points"]] == [row.labels for row, _ in history]
    assert [one["low"] for one in numbers["curve"]["points"]] == [found["accuracy"].low for _, found in history]
    for one in numbers["rounds"]:
        version = keys[one["version"]]
        assert (one["training_set"], one["weights"]) == (version.training_set, version.weights)
        assert "numpy" in one["libraries"]
    ahead = numbers["forecast"]["points"]
    assert ahead[0]["labels"] == history[-1][0].labels
    assert all(one["low"] <= one["median"] <= one["high"] for one in ahead)


def test_the_hardest_items_are_unlabeled_and_in_order(ran: Config, numbers: Numbers) -> None:
    """The least margin first; none is labeled or of the hold-out, whose items are never chosen for being hard."""
    found = numbers["hardest"]["items"]
    margins = [one["margin"] for one in found]
    assert margins == sorted(margins)
    for one in found:
        first, second = (each["probability"] for each in one["answers"])
        assert first - second == pytest.approx(one["margin"], abs=1e-6)
    with opened(ran, create=False) as loop:
        labeled = {label.key for label, _ in loop.store.annotations.labels()}
        held = {one.key for one in loop.store.items.candidates() if one.holdout}
    assert not {one["key"] for one in found} & (labeled | held)
    assert numbers["hardest"]["looked_at"] == numbers["hardest"]["left"] > len(found) == 12


def test_suspected_labels_are_mostly_wrong(ran: Config, numbers: Numbers) -> None:
    """One in ten answers was wrong: of the most suspect labels most are, and none is of the hold-out."""
    found = numbers["suspects"]["items"]
    with opened(ran, create=False) as loop:
        truths = loop.store.items.truths([one["key"] for one in found])
        held = {one.key for one in loop.store.items.candidates() if one.holdout}
    wrong = [truths[one["key"]] != one["label"] for one in found[:6]]
    assert sum(wrong) >= 3
    assert not {one["key"] for one in found} & held
    assert all(any(said["value"] == one["label"] for said in one["said_by"]) for one in found)
    assert numbers["suspects"]["labels"] == numbers["spent"]["training"]
    assert set(shown_items(numbers)) >= {one["key"] for one in found}


def test_what_was_done_has_its_round_and_reason(numbers: Numbers) -> None:
    """The change from the cold start to the strategy, and the stop."""
    events = numbers["events"]
    assert [one["round"] for one in events] == sorted(one["round"] for one in events)
    strategies = [one["words"] for one in events if one["what"] == "strategy"]
    assert strategies[0] == "Asks with max_herding: there is no model yet"
    assert any(words.startswith("Asks with margin") for words in strategies)
    assert "budget of 230 labels is spent" in next(one["words"] for one in events if one["what"] == "stop")


def test_the_config_of_the_recipe_is_the_loop_s(ran: Config, numbers: Numbers, make: Make) -> None:
    """It can be read back, and commands quote the file for a shell."""
    recipe = numbers["recipe"]
    assert parse(yaml.safe_load(recipe["config"]), name="again.yaml", folder=ran.folder) == ran
    assert recipe["seeds"]["config"] == ran.seed
    assert recipe["model"]["version"] == numbers["rounds"][-1]["version"]
    assert all("'my loop.yaml'" in one["command"] for one in recipe["commands"])


def test_a_password_is_not_in_it(make: Make) -> None:
    """Neither of the platform nor of a database."""
    config = make(platform={"name": "simulated", "options": {"annotators": 1}})
    secret = config.model_copy(
        update={
            "platform": config.platform.model_copy(
                update={"options": {"password": "hunter2", "url": "a://b:hunter2@c"}}
            )
        }
    )
    with opened(secret) as loop:
        assert "hunter2" not in json.dumps(gather(loop, "x.yaml"))


def test_automatic_labels_are_told_with_their_certificate(make: Make) -> None:
    """As events, and as a count."""
    config = make(
        platform={"options": {"annotators": 1, "accuracy": 1.0}}, consensus={"overlap": 0}, budget={"labels": 130}
    )
    with opened(config) as loop:
        run(loop)
        made = offer(loop, Terms(0.7, 0.9))
        given = give(loop, made)
        found = gather(loop, "x.yaml")
    assert given > 0
    assert found["automatic"]["labels"] == given
    assert found["automatic"]["certificates"][0]["precision"] == 0.7
    assert "at least 0.7 right" in next(one["words"] for one in found["events"] if one["what"] == "automatic labels")


def test_an_empty_loop_has_a_report_too(make: Make) -> None:
    """Nothing is known, and each part says why; what was put aside is there."""
    with opened(make()) as loop:
        take_in(loop)
        loop.store.items.quarantine({"broken.png": "is truncated"}, at="2026-01-01", keyed=False)
        found = gather(loop, "x.yaml")
    for part in ("holdout", "saved", "hardest"):
        assert "No model has been trained yet" in found[part]["unknown"], part
    assert "20 to learn from" in found["suspects"]["unknown"]
    assert (found["curve"]["points"], found["forecast"], found["rounds"], found["recipe"]["model"]) == (
        [],
        None,
        [],
        None,
    )
    assert found["quarantined"] == [{"place": "broken.png", "reason": "is truncated"}]


def test_a_loop_without_a_hold_out_says_that_nothing_is_known(make: Make) -> None:
    """And shows what does not need one: hard items, suspected labels, events."""
    with opened(make(holdout={"size": 0}, target=None, budget={"labels": 90})) as loop:
        run(loop)
        found = gather(loop, "x.yaml")
    assert "The hold-out has no label yet" in found["holdout"]["unknown"]
    assert "to compare with random labels" in found["saved"]["unknown"]
    assert found["hardest"]["items"]
    assert found["suspects"]["labels"] == 90


def test_lost_weights_are_said_and_stop_nothing_else(make: Make) -> None:
    """The history is still told."""
    config = make(budget={"labels": 70})
    with opened(config) as loop:
        run(loop)
        version = loop.store.rounds.versions()[-1]
        loop.store.blobs.path(version.weights).unlink()
        found = gather(loop, "x.yaml")
    assert version.key[:8] in found["holdout"]["unknown"]
    assert len(found["rounds"]) == len(found["curve"]["points"]) > 0


def test_an_experiment_that_is_finished_is_told(make: Make) -> None:
    """Where `alearn simulate --replay` has left its results; a file of something else is no result."""
    config = make()
    folder = config.home_.parent / "simulate" / "parity-replay"
    folder.mkdir(parents=True)
    with opened(config) as loop:
        (folder / "results.json").write_text("{")
        assert gather(loop, "x.yaml")["simulated"] is None
        results = {"name": "parity", "items": 200, "seeds": 8, "failed": [], "words": ["margin needs 60 labels"]}
        (folder / "results.json").write_text(json.dumps(results))
        found = gather(loop, "x.yaml")["simulated"]
    assert (found["how"], found["items"], found["words"]) == (
        "alearn simulate --replay",
        200,
        ["margin needs 60 labels"],
    )
