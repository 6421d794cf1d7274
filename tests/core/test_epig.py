"""EPIG: against three nested loops, and what it can never be."""

from __future__ import annotations

import importlib
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alearn.core.strategies import STRATEGIES
from alearn.testing import pool_of
from alearn.testing.strategies import votes_of

epig = importlib.import_module("alearn.core.strategies.epig")


def naive(votes: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Item by item, target by target, class by class."""
    members, size, classes = votes.shape
    votes, out = votes.astype(np.float64), np.zeros(size)
    for row in range(size):
        for target in targets:
            for y in range(classes):
                for other in range(classes):
                    joint = np.mean([votes[m, row, y] * votes[m, target, other] for m in range(members)])
                    apart = votes[:, row, y].mean() * votes[:, target, other].mean()
                    out[row] += joint * np.log(joint / apart) if joint > 0 else 0.0
    return out / len(targets)


@settings(max_examples=15, deadline=None)
@given(
    size=st.integers(1, 12),
    classes=st.integers(1, 4),
    members=st.integers(1, 4),
    seed=st.integers(0, 10_000),
    block=st.integers(1, 200),
)
def test_it_is_what_the_loops_say(size: int, classes: int, members: int, seed: int, block: int) -> None:
    """The matrix products change nothing, nor do the blocks, nor a class that a member rules out."""
    rng = np.random.default_rng(seed)
    pool = pool_of(size, classes=classes, labeled=0, seed=seed)
    votes = votes_of(pool.embeddings, classes, rng, members)
    votes[0, 0] = np.eye(classes)[0]
    targets = np.sort(rng.choice(size, rng.integers(1, size + 1), replace=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(epig, "BLOCK", block)
        found = epig.gains(replace(pool, votes=votes), np.arange(size), targets)
    assert found == pytest.approx(np.maximum(naive(votes, targets), 0), abs=2e-6)


def test_members_who_agree_leave_nothing_to_gain() -> None:
    """However unsure they are."""
    pool = pool_of(40)
    votes = np.stack([pool.proba] * 3)
    assert epig.scores(replace(pool, votes=votes), pool.rows).max() < 1e-6


def test_disagreement_that_matters_to_nothing_else_is_not_asked_about() -> None:
    """One item splits the committee as nothing else does: BALD asks about it, EPIG does not."""
    votes = np.full((4, 60, 2), 0.1, np.float32)
    votes[:2, :, 0] = 0.9
    votes[:, :, 1] = 1 - votes[:, :, 0]
    votes[:, 0] = np.array([[1, 0], [0, 1], [1, 0], [0, 1]])
    pool = replace(pool_of(60, labeled=0), votes=votes)
    assert STRATEGIES["bald"].select(pool, 1, np.random.default_rng(0)).tolist() == [0]
    assert 0 not in STRATEGIES["epig"].select(pool, 20, np.random.default_rng(0))


def test_a_large_pool_is_measured_by_a_sample_in_bounded_memory() -> None:
    """At most 512 targets, at most 64 MB, and the order nearly that of all targets."""
    pool = pool_of(1500, classes=10, labeled=0)
    some = np.arange(0, 1500, 15)
    tracemalloc.start()
    found = epig.scores(pool, some)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64e6
    assert np.corrcoef(found, epig.gains(pool, some, np.arange(1500)))[0, 1] > 0.98


def test_few_targets_tell_which_items_are_worth_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine picks of ten are those of all targets for all items."""
    pool = pool_of(3000, labeled=0)
    full = STRATEGIES["epig"].select(pool, 50, np.random.default_rng(0))
    monkeypatch.setattr(epig, "CANDIDATES", 400)
    rough = STRATEGIES["epig"].select(pool, 50, np.random.default_rng(0))
    assert len(set(full) & set(rough)) >= 45
    assert epig.scores(pool, pool.rows).shape == (3000,)
