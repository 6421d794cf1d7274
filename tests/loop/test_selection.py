"""Which hold-out items are asked for, and when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alearn.loop.drawing import Drawing
from alearn.loop.selection import holdout_room
from alearn.store.items import Candidate
from alearn.store.tables import PickRow


def pick(key: str, purpose: str, closed: str | None) -> PickRow:
    return PickRow(
        loop_id=1, key=key, round=1, rank=0, purpose=purpose, strategy="random", score=0.0, pushed=True, closed=closed
    )


@st.composite
def states(draw: st.DrawFn) -> tuple[list[Candidate], list[PickRow]]:
    candidates = [
        Candidate(f"k{at}", f"g{at // 2}", held) for at, held in enumerate(draw(st.lists(st.booleans(), max_size=40)))
    ]
    picked = [one for one in candidates if draw(st.booleans())]
    closed = st.sampled_from([None, "labeled", "skipped"])
    return candidates, [pick(one.key, "holdout" if one.holdout else "query", draw(closed)) for one in picked]


def draw(
    candidates: list[Candidate], picks: list[PickRow], *, room: int, size: int, rate: float, seed: int
) -> list[str]:
    """What an even drawing comes to."""
    count = holdout_room(candidates, picks, room=room, size=size, rate=rate)
    picked = {one.key for one in picks}
    left = [one for one in candidates if one.holdout and one.key not in picked]
    return Drawing(seed).draw(left, max(count, 0))[0]


@given(states(), st.integers(1, 20), st.integers(0, 30), st.floats(0, 1), st.integers(0, 5))
def test_the_draw_is_sound_and_a_loop_always_gets_on(
    state: tuple[list[Candidate], list[PickRow]], room: int, size: int, rate: float, seed: int
) -> None:
    """Unpicked hold-out items, at most what is wanted; and where the pool cannot fill the room the hold-out does."""
    candidates, picks = state
    drawn = draw(candidates, picks, room=room, size=size, rate=rate, seed=seed)
    picked = {one.key for one in picks}
    held = sum(one.purpose == "holdout" and one.closed != "skipped" for one in picks)
    left = {one.key for one in candidates if one.holdout} - picked
    pool = sum(not one.holdout and one.key not in picked for one in candidates)
    assert len(drawn) == len(set(drawn)) <= room
    assert set(drawn) <= left
    assert held + len(drawn) <= max(size, held)
    assert len(drawn) >= min(room - pool, size - held, len(left))


@given(st.integers(1, 30), st.floats(0.05, 1), st.integers(0, 3))
def test_a_batch_of_one_keeps_the_share(size: int, rate: float, seed: int) -> None:
    """Asked one by one, the hold-out has its share of all places at every moment, until it is full."""
    candidates = [Candidate(f"k{at}", f"g{at}", at % 2 == 0) for at in range(200)]
    picks: list[PickRow] = []
    while len(picks) < 60:
        drawn = draw(candidates, picks, room=1, size=size, rate=rate, seed=seed)
        taken = {one.key for one in picks}
        key = drawn[0] if drawn else next(one.key for one in candidates if not one.holdout and one.key not in taken)
        picks.append(pick(key, "holdout" if drawn else "query", "labeled"))
        held = sum(one.purpose == "holdout" for one in picks)
        assert abs(held - min(rate * len(picks), size)) <= 1
