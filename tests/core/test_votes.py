"""Weighted votes and Dawid-Skene: who counts for how much, and that nothing but what was said decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alearn.core.consensus import Label, consensus
from alearn.core.votes import dawid_skene, weighted_vote


@dataclass(frozen=True)
class Said:
    annotator: str
    value: str | None
    updated_at: str = "2024-05-01T10:00:00Z"
    id: str = "1"


def at(minute: int) -> str:
    return f"2024-05-01T10:{minute:02d}:00Z"


ANNOTATIONS = st.lists(
    st.builds(Said, st.sampled_from("abc"), st.sampled_from(["cat", "dog", None]), st.integers(0, 3).map(at)),
    max_size=8,
).map(lambda said: [Said(one.annotator, one.value, one.updated_at, str(at)) for at, one in enumerate(said)])
WEIGHTS = st.fixed_dictionaries({name: st.floats(0.01, 1) for name in "abc"})

# Forty items, a letter per annotator (a dot: no answer), and what crowd-kit 1.4.2's DawidSkene (3000 iterations) makes
# of them: the class, and its probability.
SAID = [
    *("12.1", "1.01", "2202", "1222", "110.", "..01", "212.", "2.12", ".100", "0000", "0212", "1.21", "2001", "2212"),
    *("0000", "211.", "1101", "10.1", "0000", ".002", "2212", "2.21", ".2.2", "1101", "1222", "000.", "1101", "2220"),
    *("002.", "0200", "0021", "1001", "2.00", "2012", "0.01", "102.", "2022", "1010", "1.21", "00.0"),
]
CLASSES = "1122111200211202110221212012000102012210"
PROBABILITIES = [
    *(1.0, 1.0, 0.9922, 1.0, 0.9837, 0.775, 0.489, 1.0, 0.9376, 0.9979, 1.0, 1.0, 0.6844, 1.0, 0.9979, 1.0, 1.0, 1.0),
    *(0.9979, 0.6191, 1.0, 0.9096, 0.9926, 1.0, 1.0, 0.9918, 1.0, 0.9412, 0.9268, 0.9692, 1.0, 1.0, 0.7661, 1.0, 1.0),
    *(0.8186, 0.9879, 1.0, 1.0, 0.9883),
]


def items(rows: list[str]) -> dict[str, list[Said]]:
    return {
        f"item {row:03d}": [Said(f"annotator {who}", value) for who, value in enumerate(said) if value != "."]
        for row, said in enumerate(rows)
    }


class TestWeightedVote:
    def test_one_who_is_trusted_outweighs_two_who_are_not(self) -> None:
        """The agreement is the share of the weight, the votes are heads."""
        said = [Said("ann", "cat"), Said("bob", "dog"), Said("cem", "dog")]
        assert weighted_vote(said, {"ann": 0.75, "bob": 0.125, "cem": 0.125}) == Label("cat", 0.75, 3)

    def test_a_tie_goes_to_the_latest_voice(self) -> None:
        """Of the classes that weigh the same, though the sums may differ by rounding."""
        said = [Said("a", "cat", at(2)), Said("b", "cat", at(1)), Said("c", "dog", at(3))]
        found = weighted_vote(said, {"a": 0.1, "b": 0.2, "c": 0.3})
        assert found
        assert found.value == "dog"

    def test_who_skips_has_no_voice_and_needs_no_weight(self) -> None:
        """Nobody left: no label."""
        assert weighted_vote([Said("ann", "cat", at(1)), Said("ann", None, at(2)), Said("bob", "dog")], {"bob": 1}) == (
            Label("dog", 1, 1)
        )
        assert weighted_vote([Said("ann", None)], {}) is None

    def test_a_voice_without_a_weight_is_an_error(self) -> None:
        """Rather than a guess."""
        with pytest.raises(KeyError):
            weighted_vote([Said("ann", "cat")], {})

    @given(ANNOTATIONS, st.floats(0.01, 1))
    def test_equal_weights_are_the_majority(self, said: list[Said], weight: float) -> None:
        """Whatever the weight."""
        found, plain = weighted_vote(said, dict.fromkeys("abc", weight)), consensus(said)
        assert (found is None) == (plain is None)
        if found and plain:
            assert (found.value, found.votes) == (plain.value, plain.votes)
            assert found.agreement == pytest.approx(plain.agreement)

    @given(ANNOTATIONS, WEIGHTS, st.randoms(use_true_random=False))
    def test_the_order_of_arrival_does_not_matter(
        self, said: list[Said], weights: dict[str, float], random: object
    ) -> None:
        """Shuffled: the same to the last bit."""
        shuffled = list(said)
        random.shuffle(shuffled)  # type: ignore[attr-defined]
        found = weighted_vote(said, weights)
        assert weighted_vote(shuffled, weights) == found
        assert found is None or 0 < found.agreement <= 1


class TestDawidSkene:
    def test_without_shrinkage_it_is_crowd_kits(self) -> None:
        """The same classes and probabilities on items that several answered."""
        found = list(dawid_skene(items(SAID), shrinkage=0).values())
        assert "".join(one.value for one in found) == CLASSES
        assert [one.agreement for one in found] == pytest.approx(PROBABILITIES, abs=2e-3)

    def test_it_finds_who_is_right(self) -> None:
        """Two who are mostly right agree more often than chance with each other, three who guess with nobody."""
        rng = np.random.default_rng(0)
        truth = rng.integers(0, 2, 400)
        right = [np.where(rng.random(400) < accuracy, truth, 1 - truth) for accuracy in (0.95, 0.9, 0.5, 0.5, 0.5)]
        said = items(["".join(map(str, one)) for one in np.transpose(right)])
        skilled, plain = dawid_skene(said), {key: consensus(one) for key, one in said.items()}

        def accuracy(labels: Mapping[str, Label | None]) -> float:
            pairs = zip(labels.values(), truth, strict=True)
            return float(np.mean([label is not None and int(label.value) == t for label, t in pairs]))

        assert accuracy(skilled) > accuracy(plain) + 0.05

    def test_it_learns_who_takes_one_class_for_another(self) -> None:
        """A "1" of the fourth annotator, who calls every 0 a 1, says less than a "0" of anybody."""
        rows = ["0001", "1111", "0001", "1111", "00.1", "111."] * 10
        found = dawid_skene(items([*rows, "0..1", ".0.1"]))
        assert [one.value for one in list(found.values())[-2:]] == ["0", "0"]

    def test_a_truth_that_is_known_is_not_outvoted(self) -> None:
        """And says who is right elsewhere: two against one, but the one knows."""
        rows = ["011", "100"] * 5 + ["011"]
        known = {f"item {row:03d}": rows[row][0] for row in range(10)}
        found = dawid_skene(items(rows), known)
        assert found["item 000"] == Label("0", 1.0, 3)
        assert found["item 010"].value == "0"
        assert dawid_skene(items(rows))["item 010"].value == "1"

    def test_spammers_who_always_say_the_same_are_not_taken_for_the_truth(self) -> None:
        """Most items have one voice, and two of four people only click the first class; accuracies tell them apart."""
        rng = np.random.default_rng(1)
        truth = rng.integers(0, 5, 400)
        rows = []
        for row, t in enumerate(truth):
            said = [str(t), str(t), "0", "0"]
            heard = {row % 4} | ({(row + 1) % 4} if row % 5 == 0 else set())
            rows.append("".join(one if who in heard else "." for who, one in enumerate(said)))
        accuracies = {f"annotator {who}": accuracy for who, accuracy in enumerate((0.85, 0.85, 0.4, 0.4))}
        found = list(dawid_skene(items(rows), accuracies=accuracies).values())
        honest = [row for row in range(400) if row % 4 < 2]
        assert np.mean([int(found[row].value) == truth[row] for row in honest]) > 0.95

    def test_one_voice_alone_is_the_label_as_far_as_it_is_trusted(self) -> None:
        """Nothing else is known of the item."""
        found = dawid_skene({"x": [Said("ann", "cat")], "y": [Said("bob", "dog")]}, accuracies={"ann": 0.9, "bob": 0.8})
        assert [(one.value, one.votes) for one in found.values()] == [("cat", 1), ("dog", 1)]
        assert [one.agreement for one in found.values()] == pytest.approx([0.9, 0.8])

    def test_two_who_always_contradict_each_other_tie(self) -> None:
        """The latest voice decides, of each item by itself; a skip is none."""
        said = {
            "x": [Said("ann", "cat", at(1)), Said("bob", "dog", at(2))],
            "y": [Said("ann", "dog", at(2)), Said("bob", "cat", at(1))],
            "z": [Said("ann", None)],
        }
        assert {key: one.value for key, one in dawid_skene(said).items()} == {"x": "dog", "y": "dog"}
        assert dawid_skene({}) == {}

    @given(st.dictionaries(st.sampled_from("uvwxyz"), ANNOTATIONS), st.randoms(use_true_random=False))
    def test_the_order_of_arrival_does_not_matter(self, said: dict[str, list[Said]], random: object) -> None:
        """Items and annotations shuffled: the same to the last bit; the agreement is a probability."""
        keys = list(said)
        random.shuffle(keys)  # type: ignore[attr-defined]
        shuffled = {key: list(said[key]) for key in keys}
        for one in shuffled.values():
            random.shuffle(one)  # type: ignore[attr-defined]
        found = dawid_skene(said)
        assert dawid_skene(shuffled) == found
        assert all(0 < one.agreement <= 1 for one in found.values())
        assert set(found) == {key for key in said if consensus(said[key])}
