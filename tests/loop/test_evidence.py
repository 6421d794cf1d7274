"""Which hold-out labels may speak for which items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alearn.config import Config
from alearn.core.consensus import consensus
from alearn.core.keys import unit_interval
from alearn.loop.controller import run
from alearn.loop.evidence import evidence, independent, rows_of
from alearn.loop.undertaking import Undertaking, opened

Make = Callable[..., Config]
GROUPS = st.lists(st.integers(0, 8), max_size=40).map(lambda of: {f"k{at}": f"g{one}" for at, one in enumerate(of)})


@given(GROUPS, st.integers(0, 5), st.booleans())
def test_one_of_each_group_at_most(groups: dict[str, str], seed: int, even: bool) -> None:
    """Whatever the groups are; where all are of one size, one of each, and the largest always has one."""
    kept = independent(list(groups), groups, seed=seed, even=even)
    assert len({groups[key] for key in kept}) == len(kept) == len(set(kept))
    sizes = Counter(groups.values())
    assert {name for name, size in sizes.items() if size == max(sizes.values())} <= {groups[key] for key in kept}


def test_every_item_has_the_same_chance() -> None:
    """An item of a group of four counts as often as one that stands alone."""
    groups = {f"alone-{at}": f"alone-{at}" for at in range(20)} | {f"of-{at}": f"of-{at // 4}" for at in range(20)}
    seen: Counter[str] = Counter()
    for seed in range(2000):
        seen.update(independent(list(groups), groups, seed=seed, even=True))
    assert {key for key in groups if abs(seen[key] / 2000 - 0.25) > 0.05} == set()


def test_a_giant_group_does_not_leave_the_pool_empty() -> None:
    """The pool's groups stay up to the size that the average item is in, so that the total is not taken for surer."""
    groups = {f"{at}": f"{at}" for at in range(900)} | {f"giant-{at}": "giant" for at in range(100)}
    kept = independent(list(groups), groups, seed=1, even=False)
    assert "giant" in {groups[key] for key in kept}
    assert 50 < len(kept) < 200, "1000 squared over the sum of the squares is 92"


def test_rows_are_in_the_order_of_the_keys() -> None:
    """And only of what is asked for."""
    assert rows_of(["c", "a", "b"], ["b", "c"]).tolist() == [0, 2]


def drawn(loop: Undertaking) -> set[str]:
    return {pick.key for pick in loop.store.rounds.picks() if pick.purpose == "holdout"}


@pytest.fixture
def settled(config: Make) -> Config:
    """A loop of sixty digits with ten hold-out labels, at its end."""
    made = config(holdout={"size": 6, "share": 0.4})
    with opened(made) as loop:
        run(loop)
    return made


def test_what_is_drawn_speaks_for_what_nobody_was_asked_about(settled: Config) -> None:
    """The hold-out's items that were not drawn are among them; all items are on one side."""
    with opened(settled) as loop:
        seen, every = evidence(loop), {one.key: one for one in loop.store.items.candidates()}
        assert set(seen.held) == drawn(loop)
        assert (seen.unanswered, seen.found, seen.late) == (0, 0, 0)
        assert set(seen.held) | set(seen.rest) | set(seen.asked) == set(every)
        assert len(seen.held) + len(seen.rest) + len(seen.asked) == len(every)
        assert any(every[key].holdout for key in seen.rest)
        assert not any(every[key].holdout for key in seen.asked)


def new_item(loop: Undertaking, wanted: Callable[[float], bool]) -> str:
    """Add an item of the hold-out's side whose group's hash is wanted."""
    known = {one.key for one in loop.store.items.candidates()}
    keys = (f"{at:032x}" for at in range(100_000))
    key = next(key for key in keys if key not in known and wanted(unit_interval(key, loop.config.seed)))
    row = {"key": key, "uri": None, "text": "new", "group": key, "truth": None, "holdout": True}
    assert loop.store.items.add([row]) == 1
    return key


def test_items_that_came_after_the_drawing_are_left_to_people(settled: Config) -> None:
    """The hold-out says nothing of them; this shows where one should have been drawn before others that were."""
    with opened(settled) as loop:
        before, seed = evidence(loop), loop.config.seed
        last = max(unit_interval(one.group, seed) for one in loop.store.items.candidates() if one.key in drawn(loop))
        behind = new_item(loop, lambda at: last < at < 0.4)
        assert set(evidence(loop).rest) == {*before.rest, behind}, "it does not yet show that this one is new"
        early = new_item(loop, lambda at: at < last)
        after, seen = new_item(loop, lambda at: last < at < 0.4), evidence(loop)
        assert not {early, after} & set(seen.rest), "what came after one that is new is new as well"
        assert (seen.late, set(seen.rest), seen.held) == (2, {*before.rest, behind}, before.held)


def test_what_was_found_on_the_platform_is_no_random_sample(settled: Config) -> None:
    """Labels that people brought along do not count; tasks that merely stand there may be labeled."""
    with opened(settled) as loop:
        before = evidence(loop)
        key = next(one.key for one in loop.store.items.candidates() if one.holdout and one.key in before.rest)
        row: dict[str, Any] = {"id": "found-1", "annotator": "ann", "value": "odd", "skipped": False, "refused": None}
        row |= {"lead_time": None, "updated_at": ""}
        told: dict[str, Any] = {"cursor": None, "at": loop.clock.now(), "resolve": consensus}
        told["closing"] = lambda rows, labeled, opinions: "labeled" if labeled else None
        loop.store.annotations.collect([(key, [])], **told)
        assert key in evidence(loop).rest
        loop.store.annotations.collect([(key, [row])], **told)
        seen = evidence(loop)
        assert (seen.found, key in seen.rest, key in seen.held) == (1, False, False)


def test_an_empty_loop_has_no_evidence(config: Make) -> None:
    """And that is no error."""
    with opened(config()) as loop:
        seen = evidence(loop)
    assert (seen.held, seen.rest, seen.asked) == ({}, [], [])
