"""Krippendorff's alpha: his own examples, and what holds whatever the names."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alearn.core.agreement import krippendorff_alpha

Said = tuple[str, str, str | None]

TRIPLES = st.dictionaries(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("uvwxyz")), st.sampled_from(["cat", "dog", "bird", None])
).map(lambda found: [(who, item, value) for (who, item), value in found.items()])


def rows(*said: str) -> list[Said]:
    """One row per annotator, one letter per item, a dot where nothing was said."""
    return [
        (f"annotator {who}", f"item {item}", None if value == "." else value)
        for who, row in enumerate(said)
        for item, value in enumerate(row)
    ]


@pytest.mark.parametrize(
    ("said", "alpha"),
    [
        (["0100000010", "1110010000"], 0.095),
        (["aabbdcccedda", "babbbccceddd"], 0.692),
        (["123321412...", "1233224125.3", ".3332342251.", "12332441251."], 0.743),
    ],
)
def test_the_published_examples(said: Sequence[str], alpha: float) -> None:
    """Krippendorff 2011: two people and two values; two and five; four people, with missing answers."""
    assert krippendorff_alpha(rows(*said)) == pytest.approx(alpha, abs=5e-4)


def test_all_agree_is_one() -> None:
    """On values that differ between items."""
    assert krippendorff_alpha(rows("abca", "abca", "ab..")) == 1


def test_always_the_opposite_is_worse_than_chance() -> None:
    """Below 0."""
    assert krippendorff_alpha(rows("abab", "baba")) < 0


@pytest.mark.parametrize("said", [[], ["abc"], ["ab..", "..ab"], ["aaa", "aaa"], ["a..", "..."]])
def test_nan_where_there_is_nothing_to_disagree_about(said: Sequence[str]) -> None:
    """Nobody, one person, no item in common, one value alone."""
    assert math.isnan(krippendorff_alpha(rows(*said)))


@given(TRIPLES, st.permutations(["cat", "dog", "bird"]), st.randoms(use_true_random=False))
def test_names_and_order_do_not_matter(said: list[Said], other: list[str], random: object) -> None:
    """Values renamed, people and items too, and all of it shuffled."""
    names = dict(zip(["cat", "dog", "bird"], other, strict=True))
    renamed = [(f"Dr {who}", f"no. {item}", value and names[value]) for who, item, value in said]
    random.shuffle(renamed)  # type: ignore[attr-defined]
    assert krippendorff_alpha(renamed) == pytest.approx(krippendorff_alpha(said), nan_ok=True)


@given(TRIPLES)
def test_it_is_at_most_one_and_one_only_for_full_agreement(said: list[Said]) -> None:
    """NaN aside."""
    alpha = krippendorff_alpha(said)
    if not math.isnan(alpha):
        items = {item for _, item, _ in said}
        differ = any(len({value for _, one, value in said if one == item and value}) > 1 for item in items)
        assert alpha < 1 if differ else alpha == 1


@given(TRIPLES)
def test_answers_to_items_nobody_else_answered_do_not_count(said: list[Said]) -> None:
    """One more item with one answer changes nothing."""
    more = [*said, ("a", "alone", "cat")]
    assert krippendorff_alpha(more) == pytest.approx(krippendorff_alpha(said), nan_ok=True)
