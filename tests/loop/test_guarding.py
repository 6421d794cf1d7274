"""The guard and `auto` in a loop."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from alearn.config import Config
from alearn.core.strategies import Pool
from alearn.loop.controller import run
from alearn.loop.guarding import FEWEST
from alearn.loop.undertaking import opened


def worst(pool: Pool, n: int, rng: object) -> object:
    """Items of the class that the model is surest of, near copies of each other: they teach nothing."""
    return pool.rows[pool.proba[pool.rows][:, 0].argsort()[::-1][:n]]


@pytest.fixture
def many(digit_photos: Callable[[Path, int], Path], tmp_path: Path) -> dict[str, str]:
    """A source of 400 items."""
    return {"path": str(digit_photos(tmp_path / "many", 400))}


def facts(loop: object) -> list[dict]:
    return [json.loads(row.facts) for row in loop.store.rounds.selections()]


@pytest.mark.parametrize("feeds", ["training", "holdout"])
def test_a_share_is_drawn_at_random(feeds: str, many: dict[str, str], config: Callable[..., Config]) -> None:
    """A fifth of all that is asked, hold-out included; it is trained on, or measures."""
    given = config(
        items=many, guard={"share": 0.2, "feeds": feeds}, holdout={"size": 10, "share": 0.5}, budget={"labels": 100}
    )
    with opened(given) as loop:
        run(loop)
        purposes = [pick.purpose for pick in loop.store.rounds.picks()]
        assert 15 <= sum(one != "query" for one in purposes) <= 26
        assert ("random" in purposes) == (feeds == "training")


def test_without_a_hold_out_there_is_nothing_to_check_on(many: dict[str, str], config: Callable[..., Config]) -> None:
    """Random labels are trained on, and no check is made."""
    with opened(config(items=many, guard={"share": 0.4}, holdout={"size": 0}, budget={"labels": 200})) as loop:
        run(loop)
        assert not any("check" in one["guard"] for one in facts(loop))


def test_a_strategy_that_asks_in_vain_is_found_out(many: dict[str, str], config: Callable[..., Config]) -> None:
    """The checks see that it is behind."""
    given = config(
        items=many,
        query={"strategy": f"{__name__}:worst", "batch": 20},
        guard={"share": 0.1},
        holdout={"size": 90, "share": 0.5},
        budget={"labels": 230},
    )
    with opened(given) as loop:
        run(loop)
        checks = [one["guard"]["check"] for one in facts(loop) if "check" in one["guard"]]
        assert checks
        assert all(one["items"] == 90 or one["items"] > FEWEST for one in checks)
        assert min(one["ahead"] for one in checks) < 0


def test_auto_says_what_it_asks_with_and_why(config: Callable[..., Config]) -> None:
    """A row for each round: the phase, the strategy and the reason."""
    with opened(config(query={"strategy": "auto", "batch": 10}, budget={"labels": 60})) as loop:
        run(loop)
        rows = loop.store.rounds.selections()
        assert rows[0].strategy == "max_herding"
        assert "uncertainty_herding" in {row.strategy for row in rows}
        assert all(row.reason for row in rows)
        assert {pick.strategy for pick in loop.store.rounds.picks()} >= {"max_herding", "uncertainty_herding"}
