"""Trust: what test questions and agreement say of an annotator, and when it is enough to flag somebody."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from alearn.core.trust import Rule, Standing, Tally, bad_accuracy, question_rate, standings, tally, vote_weight


@dataclass(frozen=True)
class Said:
    annotator: str
    value: str | None
    updated_at: str = "2024-05-01T10:00:00Z"
    id: str = "1"


def team(*questions: tuple[int, int], pairs: dict[tuple[int, int], tuple[float, float]] | None = None) -> Tally:
    """(right, asked) of each annotator, named by letters, and (agreed, compared) of pairs."""
    right, asked = np.array(questions, dtype=float).T
    agreed, compared = np.zeros((2, len(questions), len(questions)))
    for (one, other), (k, n) in (pairs or {}).items():
        agreed[one, other] = agreed[other, one] = k
        compared[one, other] = compared[other, one] = n
    return Tally(tuple("abcdefgh"[: len(questions)]), right, asked, agreed, compared)


class TestTally:
    def test_test_questions_are_held_against_the_truth(self) -> None:
        """The latest word counts; a skip is no answer; what others said of the same question is not compared."""
        said = {
            "q1": [Said("ann", "dog", id="1"), Said("ann", "cat", id="2"), Said("bob", "dog")],
            "q2": [Said("ann", None), Said("bob", "dog")],
        }
        found = tally(said, {"q1": "cat", "q2": "dog"})
        assert found.annotators == ("ann", "bob")
        assert found.right.tolist() == [1, 1]
        assert found.asked.tolist() == [1, 2]
        assert not found.compared.any()

    def test_an_item_counts_once_for_each_person_however_many_answered(self) -> None:
        """Three people: two comparisons each, of half a weight."""
        said = {"x": [Said("ann", "cat"), Said("bob", "cat"), Said("cem", "dog")], "y": [Said("ann", "cat")]}
        found = tally(said, {})
        assert found.compared.sum(axis=1).tolist() == [1, 1, 1]
        assert found.agreed.tolist() == [[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]]

    @given(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("abc"), st.sampled_from("01"))), st.randoms())
    def test_the_order_of_arrival_does_not_matter(self, said: list[tuple[str, str, str]], random: object) -> None:
        """To the last bit."""
        every = [(key, Said(who, value, id=str(at))) for at, (key, who, value) in enumerate(said)]
        shuffled = list(every)
        random.shuffle(shuffled)  # type: ignore[attr-defined]
        one, other = (
            tally({key: [said for name, said in some if name == key] for key in keys}, {"z": "0"})
            for some, keys in ((every, "xyz"), (shuffled, "zyx"))
        )
        assert one.annotators == other.annotators
        for name in ("right", "asked", "agreed", "compared"):
            assert np.array_equal(getattr(one, name), getattr(other, name))


class TestStandings:
    def test_test_questions_alone_give_their_share_and_an_interval_around_it(self) -> None:
        """Close to the beta posterior where there are many; wide where there are few."""
        found = standings(team((80, 100), (4, 5), (0, 0)), 5)
        assert found["a"].mean == pytest.approx(0.80, abs=0.02)
        assert found["a"].low == pytest.approx(0.71, abs=0.02)
        assert found["a"].high == pytest.approx(0.87, abs=0.02)
        assert found["b"].high - found["b"].low > 2 * (found["a"].high - found["a"].low)
        assert found["c"].low < 0.2
        assert (found["a"].asked, found["a"].compared) == (100, 0)

    def test_agreement_counts_as_far_as_the_other_is_trusted(self) -> None:
        """With somebody whose test questions were right it tells much, with a guesser nothing."""
        pairs = {(0, 2): (10.0, 10.0), (1, 3): (10.0, 10.0)}
        found = standings(team((0, 0), (0, 0), (40, 40), (500, 1000), pairs=pairs), 2)
        alone = standings(team((0, 0)), 2)["a"].mean
        assert found["a"].mean > alone + 0.05
        assert found["b"].mean == pytest.approx(alone, abs=0.02)

    def test_two_spammers_do_not_vouch_for_each_other(self) -> None:
        """They answer a hundred items alike, and test questions by chance: the agreement does not save them."""
        found = standings(team((2, 8), (1, 8), pairs={(0, 1): (100.0, 100.0)}), 5)
        without = standings(team((2, 8), (1, 8)), 5)
        assert without["a"].flagged
        assert found["a"].flagged
        assert found["b"].flagged

    def test_more_agreement_of_one_person_than_the_limit_adds_nothing(self) -> None:
        """A hundred count as five."""
        few, many = (standings(team((0, 0), (3, 3), pairs={(0, 1): (n, n)}), 3)["a"] for n in (5.0, 100.0))
        assert few.mean == pytest.approx(many.mean)

    def test_spammers_cannot_get_an_honest_annotator_flagged(self) -> None:
        """Two who fail their test questions contradict somebody who does not."""
        pairs = {(0, 1): (4.0, 20.0), (0, 2): (4.0, 20.0), (1, 2): (20.0, 20.0)}
        found = standings(team((5, 5), (1, 5), (1, 5), pairs=pairs), 5)
        assert not found["a"].flagged
        assert found["b"].flagged

    def test_nobody_is_flagged_on_little_evidence(self) -> None:
        """One wrong answer, or one item on which others differ."""
        found = standings(team((0, 1), (1, 1), (2, 2), pairs={(0, 1): (0.0, 1.0), (0, 2): (0.0, 1.0)}), 2)
        assert not any(one.flagged for one in found.values())

    def test_good_annotators_are_hardly_ever_flagged_over_hundreds_of_looks(self) -> None:
        """Somebody just good enough, looked at after each of 300 test questions: less than the false alarm, 2 %."""
        ever = flagged_share(0.9, 300)
        assert ever < 0.02 + 0.015

    def test_the_bad_are_flagged_in_the_end(self) -> None:
        """Well below the threshold nearly always, the guesser early."""
        assert flagged_share(0.6, 300) > 0.97
        assert flagged_share(0.5, 40) > 0.8
        assert flagged_share(0.2, 15) > 0.95

    def test_the_interval_covers_the_accuracy(self) -> None:
        """In at least nine of ten runs, with twenty test questions, for good and bad annotators."""
        rng = np.random.default_rng(2)
        for accuracy in (0.2, 0.6, 0.9, 0.95):
            found = standings_of(rng.binomial(20, accuracy, 300), 20)
            assert np.mean([one.low <= accuracy <= one.high for one in found]) >= 0.9

    def test_nobody(self) -> None:
        """No annotations, no standings."""
        assert standings(tally({}, {}), 2) == {}

    @given(
        st.lists(
            st.integers(0, 20).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=2, max_size=5
        ),
        st.integers(2, 10),
        st.integers(0, 2**32 - 1),
    )
    def test_whatever_was_said_the_numbers_make_sense(
        self, questions: list[tuple[int, int]], classes: int, seed: int
    ) -> None:
        """low <= mean <= high in [0, 1], a weight in (0, 1]; and who comes first does not matter."""
        rng, size = np.random.default_rng(seed), len(questions)
        places = [(one, other) for one in range(size) for other in range(one)]
        pairs = {
            place: (float(rng.integers(0, n + 1)), float(n)) for place in places for n in [int(rng.integers(0, 30))]
        }
        found = standings(team(*questions, pairs=pairs), classes)
        for one in found.values():
            assert 0 <= one.low <= one.mean <= one.high <= 1
            assert 0 < one.weight <= 1
        back = {(size - 1 - one, size - 1 - other): counts for (one, other), counts in pairs.items()}
        reversed_ = standings(team(*questions[::-1], pairs=back), classes)
        for mine, theirs in zip(found.values(), list(reversed_.values())[::-1], strict=True):
            assert mine.doubt == pytest.approx(theirs.doubt)
            assert mine.mean == pytest.approx(theirs.mean)

    @given(st.integers(0, 30), st.integers(0, 30), st.integers(2, 10))
    def test_a_right_answer_never_hurts(self, right: int, wrong: int, classes: int) -> None:
        """Higher mean, weight no lower, less doubt."""
        before, after = (standings(team((right + more, right + wrong + more)), classes)["a"] for more in (0, 1))
        assert after.mean >= before.mean
        assert after.weight >= before.weight
        assert after.doubt < before.doubt


def flagged_share(accuracy: float, questions: int) -> float:
    """The share of 400 annotators who are ever flagged when looked at after each test question."""
    right = np.cumsum(np.random.default_rng(0).random((400, questions)) < accuracy, axis=1)
    ever = np.zeros(400, dtype=bool)
    for asked in range(1, questions + 1):
        ever |= [one.flagged for one in standings_of(right[:, asked - 1], asked)]
    return float(ever.mean())


def standings_of(right: NDArray[Any], asked: int) -> list[Standing]:
    """Of annotators who share no item, one for each count of right answers."""
    by_count = {int(count): standings(team((int(count), asked)), 2)["a"] for count in np.unique(right)}
    return [by_count[int(count)] for count in right]


def test_the_evidence_turns_at_the_threshold() -> None:
    """Test questions answered at just its rate leave the doubt where it was."""
    for rule in (Rule(), Rule(threshold=0.6, good=0.95), replace(Rule(), threshold=0.5)):
        worse = bad_accuracy(rule)
        assert 0 < worse < rule.threshold
        drift = rule.threshold * math.log(worse / rule.good) + (1 - rule.threshold) * math.log(
            (1 - worse) / (1 - rule.good)
        )
        assert drift == pytest.approx(0, abs=1e-6)


def test_votes_weigh_by_their_log_odds_against_chance() -> None:
    """Nothing at chance, 1 from 99 %; twice the log odds, twice the weight."""
    assert vote_weight(0.5, 2) == vote_weight(0.2, 5) == vote_weight(0.0, 5) == 0.01
    assert vote_weight(0.99, 3) == vote_weight(1.0, 3) == 1
    assert vote_weight(0.9, 2) == pytest.approx(2 * vote_weight(0.75, 2))
    assert vote_weight(0.6, 10) > vote_weight(0.6, 2)


def test_test_questions_go_where_they_decide_something() -> None:
    """To those of whom we do not know yet; not often to those who are known, good or bad."""
    found = standings(team((0, 20), (20, 20), (2, 3)), 2)
    assert [question_rate(found[name], 0.05) for name in "abc"] == [0.01, 0.01, 0.25]
    assert question_rate(None, 0.05) == 0.25
    assert question_rate(None, 0.5) == 1
