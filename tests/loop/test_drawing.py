"""Which hold-out items are drawn next, and for how much their labels count."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alearn.config import Config
from alearn.core.metrics import METRICS
from alearn.errors import StoreError
from alearn.loop import drawing
from alearn.loop.controller import run
from alearn.loop.drawing import Drawing, Odds, drawing_now, uneven
from alearn.loop.evidence import evidence
from alearn.loop.undertaking import Undertaking, opened
from alearn.store.items import Candidate

Make = Callable[..., Config]
WEIGHTED = {"size": 24, "share": 0.6, "sampling": "weighted"}


def candidates(n: int) -> list[Candidate]:
    return [Candidate(f"k{at}", f"g{at // 2}", holdout=True) for at in range(n)]


def weighted(n: int, seed: int, reach: float) -> Drawing:
    """A drawing whose odds were set once."""
    rng = np.random.default_rng(seed)
    odds = np.repeat(rng.gamma(1, 1, n // 2) + 0.1, 2)
    known = Odds(tuple(one.key for one in candidates(n)), odds, np.zeros(n))
    return Drawing(seed, 1.0, known, "", reach, 0, even=False)


@given(st.integers(0, 1000), st.lists(st.integers(1, 8), min_size=1, max_size=5))
def test_what_is_drawn_lies_within_what_was_reached(seed: int, counts: list[int]) -> None:
    """An item of the hold-out is drawn where, and but for its own group only where, its limit reaches its place."""
    every, now = candidates(60), weighted(60, seed, 0.0)
    taken = set[str]()
    for count in counts:
        keys, now = now.draw([one for one in every if one.key not in taken], count)
        assert len(keys) == count
        taken.update(keys)
    cut = {one.group for one in every if one.key in taken} & {one.group for one in every if one.key not in taken}
    assert len(cut) <= 1
    for one in every:
        if one.group not in cut:
            assert now.passed(one) == (one.key in taken)
        else:
            assert now.place(one.group) == pytest.approx(now.limit(one.key))
            assert not now.passed(one)


@given(st.integers(0, 1000), st.integers(1, 7))
def test_what_came_later_is_made_up_for_first(seed: int, few: int) -> None:
    """When the odds are set anew, items that the drawing had passed before they came are drawn before any other."""
    every, now = candidates(60), weighted(60, seed, 0.0)
    keys, now = now.draw(every, 20)
    late = [Candidate(f"late{at}", f"later{at}", holdout=True) for at in range(40)]
    before = np.array([now.limit(one.key) for one in [*every, *late]])
    missed = {one.key for one in late if now.passed(one)}
    known = Odds(tuple(one.key for one in [*every, *late]), np.random.default_rng(seed).random(100) + 0.1, before)
    now = Drawing(seed, 1.0, known, "", 0.0, 20, even=False)
    left = [one for one in [*every, *late] if one.key not in keys]
    drawn, now = now.draw(left, few)
    assert set(drawn) <= missed or missed <= set(drawn)
    assert (now.reach > 0) == (few >= len(missed)), "it does not go on before"


def test_what_came_after_the_odds_counts_as_drawn_where_all_were() -> None:
    """It is made up for as well, and cannot count for a hundred others because its odds have not reached far yet."""
    known = Odds(("k0", "k1"), np.ones(2), np.array([0.2, 0.5]))
    now = Drawing(0, 1.0, known, "", 0.01, 2, even=False)
    assert now.limit("later") == pytest.approx(0.2)
    late = [Candidate(f"late{at}", f"later{at}", holdout=True) for at in range(50)]
    first = [at for at, _ in now.order(late)]
    assert first.count(0.0) == sum(now.place(one.group) < 0.2 for one in late) > 0


def test_a_drawing_is_a_file_of_the_same_bytes() -> None:
    """Saved twice it is the same blob; read again it is the same drawing."""
    found = Odds(("a1", "b2"), np.array([0.5, 1.5]), np.array([0.1, 0.2]))
    again = Odds.from_bytes(found.to_bytes())
    assert again.to_bytes() == found.to_bytes()
    assert again.keys == found.keys
    assert again.row == {"a1": 0, "b2": 1}


def test_labels_count_the_same_while_drawing_is_even() -> None:
    """No weights, nothing to remember, and nothing that is not at random."""
    now = Drawing(3)
    assert now.weights(["k1"], ["g1"]) is None
    assert now.facts() == {}
    assert math.isinf(now.floor)


@pytest.fixture
def settled(config: Make) -> Config:
    """A loop of sixty digits whose hold-out was drawn with odds, at its end."""
    made = config(holdout=WEIGHTED, budget={"labels": 48})
    with opened(made) as loop:
        run(loop)
    return made


def held(loop: Undertaking) -> list[str]:
    return list(loop.store.annotations.training(holdout=True).keys)


def test_the_odds_are_set_anew_when_the_hold_out_has_doubled(settled: Config) -> None:
    """Evenly before there is a model; then by the model, each time the hold-out has twice as many."""
    with opened(settled) as loop:
        told = [json.loads(row.facts).get("drawing") for row in loop.store.rounds.selections()]
        assert told[0] is None, "there was no model to ask"
        sizes = list(dict.fromkeys(one["size"] for one in told if one))
        assert sizes
        assert all(later >= 2 * sooner for sooner, later in pairwise(sizes))
        assert len({one["odds"] for one in told if one}) == len(sizes)


def test_metrics_are_those_of_the_weights(settled: Config) -> None:
    """The round's accuracy counts each label for what it stands for, and not each for one."""
    with opened(settled) as loop:
        keys, now = held(loop), drawing_now(loop)
        groups = loop.store.items.groups(keys)
        weights = now.weights(keys, [groups[key] for key in keys])
        assert weights is not None
        assert weights.mean() == pytest.approx(1)
        assert weights.std() > 0.05
        assert {one.key for one in loop.store.items.candidates() if one.holdout} >= set(keys)
        low = min(weights[at] for at, key in enumerate(keys) if now.limit(key) == max(map(now.limit, keys)))
        assert low == pytest.approx(weights.min())


