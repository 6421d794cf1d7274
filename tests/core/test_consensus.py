"""Consensus: one voice per annotator, the majority, the latest on a tie."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alearn.core.consensus import Label, consensus


@dataclass(frozen=True)
class Said:
    annotator: str
    value: str | None
    updated_at: str = "2024-05-01T10:00:00Z"
    id: str = "1"


def at(minute: int) -> str:
    return f"2024-05-01T10:{minute:02d}:00Z"


def test_the_majority_wins() -> None:
    """With its share of the votes."""
    said = [Said("ann", "cat", at(1)), Said("bob", "dog", at(2)), Said("cem", "cat", at(0))]
    assert consensus(said) == Label("cat", 2 / 3, 3)


def test_an_annotator_has_one_voice_the_latest() -> None:
    """A second answer replaces the first, however often the first was given."""
    said = [Said("ann", "cat", at(1)), Said("ann", "cat", at(2)), Said("ann", "dog", at(3)), Said("bob", "dog", at(0))]
    assert consensus(said) == Label("dog", 1.0, 2)


def test_a_tie_goes_to_the_latest_voice() -> None:
    """Among the tied values only: the bird came last, but has one voice of five."""
    said = [
        Said(name, value, at(minute))
        for minute, (name, value) in enumerate([("a", "cat"), ("b", "dog"), ("c", "cat"), ("d", "dog"), ("e", "bird")])
    ]
    assert consensus(said) == Label("dog", 0.4, 5)


def test_who_skips_has_no_voice() -> None:
    """A skip after an answer takes the answer back; nobody left: no label."""
    assert consensus([Said("ann", "cat", at(1)), Said("ann", None, at(2)), Said("bob", "dog", at(0))]) == Label(
        "dog", 1, 1
    )
    assert consensus([Said("ann", "cat", at(1)), Said("ann", None, at(2))]) is None
    assert consensus([]) is None


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00.5Z"),
        ("2024-05-01T10:00:00.49Z", "2024-05-01T10:00:00.5+00:00"),
        ("", "2024-05-01T10:00:00Z"),
        ("2024-05-01 10:00:00Z", "2024-05-01T10:00:01Z"),
    ],
)
def test_time_is_compared_as_time(earlier: str, later: str) -> None:
    """With or without fractions of a second, whichever way UTC is written."""
    said = [Said("ann", "new", later, id="1"), Said("ann", "old", earlier, id="2")]
    assert consensus(said) == Label("new", 1, 1)


def test_at_the_same_moment_the_higher_id_is_later() -> None:
    """As numbers: 10 comes after 9."""
    assert consensus([Said("ann", "new", id="10"), Said("ann", "old", id="9")]) == Label("new", 1, 1)


ANNOTATIONS = st.lists(
    st.builds(Said, st.sampled_from("abc"), st.sampled_from(["cat", "dog", None]), st.integers(0, 3).map(at)),
    max_size=8,
)


@given(ANNOTATIONS, st.randoms())
def test_the_order_of_arrival_does_not_matter(said: list[Said], random: object) -> None:
    """The same annotations, shuffled, give the same label."""
    said = [Said(one.annotator, one.value, one.updated_at, str(number)) for number, one in enumerate(said)]
    shuffled = list(said)
    random.shuffle(shuffled)
    assert consensus(shuffled) == consensus(said)


@given(ANNOTATIONS)
def test_agreement_is_a_share_of_the_votes(said: list[Said]) -> None:
    """In (0, 1], and a whole number of votes."""
    label = consensus(said)
    if label:
        assert 0 < label.agreement <= 1
        assert (label.agreement * label.votes) == pytest.approx(round(label.agreement * label.votes))
        assert label.votes <= len({one.annotator for one in said})
