"""A round that is done again from its record."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from alearn.config import Config
from alearn.errors import ConfigError
from alearn.loop.controller import run
from alearn.loop.intake import take_in
from alearn.loop.measuring import evaluate
from alearn.loop.plan import Step
from alearn.loop.replaying import Replay, replay
from alearn.loop.undertaking import opened

MakeConfig = Callable[..., Config]


def verdicts(found: Replay) -> dict[str, str]:
    return {part.name: part.verdict for part in found.parts}


def part(found: Replay, name: str) -> str:
    """What is said of a part."""
    one = next(one for one in found.parts if one.name == name)
    return " ".join([one.verdict, one.words, *one.details])


def execute(config: Config, *statements: str) -> None:
    """Change the store behind the loop's back."""
    with sqlite3.connect(config.home_ / "alearn.sqlite3") as database:
        for statement in statements:
            assert database.execute(statement).rowcount, statement


def dumped(config: Config) -> list[str]:
    with sqlite3.connect(config.home_ / "alearn.sqlite3") as database:
        return list(database.iterdump())


SAME = dict.fromkeys(("training set", "weights", "metrics", "picks", "queue"), "same")


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"query": {"batch": 8, "strategy": "badge"}, "budget": {"labels": 40}, "holdout": {"size": 12, "rate": 0.4}},
        {"query": {"strategy": "auto"}, "guard": {"share": 0.3}, "budget": {"labels": 40}},
        {"query": {"strategy": "epig"}, "queue": {"low": 4, "high": 12}},
        {
            "holdout": {"size": 30, "share": 0.7, "sampling": "weighted"},
            "target": {"metric": "f1", "positive": "odd", "value": 0.999},
            "budget": {"labels": 50},
        },
    ],
    ids=["margin", "badge", "auto and a guard", "epig and a queue", "a weighted hold-out"],
)
def test_every_round_comes_out_the_same(config: MakeConfig, sections: Mapping[str, Any]) -> None:
    """Training set, weights, metrics, picks and queue, from the first round to the last."""
    with opened(config(**sections)) as loop:
        assert run(loop).step is Step.DONE
        rounds = loop.store.look().round
        assert rounds > 1
        for number in range(1, rounds + 1):
            found = replay(loop, number)
            assert verdicts(found) == SAME, found
            assert not found.libraries
            assert not found.config


def test_a_team_with_test_questions_is_replayed(config: MakeConfig) -> None:
    """Several annotators of whom one is bad: who is trusted, what is asked again and which tests are asked follow."""
    several = {"name": "simulated", "options": {"annotators": 3, "accuracy": 0.75}}
    team = {"method": "weighted", "tests": 0.2, "overlap": 0.3, "opinions": 3}
    with opened(config(platform=several, consensus=team, budget={"labels": 40})) as loop:
        assert run(loop).step is Step.DONE
        assert any(pick.purpose == "test" for pick in loop.store.rounds.picks())
        for number in range(1, loop.store.look().round + 1):
            found = replay(loop, number)
            assert verdicts(found) == SAME, found


def test_a_queue_that_is_half_answered_is_replayed(config: MakeConfig) -> None:
    """People answer an item between looks, and the queue is filled and ordered meanwhile."""
    few = {"name": "simulated", "options": {"per_pull": 1, "accuracy": 0.9, "skip_rate": 0.1}}
    queue = {"low": 12, "high": 20}
    made = config(
        platform=few,
        queue=queue,
        budget={"labels": 40},
        retrain={"labels": 6},
        holdout={"size": 20, "rate": 0.5, "share": 0.4},
    )
    with opened(made) as loop:
        while run(loop, once=True).step is not Step.DONE:
            pass
        rounds = loop.store.look().round
        seen = [one.state.get("pick", {}) for at in range(1, rounds + 1) for one in loop.store.records.of(at, "select")]
        waiting = [sum(pick[2] == "holdout" and pick[5] is None for pick in picks.values()) for picks in seen]
        assert rounds > 3
        assert max(waiting) > 1, "what was open while it chose had an order of its own"
        for number in range(1, rounds + 1):
            found = replay(loop, number)
            expected = (
                SAME if loop.store.records.of(number, "select") else {**SAME, "picks": "unknown", "queue": "unknown"}
            )
            assert verdicts(found) == expected, found


def test_items_that_came_later_are_not_chosen_from(config: MakeConfig, digit_photos: Any, tmp_path: Path) -> None:
    """Neither those that were added, nor those that turned out to be unreadable while a selection went on."""
    folder = digit_photos(tmp_path / "some", 40)
    (folder / "even" / "broken.png").write_bytes(b"not a picture")
    made = config(items={"path": str(folder), "truth": "folder"}, budget={"labels": 20})
    with opened(made) as loop:
        run(loop)
        assert loop.store.items.quarantined()
    digit_photos(folder, 60)
    with opened(config(items={"path": str(folder), "truth": "folder"})) as loop:
        assert take_in(loop, again=True).added == 20
        run(loop)
        for number in range(1, loop.store.look().round + 1):
            assert verdicts(replay(loop, number)) == SAME


