"""Another opinion: for which items, why, and when it is enough."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alearn.core.opinions import Belief, Overlap, doubted, needed, sampled


@dataclass(frozen=True)
class Said:
    annotator: str
    value: str | None
    updated_at: str = "2024-05-01T10:00:00Z"
    id: str = "1"


NONE = Overlap(every=None)
BELIEF = Belief(
    ["a", "b", "c", "x"], ["cat", "dog"], np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.05, 0.95]], dtype=np.float32)
)


def test_about_every_nth_item_gets_a_second_opinion_and_no_third() -> None:
    """The same ones in every process; others with another seed."""
    overlap = Overlap(every=5)
    said = {f"item {at}": [Said("ann", "cat")] for at in range(2000)}
    found = needed(said, overlap)
    assert set(found.values()) == {"sample"}
    assert 330 < len(found) < 470
    assert set(found) == {key for key in said if sampled(key, overlap)}
    assert set(needed(said, replace(overlap, seed=1))) != set(found)
    assert needed({key: [*one, Said("bob", "cat")] for key, one in said.items()}, overlap) == {}


def test_a_consensus_that_is_unsure_gets_another() -> None:
    """Two who differ; not when one of them weighs much more."""
    said = {"x": [Said("ann", "cat"), Said("bob", "dog")], "y": [Said("ann", "cat"), Said("bob", "cat")]}
    assert needed(said, NONE) == {"x": "unsure"}
    assert needed(said, NONE, weights={"ann": 0.9, "bob": 0.1}) == {}


def test_the_word_of_the_flagged_alone_is_asked_again() -> None:
    """However many they are; one other is enough."""
    said = {"x": [Said("ann", "cat"), Said("bob", "cat")], "y": [Said("ann", "cat"), Said("cem", "cat")]}
    assert needed(said, NONE, flagged={"ann", "bob"}) == {"x": "unconfirmed"}


def test_a_label_the_model_doubts_gets_another_until_a_second_person_says_it() -> None:
    """Somebody flagged is not that person."""
    said = {"a": [Said("ann", "cat")], "b": [Said("ann", "cat")], "c": [Said("ann", "dog")], "x": [Said("ann", "cat")]}
    assert needed(said, NONE, belief=BELIEF) == {"x": "doubted"}
    assert needed(said, replace(NONE, doubt=False), belief=BELIEF) == {}
    twice = said | {"x": [Said("ann", "cat"), Said("bob", "cat")]}
    assert needed(twice, NONE, belief=BELIEF) == {}
    assert needed(twice, NONE, belief=BELIEF, flagged={"bob"}) == {"x": "doubted"}


def test_items_and_classes_the_model_does_not_know_are_not_doubted() -> None:
    """A class that was added since, an item that was not scored."""
    said = {"new": [Said("ann", "cat")], "x": [Said("ann", "bird")], "c": [Said("ann", "dog")]}
    assert needed(said, NONE, belief=BELIEF) == {}


def test_never_more_than_the_most() -> None:
    """Though nobody agrees; a skip is no opinion, nor is a second word of the same person."""
    said = [Said("ann", "cat"), Said("bob", "dog"), Said("cem", "bird")]
    assert needed({"x": said}, NONE) == {}
    assert needed({"x": said}, replace(NONE, most=4)) == {"x": "unsure"}
    assert needed({"x": [*said[:2], Said("cem", None)]}, NONE) == {"x": "unsure"}
    assert needed({"x": [*said[:2], Said("bob", "bird", id="2")]}, NONE) == {"x": "unsure"}
    assert needed({"x": []}, Overlap(every=1)) == {}


class TestDoubted:
    def test_thresholds_are_those_of_each_class(self) -> None:
        """0.55 for "1" says much where the model gives its items 0.5, little where it gives them 0.9."""
        labels = np.array([0, 0, 0, 1, 1])
        timid = np.array([[0.9, 0.1], [0.95, 0.05], [0.45, 0.55], [0.5, 0.5], [0.5, 0.5]])
        bold = np.array([[0.9, 0.1], [0.95, 0.05], [0.45, 0.55], [0.1, 0.9], [0.1, 0.9]])
        assert doubted(labels, timid).tolist() == [False, False, True, False, False]
        assert not doubted(labels, bold).any()

    def test_a_label_the_model_finds_likeliest_is_not_doubted(self) -> None:
        """Though it is less sure of it than it mostly is of that class, and surer of another than it mostly is."""
        proba = np.array([[0.99, 0.01], [0.51, 0.49], [0.8, 0.2]])
        assert doubted(np.array([0, 0, 1]), proba).tolist() == [False, False, True]

    def test_rows_without_probabilities_are_not(self) -> None:
        """Nor do they count for the thresholds."""
        proba = np.array([[0.9, 0.1], [np.nan, np.nan], [0.1, 0.9], [0.05, 0.95]])
        assert doubted(np.array([0, 0, 1, 0]), proba).tolist() == [False, False, False, True]
        assert doubted(np.empty(0, dtype=np.intp), np.empty((0, 2))).shape == (0,)

    def test_wrong_labels_are_found_among_right_ones(self) -> None:
        """A fair model, one label in ten wrong: most of these, and few others."""
        rng = np.random.default_rng(0)
        truth = rng.integers(0, 4, 1000)
        logits = rng.normal(0, 1, (1000, 4)) + 3 * np.eye(4)[truth]
        proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        wrong = rng.random(1000) < 0.1
        found = doubted(np.where(wrong, (truth + 1) % 4, truth), proba)
        assert found[wrong].mean() > 0.6
        assert found[~wrong].mean() < 0.05

    @given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(2, 5))
    def test_whoever_says_what_the_model_is_surest_of_is_not_doubted(self, seed: int, n: int, classes: int) -> None:
        """For any probabilities."""
        proba = np.random.default_rng(seed).dirichlet(np.ones(classes), n)
        assert not doubted(proba.argmax(axis=1), proba).any()


@given(
    st.dictionaries(
        st.sampled_from("abcxyz"),
        st.lists(
            st.builds(Said, st.sampled_from(["ann", "bob", "cem"]), st.sampled_from(["cat", "dog", None])), max_size=4
        ),
    ),
    st.integers(1, 4),
    st.sets(st.sampled_from(["ann", "bob"])),
)
def test_who_has_enough_is_left_alone(said: dict[str, list[Said]], most: int, flagged: set[str]) -> None:
    """Opinions below the most, at least one; the order of items is that of their keys."""
    said = {key: [replace(one, id=str(at)) for at, one in enumerate(some)] for key, some in said.items()}
    found = needed(said, Overlap(every=1, most=most), flagged=flagged, belief=BELIEF)
    assert list(found) == sorted(found)
    for key, some in said.items():
        latest = {one.annotator: one.value for one in some}
        count = sum(value is not None for value in latest.values())
        assert key not in found or 0 < count < most
        if count == 1 and most > 1:
            assert key in found, "every item is in the sample"


@pytest.mark.parametrize("every", [None, 1])
def test_the_sample_may_be_none_or_all(every: int | None) -> None:
    """Both ends."""
    assert sampled("x", Overlap(every=every)) == (every == 1)
