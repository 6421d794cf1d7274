"""The order of the queue."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alearn.core.ranking import interleave, queue_scores


@given(st.integers(0, 500))
def test_scores_rise_from_ask_first(n: int) -> None:
    """In [0, 1], distinct, 0 for the first."""
    scores = queue_scores(n)
    assert len(scores) == n
    assert (np.diff(scores) > 0).all()
    assert n == 0 or (scores[0] == 0 and scores[-1] <= 1)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 100))
def test_both_keep_their_order_and_nothing_is_lost(a: int, b: int, seed: int) -> None:
    """And the same randomness gives the same mixture."""
    rows_a, rows_b = [f"a{number:02d}" for number in range(a)], [f"b{number:02d}" for number in range(b)]
    mixed = interleave(rows_a, rows_b, np.random.default_rng(seed))
    assert [one for one in mixed if one[0] == "a"] == rows_a
    assert [one for one in mixed if one[0] == "b"] == rows_b
    assert mixed == interleave(rows_a, rows_b, np.random.default_rng(seed))


def test_every_stretch_of_the_queue_holds_its_share() -> None:
    """Over many draws, a tenth of the queue is met a tenth of the time at every place."""
    held = np.mean(
        [
            [one == "h" for one in interleave(["q"] * 18, ["h"] * 2, np.random.default_rng(seed))]
            for seed in range(2000)
        ],
        axis=0,
    )
    assert np.abs(held - 0.1).max() < 0.035