def test_a_round_that_is_measured_between_two_selections_is_replayed(config: MakeConfig) -> None:
    """What a label counts for follows from how far the hold-out was drawn then, and not from what was drawn since."""
    few = {"name": "simulated", "options": {"per_pull": 1}}
    holdout = {"size": 30, "share": 0.6, "rate": 0.5, "sampling": "weighted"}
    made = config(
        platform=few, queue={"low": 6, "high": 10}, retrain={"labels": 20}, budget={"labels": 50}, holdout=holdout
    )
    with opened(made) as loop:
        again = set[int]()
        while run(loop, once=True).step is not Step.DONE:
            last, chosen = loop.store.rounds.last(), loop.store.rounds.selections()
            if last and last.measured and last.number == chosen[-1].round and last.number not in again:
                evaluate(loop)
                again.add(last.number)
        facts = {json.loads(row.facts)["drawing"]["reach"] for row in loop.store.rounds.selections() if row.round}
        assert len(facts) > 1, "the drawing went on"
        assert again
        for number in again:
            assert verdicts(replay(loop, number)) == SAME


def test_what_cannot_be_read_is_not_drawn(config: MakeConfig, digit_photos: Any, tmp_path: Path) -> None:
    """New odds are set by what the model says of the hold-out's items; one it cannot read is not asked about."""
    folder = digit_photos(tmp_path / "some", 60)
    holdout = {"size": 40, "share": 0.6, "rate": 0.5, "sampling": "weighted"}
    with opened(config(items={"path": str(folder), "truth": "folder"}, budget={"labels": 20}, holdout=holdout)) as loop:
        run(loop)
    digit_photos(folder, 90)
    with opened(config(items={"path": str(folder), "truth": "folder"}, budget={"labels": 50}, holdout=holdout)) as loop:
        take_in(loop, again=True)
        for number in range(60, 90):
            next(folder.glob(f"*/{number}.png")).write_bytes(b"damaged since")
        run(loop)
        aside = loop.store.records.aside()
        assert {one.key for one in loop.store.items.quarantined() if one.holdout} & aside
        assert not aside & {pick.key for pick in loop.store.rounds.picks()}
        for number in range(1, loop.store.look().round + 1):
            assert verdicts(replay(loop, number)) == SAME


def test_replaying_changes_nothing(config: MakeConfig) -> None:
    """Neither the store nor any file of the loop."""
    made = config()
    with opened(made) as loop:
        run(loop)

    def files() -> dict[Path, int]:
        return {
            path: path.stat().st_mtime_ns
            for path in made.home_.rglob("*")
            if path.is_file() and "sqlite3" not in path.name
        }

    before = dumped(made), files()
    with opened(made, create=False) as loop:
        assert not replay(loop).differs
    assert (dumped(made), files()) == before


def test_labels_that_were_changed_later_are_taken_from_the_record(config: MakeConfig) -> None:
    """An annotator who corrects an answer after the round does not make its replay impossible, and it says so."""
    made = config()
    with opened(made) as loop:
        run(loop)
        key = loop.store.annotations.training(holdout=False).keys[0]
    execute(
        made,
        f"UPDATE label SET seq = 999, value = CASE value WHEN 'even' THEN 'odd' ELSE 'even' END WHERE key = '{key}'",
    )
    with opened(made, create=False) as loop:
        last = loop.store.look().round
        found = replay(loop, last)
    assert verdicts(found) == SAME
    assert "1 of them changed or taken back since" in part(found, "training set")


def test_a_label_that_changed_without_a_trace_is_reported(config: MakeConfig) -> None:
    """Its sequence number says that it is the old one, its value is not."""
    made = config()
    with opened(made) as loop:
        run(loop)
        key = loop.store.annotations.training(holdout=False).keys[0]
    execute(made, f"UPDATE label SET value = CASE value WHEN 'even' THEN 'odd' ELSE 'even' END WHERE key = '{key}'")
    with opened(made, create=False) as loop:
        found = replay(loop)
    assert found.differs
    assert key in part(found, "training set")
    assert "though nothing says that it was changed" in part(found, "training set")


def test_a_record_that_was_changed_is_reported(config: MakeConfig) -> None:
    """The fingerprint of the version knows its training set."""
    made = config()
    with opened(made) as loop:
        run(loop)
    execute(made, "UPDATE record SET changes = replace(changes, '\"even\"', '\"odd\"') WHERE step = 'train'")
    with opened(made, create=False) as loop:
        found = replay(loop)
    assert "differs the recorded labels are not those" in part(found, "training set")
    assert verdicts(found)["weights"] == "unknown"


def test_weights_of_another_version_are_reported(config: MakeConfig) -> None:
    """The file is whole, and not what training gives."""
    made = config()
    with opened(made) as loop:
        run(loop)
        first, *_, last = loop.store.rounds.versions()
    execute(made, f"UPDATE version SET weights = '{first.weights}' WHERE key = '{last.key}'")
    with opened(made, create=False) as loop:
        found = replay(loop)
    assert "differs training again gives" in part(found, "weights")
    assert "the libraries are the same" in part(found, "weights")
    assert verdicts(found)["metrics"] == "differs"