def test_what_is_drawn_for_certain_stands_for_itself(config: Make) -> None:
    """When the whole hold-out is labeled no label needs a weight, whatever the odds were."""
    with opened(config(holdout={"size": 60, "share": 0.3, "sampling": "weighted"}, budget={"labels": 60})) as loop:
        run(loop)
        keys, now = held(loop), drawing_now(loop)
        assert len(keys) == sum(one.holdout for one in loop.store.items.candidates()) > 8
        groups = loop.store.items.groups(keys)
        weights = now.weights(keys, [groups[key] for key in keys])
        assert weights == pytest.approx(np.ones(len(keys)))
        assert now.top == pytest.approx(0.3)
        assert not uneven(loop, keys)


def test_certificates_stand_on_what_even_odds_would_have_drawn(settled: Config) -> None:
    """A certificate's counting needs a simple random sample: a part of the hold-out is one."""
    with opened(settled) as loop:
        seen, keys, out = evidence(loop), held(loop), uneven(loop, held(loop))
        assert out
        assert set(seen.held) == set(keys) - out
        assert seen.uneven == len(out)
        assert seen.late == 0
        places = {key: drawing_now(loop).place(group) for key, group in loop.store.items.groups(keys).items()}
        kept = max(places[key] for key in seen.held)
        skipped = [
            one.key
            for one in loop.store.items.candidates()
            if one.holdout and one.key not in keys and drawing_now(loop).place(one.group) < kept
        ]
        assert not skipped, "all that stand so early are in it"


def test_going_back_to_even_odds_keeps_what_was_drawn(config: Make, settled: Config) -> None:
    """What the odds have reached stays weighted; what is drawn from then on is drawn evenly."""
    with opened(settled) as loop:
        before = {key: drawing_now(loop).limit(key) for key in held(loop)}
    with opened(config(holdout={**WEIGHTED, "size": 30, "sampling": "even"}, budget={"labels": 56})) as loop:
        run(loop)
        now = drawing_now(loop)
        assert now.even
        assert len(held(loop)) > len(before)
        assert all(now.limit(key) >= limit for key, limit in before.items())
        keys = held(loop)
        groups = loop.store.items.groups(keys)
        assert now.weights(keys, [groups[key] for key in keys]) is not None


def test_lost_odds_are_said_and_not_guessed(settled: Config) -> None:
    """Without the blob nobody knows what a label counts for."""
    with opened(settled) as loop:
        loop.store.blobs.path(drawing_now(loop).blob).unlink()
        with pytest.raises(StoreError, match="cannot be read"):
            drawing_now(loop)


def test_a_large_hold_out_is_drawn_from_a_part(config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many that come first by their hash; the model is not asked about the others."""
    monkeypatch.setattr(drawing, "FRAME", 12)
    monkeypatch.setattr(drawing, "TIMES", 1)
    with opened(config(holdout={**WEIGHTED, "size": 20, "most": 20}, budget={"labels": 40})) as loop:
        run(loop)
        now = drawing_now(loop)
        assert now.odds is not None
        assert len(now.odds.keys) == 20
        keys = held(loop)
        assert all(now.place(group) < now.top for group in loop.store.items.groups(keys).values())


def test_an_accuracy_of_weights_is_between_none_and_all() -> None:
    """The weighted metric is scikit-learn's with sample weights."""
    y, p, weights = np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]), np.array([2.0, 0.5, 0.5])
    assert METRICS["accuracy"].compute(y, p, None, weights) == pytest.approx(2.5 / 3)
