"""What a run is given, and by what its result is known again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alearn.config import Config, parse
from alearn.core.strategies import resolve
from alearn.loop.report import Silent
from alearn.loop.undertaking import opened
from alearn.simulation.design import Design, Run, config_of, file_of, fingerprint_of
from alearn.simulation.experiment import prepared
from alearn.simulation.known import Known, split
from alearn.simulation.running import drive, fill, measured, share

RUN = Run("margin", 0, 10, 0.0, 30)


@pytest.fixture
def config(digit_photos: Any, tmp_path: Path) -> Config:
    digit_photos(tmp_path / "photos", 60)
    raw = {
        "name": "parity",
        "items": {"path": "photos", "truth": "folder"},
        "task": {"data": "image", "classes": ["even", "odd"]},
        "model": {"name": "pixels"},
        "target": {"metric": "f1", "value": 0.9, "positive": "odd"},
        "holdout": {"size": 30},
    }
    return parse(raw, name="parity.yaml", folder=tmp_path)


def test_a_loop_never_sees_the_test_part(config: Config, tmp_path: Path) -> None:
    """It is given the pool and learns of nothing else; each of its rounds is measured on the test part."""
    base, known = prepared(config, tmp_path / "out", Silent(), replay=False)
    pool, test = split(known, RUN.seed)
    home = tmp_path / "home"
    home.mkdir()
    share(base.home_ / "embeddings", home / "embeddings")
    with opened(config_of(base, RUN, home)) as loop:
        fill(loop, pool)
        took = drive(loop)
        seen = {one.key for one in loop.store.items.candidates()}
        rounds, picks = measured(loop, test, 1), loop.store.rounds.picks()
    assert seen == {one.key for one in pool}
    assert not seen & {one.key for one in test}
    assert [one["labels"] for one in rounds] == [10, 20, 30]
    assert {len(one["values"]) for one in rounds} == {7}
    assert {(pick.purpose, pick.strategy) for pick in picks if pick.round > 1} == {("query", "margin")}
    assert len(took["select"]) == 3  # type: ignore[index]


ITEMS = st.lists(st.integers(0, 12), min_size=20, max_size=80).map(
    lambda groups: [Known(str(at), None, "x", f"group {group}", "a") for at, group in enumerate(groups)]
)


@given(ITEMS, st.integers(0, 5))
def test_the_test_part_splits_no_group(items: list[Known], seed: int) -> None:
    """Every item is on one side, at most a fifth of them tests, and the same seed draws the same."""
    pool, test = split(items, seed)
    assert sorted(one.key for one in [*pool, *test]) == sorted(one.key for one in items)
    assert len(test) <= len(items) / 5
    assert not {one.group for one in pool} & {one.group for one in test}
    assert split(list(reversed(items)), seed)[1] == list(reversed(test))


def test_whatever_changes_numbers_changes_the_fingerprint(config: Config) -> None:
    runs = [
        RUN,
        replace(RUN, strategy="random"),
        replace(RUN, seed=1),
        replace(RUN, batch=5),
        replace(RUN, noise=0.1),
        replace(RUN, labels=20),
    ]
    marks = [fingerprint_of(config, run, "items") for run in runs]
    classes = config.task.model_copy(update={"classes": ("even", "odd", "?")})
    marks += [fingerprint_of(config, RUN, "others")]
    marks += [fingerprint_of(config.model_copy(update={"task": classes}), RUN, "items")]
    assert len(set(marks)) == len(marks)
    assert fingerprint_of(config.model_copy(update={"home": "/elsewhere"}), RUN, "items") == marks[0]
    assert len({file_of(run, mark) for run, mark in zip(runs, marks, strict=False)}) == len(runs)


def test_a_strategy_that_needs_no_model_begins_itself(config: Config, tmp_path: Path) -> None:
    """Random picks are random from the first; before the others the config's cold start chooses."""
    colds = {
        name: config_of(config, replace(RUN, strategy=name), tmp_path).query.cold_start for name in ("random", "margin")
    }
    assert colds == {"random": "random", "margin": config.query.cold_start}
    assert resolve(config_of(config, RUN, tmp_path).query.strategy).name == "margin"


def test_seeds_come_one_after_the_other() -> None:
    """An experiment that is stopped has compared all strategies on some seeds."""
    runs = Design(("a", "b"), 2, (1,), (0.0, 0.1), 5).runs()
    assert [run.seed for run in runs] == [0] * 4 + [1] * 4
