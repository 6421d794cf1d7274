"""The guard and `auto`: what follows from what is measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alearn.core.guard import MOST, Check, check, share
from alearn.core.strategies.auto import State, agreement, choose

AHEAD, BEHIND, LEVEL = Check(0.03, 0.01, 200, 50), Check(-0.05, 0.02, 200, 50), Check(-0.005, 0.02, 200, 50)


class TestShare:
    def test_one_bad_check_changes_nothing_two_in_a_row_do(self) -> None:
        """Chance alone makes a bad check now and then."""
        assert share([BEHIND], 0.1) == 0.1
        assert share([BEHIND, LEVEL, BEHIND], 0.1) == 0.1
        assert share([BEHIND, BEHIND], 0.1) == 0.25

    def test_it_comes_back_when_the_chosen_are_ahead_again(self) -> None:
        """Halved after two good checks in a row, down to where it began."""
        assert share([BEHIND, BEHIND, AHEAD, AHEAD], 0.1) == 0.125
        assert share([BEHIND, BEHIND, AHEAD, AHEAD, AHEAD, AHEAD], 0.1) == 0.1

    @given(st.lists(st.sampled_from([AHEAD, BEHIND, LEVEL]), max_size=30), st.floats(0.01, 0.5))
    def test_it_stays_between_the_base_and_a_half(self, checks: list[Check], base: float) -> None:
        """Whatever the history."""
        assert base <= share(checks, base) <= MOST


class TestCheck:
    def test_it_is_paired_and_one_sided(self) -> None:
        """Random ones better on 20 of 200 items and worse on none: behind. Better on as many as worse: not."""
        chosen, random = np.zeros(200), np.zeros(200)
        chosen[:20] = 1
        assert check(chosen, random, np.arange(200), 40).behind
        random[20:40] = 1
        assert not check(chosen, random, np.arange(200), 40).behind

    def test_items_of_a_group_are_one_piece_of_evidence(self) -> None:
        """Twenty frames of one film prove no more than one picture."""
        chosen = np.zeros(200)
        chosen[:20] = 1
        apart = check(chosen, np.zeros(200), np.arange(200), 40)
        together = check(chosen, np.zeros(200), np.concatenate([np.zeros(20), np.arange(1, 181)]).astype(int), 40)
        assert together.ahead == pytest.approx(apart.ahead)
        assert together.error > 3 * apart.error

    def test_false_alarms_are_as_rare_as_they_should_be(self) -> None:
        """Where both are equally good, about one check in twenty is behind."""
        rng = np.random.default_rng(0)
        draws = (rng.random((2000, 2, 150)) < 0.2).astype(float)
        share_ = np.mean([check(one, other, np.arange(150), 40).behind for one, other in draws])
        assert 0.03 < share_ < 0.07


class TestAuto:
    def test_phases(self) -> None:
        """Without a model and with few labels: coverage; then uncertainty, too; when all has settled: BADGE."""
        assert choose(State(np.zeros(5), model=False)).phase == "cold start"
        assert choose(State(np.array([3, 2, 0, 0, 0]), model=True)).name == "max_herding"
        assert choose(State(np.array([8, 7, 5, 6, 4]), model=True, agreement=0.8)).name == "uncertainty_herding"
        many = np.full(5, 200)
        assert choose(State(many, model=True, agreement=0.99)).phase == "late"
        assert choose(State(many, model=True, agreement=0.9)).phase == "early"

    def test_one_class_alone_is_a_cold_start(self) -> None:
        """A model that knows one class has no doubts to follow."""
        assert choose(State(np.array([40, 0]), model=True)).name == "max_herding"

    @given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 100))
    def test_agreement_is_cohens_kappa(self, answers: list[int], seed: int) -> None:
        """As scikit-learn computes it; 1 with itself."""
        from sklearn.metrics import cohen_kappa_score

        one = np.array(answers)
        other = np.random.default_rng(seed).permutation(one)
        assert agreement(one, one) == 1
        expected = cohen_kappa_score(one, other)
        if np.isfinite(expected):
            assert agreement(one, other) == pytest.approx(expected)
