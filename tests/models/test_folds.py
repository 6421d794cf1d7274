"""Labels are dealt into folds evenly, and what belongs together stays together."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alearn.models.folds import deal, numbered, pieces

items = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), max_size=60)


@given(items=items, folds=st.integers(1, 5), seed=st.integers(0, 9))
def test_a_group_is_in_one_fold_and_single_items_are_dealt_evenly(
    items: list[tuple[int, int]], folds: int, seed: int
) -> None:
    """Each class differs by one item between folds at most, where nothing ties items together."""
    y = np.array([label for label, _ in items], dtype=np.intp)
    groups = [f"g{group}" for _, group in items]
    together = deal(y, groups, folds, np.random.default_rng(seed))
    assert all(len(set(together[np.array(groups) == one])) == 1 for one in set(groups))
    alone = deal(y, None, folds, np.random.default_rng(seed))
    for label in set(y):
        counts = np.bincount(alone[y == label], minlength=folds)
        assert counts.max() - counts.min() <= 1
    assert set(together) | set(alone) <= set(range(folds))


@given(y=st.lists(st.integers(0, 3), max_size=40), seed=st.integers(0, 9))
def test_groups_of_one_item_are_as_good_as_none(y: list[int], seed: int) -> None:
    """Numbered in the order of their names."""
    labels = np.array(y, dtype=np.intp)
    names = [f"item {at:03}" for at in range(len(y))]
    first, second = (deal(labels, groups, 3, np.random.default_rng(seed)) for groups in (None, names))
    assert np.array_equal(first, second)
    assert np.array_equal(numbered(names, len(y)), np.arange(len(y)))


def test_a_group_is_one_piece_of_evidence() -> None:
    """Of the class of its first item."""
    assert pieces(np.array([0, 0, 0, 1, 1]), None).tolist() == [3, 2]
    assert pieces(np.array([0, 0, 0, 1, 1]), ["a", "a", "a", "b", "c"]).tolist() == [2, 1]
