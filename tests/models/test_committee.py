"""Committees: their votes are what their members say, and they disagree where the labels leave a choice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from alearn.core import uncertainty
from alearn.models import committee as module
from alearn.models import fit_head
from alearn.models.committee import Committee, drop_out, fit_committee


def clusters(n: int, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    return (5 + rng.normal(size=(classes, 8))[y] * 2 + rng.normal(size=(n, 8))).astype(np.float32), y


@pytest.fixture(params=["bootstrap", "dropout"])
def committee(request: pytest.FixtureRequest) -> Committee:
    x, y = clusters(80)
    if request.param == "bootstrap":
        return fit_committee(x, y, 3, members=5, seed=0)
    return drop_out(fit_head(x, y, 3, seed=0), x, members=5, seed=0)


def test_votes_are_what_the_members_say(committee: Committee, monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks or not, in float32, rows of sum 1."""
    x, _ = clusters(50, seed=1)
    votes = committee.votes(x)
    assert (votes.shape, votes.dtype) == ((5, 50, 3), np.float32)
    assert votes.sum(axis=2) == pytest.approx(1, abs=1e-5)
    assert votes == pytest.approx(np.stack([one.proba(x) for one in committee.members]), abs=1e-5)
    monkeypatch.setattr(module, "_BLOCK", 60)
    assert committee.votes(x) == pytest.approx(votes, abs=1e-6)


def test_votes_can_be_written_to_the_disk(committee: Committee, tmp_path: Path) -> None:
    """For a pool whose votes are larger than the memory."""
    x, _ = clusters(50, seed=1)
    out = np.lib.format.open_memmap(tmp_path / "votes.npy", "w+", np.float32, (5, 50, 3))
    assert committee.votes(x, out) is out
    assert np.array_equal(np.load(tmp_path / "votes.npy"), committee.votes(x))


def test_members_differ_and_are_always_the_same() -> None:
    """By the seed."""
    x, y = clusters(80)
    first, again, other = (fit_committee(x, y, 3, members=3, seed=seed).votes(x) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[0], first[1])


def test_members_agree_more_with_more_labels() -> None:
    """Labels leave less and less choice."""
    x, y = clusters(2000)
    few, many = (fit_committee(x[:n], y[:n], 3, members=5, seed=0, strength=0.3).votes(x[-300:]) for n in (30, 1500))
    assert uncertainty.bald(many).mean() < 0.5 * uncertainty.bald(few).mean()


@pytest.mark.parametrize("labels", [[], [1], [1, 1, 1], [0, 1], [0] * 100 + [1], list(range(60))])
def test_few_labels_give_sound_votes(labels: list[int]) -> None:
    """None, one, one class, one per class, 100:1, many classes: every probability is in (0, 1)."""
    x, _ = clusters(len(labels) + 5)
    votes = fit_committee(x[: len(labels)], np.array(labels, int), 60, members=3, seed=0).votes(x)
    assert np.isfinite(votes).all()
    assert ((votes >= 0) & (votes <= 1)).all()


def test_a_committee_on_real_intents_is_as_good_as_the_head(intents: Any) -> None:
    """Its mean answer, 250 labels of 10 intents; and what it disagrees about is more often wrong."""
    votes = fit_committee(intents.x[:250], intents.y[:250], 10, members=4, seed=0).votes(intents.x[250:])
    right = votes.mean(axis=0).argmax(axis=1) == intents.y[250:]
    assert accuracy_score(intents.y[250:], votes.mean(axis=0).argmax(axis=1)) > 0.88
    order = np.argsort(uncertainty.bald(votes))
    assert right[order[:75]].mean() >= right[order[75:]].mean()