def test_a_damaged_file_is_reported_and_the_rest_replayed(config: MakeConfig) -> None:
    """What training gives again measures the same; picks that the damaged version chose cannot be replayed."""
    made = config()
    with opened(made) as loop:
        run(loop)
        first = loop.store.rounds.history()[0][0]
        row = loop.store.rounds.version(first.version)
        assert row is not None
        path = loop.store.blobs.path(row.weights)
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        found, after = replay(loop, 1), replay(loop, 2)
    assert verdicts(found) == {**SAME, "weights": "differs"}
    assert "damaged" in part(found, "weights")
    assert verdicts(after)["picks"] == "unknown"
    assert "damaged" in part(after, "picks")


def test_a_pick_that_nobody_chose_is_reported(config: MakeConfig) -> None:
    """Neither one that was added, nor one that was moved, nor one whose purpose was changed passes."""
    made = config()
    with opened(made) as loop:
        run(loop)
        keys = [pick.key for pick in loop.store.rounds.picks() if pick.round == 1]
        left = next(
            one.key for one in loop.store.items.candidates() if one.key not in set(loop.store.rounds.pushed_keys())
        )
    execute(
        made,
        f"UPDATE pick SET rank = rank + 1 WHERE key = '{keys[0]}'",
        f"UPDATE pick SET key = '{left}' WHERE key = '{keys[1]}'",
    )
    with opened(made, create=False) as loop:
        found = replay(loop, 1)
    said = part(found, "picks")
    assert said.startswith("differs")
    for sentence in (f"{keys[0]} is number", f"{keys[1]} was chosen, and is no pick", f"{left} is a pick in the store"):
        assert sentence in said


def test_metrics_that_were_changed_are_reported(config: MakeConfig) -> None:
    """With what they were and are."""
    made = config()
    with opened(made) as loop:
        run(loop)
        last = loop.store.look().round
    execute(made, f"UPDATE metric SET value = value + 0.01 WHERE name = 'accuracy' AND round = {last}")
    with opened(made, create=False) as loop:
        found = replay(loop)
    assert "accuracy was" in part(found, "metrics")
    assert verdicts(found) == {**SAME, "metrics": "differs"}


def test_a_config_that_is_another_now_is_replayed_as_it_was(config: MakeConfig) -> None:
    """The record holds it, and the replay says which sections the file says otherwise."""
    with opened(config()) as loop:
        run(loop)
    with opened(config(query={"batch": 5, "strategy": "entropy"}), create=False) as loop:
        found = replay(loop, 2)
    assert verdicts(found) == SAME
    assert found.config == ("query",)


def test_a_round_without_a_record_says_what_cannot_be_known(config: MakeConfig) -> None:
    """As after an update: the fingerprint proves unchanged labels, and nothing else is guessed."""
    made = config()
    with opened(made) as loop:
        run(loop)
    execute(made, "DELETE FROM record")
    with opened(made, create=False) as loop:
        found = replay(loop)
    assert verdicts(found) == {**SAME, **dict.fromkeys(("metrics", "picks", "queue"), "unknown")}
    assert "as the version's fingerprint proves" in part(found, "training set")
    execute(made, "UPDATE label SET seq = 999 WHERE key = (SELECT min(key) FROM label WHERE holdout = 0)")
    with opened(made, create=False) as loop:
        found = replay(loop)
    assert verdicts(found)["training set"] == verdicts(found)["weights"] == "unknown"
    assert "1 of its" in part(found, "training set")


def test_other_libraries_are_named(config: MakeConfig) -> None:
    """What was computed with others is compared, and both are told."""
    made = config()
    with opened(made) as loop:
        run(loop)
        other = json.dumps({**json.loads(loop.store.rounds.history()[-1][0].libraries), "numpy": "1.0"})
    execute(made, f"UPDATE round SET libraries = '{other}'")
    with opened(made, create=False) as loop:
        found = replay(loop)
    assert "numpy" in found.libraries
    assert "numpy 1.0 then" in part(found, "weights")
    assert not found.differs


def test_a_version_that_was_placed_is_that_of_its_round(config: MakeConfig) -> None:
    """`alearn restore` makes a round of its own, with the version of an earlier one."""
    from alearn.loop.versions import place

    with opened(config()) as loop:
        run(loop)
        first = loop.store.rounds.version(loop.store.rounds.history()[0][0].version)
        assert first is not None
        number = place(loop, first)
        found = replay(loop, number)
    assert "of round 1, in which the version was trained" in part(found, "training set")
    assert verdicts(found)["weights"] == "same"
    assert "has not been measured yet" in part(found, "metrics")


def test_a_round_must_be_there(config: MakeConfig) -> None:
    """The message says which there are."""
    with opened(config()) as loop:
        with pytest.raises(ConfigError, match="has no round to replay yet"):
            replay(loop)
        run(loop)
        with pytest.raises(ConfigError, match=r"1 to \d+\. Got 99"):
            replay(loop, 99)
