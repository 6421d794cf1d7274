"""Looking at a hold-out again and again, and the rules besides the target."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alearn.core.estimation import lower_bound
from alearn.core.forecast import forecast
from alearn.core.stopping import (
    Budget,
    Decision,
    Spent,
    all_of,
    always_valid_bound,
    any_of,
    changed,
    exhausted,
    kappa,
    look_confidence,
    look_confidences,
    overlap,
    payable,
    plateau,
    stable,
    sure,
    unchanged,
)

OVERLAPS = st.lists(st.floats(0, 1), max_size=12)


@given(st.floats(0.8, 0.99), OVERLAPS)
def test_a_look_is_never_cheaper_than_a_single_one(confidence: float, overlaps: list[float]) -> None:
    """However alike looks are, each is at least as strict as one look alone; and it does not depend on later ones."""
    found = look_confidences(confidence, overlaps)
    assert len(found) == len(overlaps) + 1
    assert all(confidence <= one < 1 for one in found)
    assert look_confidences(confidence, overlaps[:-1]) == found[: len(overlaps)] or not overlaps


@pytest.mark.parametrize("confidence", [0.95, 0.99, 0.9999])
def test_looks_that_have_nothing_in_common_cost_as_much_as_a_sum(confidence: float) -> None:
    """Then next to nothing is saved; where they are nearly the same nearly all is."""
    apart, alike = look_confidences(confidence, [0.0] * 9), look_confidences(confidence, [1.0] * 9)
    for look, level in enumerate(apart, start=1):
        assert 1 - level == pytest.approx(1 - look_confidence(confidence, look), rel=0.03)
    assert 1 - alike[-1] > 5 * (1 - apart[-1])


@given(st.floats(0.8, 0.999), OVERLAPS)
def test_what_looks_have_in_common_never_costs(confidence: float, overlaps: list[float]) -> None:
    """No look is stricter than if nothing were known of the others, but for a hundredth of its error."""
    for look, level in enumerate(look_confidences(confidence, overlaps), start=1):
        assert 1 - level >= 0.99 * (1 - look_confidence(confidence, look))


@pytest.mark.parametrize("alike", [0.3, 0.9, 0.98])
def test_the_error_is_spent_to_the_last_part(alike: float) -> None:
    """Loops whose errors are what is assumed cross a bound as often as the schedule says: no more, and hardly less."""
    rng, runs, looks = np.random.default_rng(0), 100_000, 12
    bounds = [NormalDist().inv_cdf(level) for level in look_confidences(0.95, [alike] * (looks - 1))]
    error = rng.standard_normal(runs)
    crossed = error > bounds[0]
    for bound in bounds[1:]:
        error = alike * error + math.sqrt(1 - alike**2) * rng.standard_normal(runs)
        crossed |= error > bound
    assert crossed.mean() == pytest.approx(
        sum(1 - look_confidence(0.95, look) for look in range(1, looks + 1)), rel=0.06
    )


def test_a_confidence_beyond_every_table_stops_nothing() -> None:
    """Where the error that is allowed is smaller than a number can be, the bound is never loose."""
    assert min(look_confidences(math.nextafter(1, 0), [0.5, 0.9])) > 1 - 1e-12


def test_all_looks_together_err_as_seldom_as_they_say() -> None:
    """Models near the target, looked at ten times while the hold-out grows: few ever stop."""
    rng, runs, looks, size, target = np.random.default_rng(0), 250, 10, 200, 0.9
    own, state = rng.standard_normal((2, runs, size))
    seen = np.full((runs, looks, size), math.nan)
    for look in range(looks):
        state = 0.95 * state + math.sqrt(1 - 0.95**2) * rng.standard_normal((runs, size))
        n = 20 * (look + 1)
        seen[:, look, :n] = (math.sqrt(0.6) * own + math.sqrt(0.4) * state < 1.2815)[:, :n]  # right about 90 %
    sizes = 20 * np.arange(1, looks + 1)
    hits = np.nansum(seen, axis=2)
    levels = [look_confidences(0.95, [overlap(a, b) for a, b in pairwise(run)]) for run in seen]
    together, single = (
        ((lower_bound(hits, sizes, confidence=level) >= target) & (sizes >= 30)).any(axis=1).mean()
        for level in (np.array(levels), 0.95)
    )
    assert single > 0.07, "looking often without paying for it does stop too often"
    assert together <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / runs)


def test_a_hold_out_may_grow_because_the_estimate_is_above_the_target() -> None:
    """As the loop lets it: the size follows from what was seen, and still few loops near the target stop."""
    rng, runs, target, most = np.random.default_rng(0), 200, 0.9, 400
    own, state = rng.standard_normal((2, runs, most))
    sizes, seen = np.full(runs, 60), []
    for _ in range(20):
        state = 0.9 * state + math.sqrt(1 - 0.9**2) * rng.standard_normal((runs, most))
        right = math.sqrt(0.6) * own + math.sqrt(0.4) * state < 1.2815
        held = np.arange(most) < sizes[:, None]
        seen.append(np.where(held, right, math.nan))
        above = (right & held).sum(axis=1) / sizes > target
        sizes = np.where(above, np.minimum(sizes + 20, most), sizes)
    looks = np.stack(seen, axis=1)
    levels = np.array([look_confidences(0.95, [overlap(a, b) for a, b in pairwise(run)]) for run in looks])
    hits, held_at = np.nansum(looks, axis=2), (~np.isnan(looks)).sum(axis=2)
    together, single = (
        (lower_bound(hits, held_at, confidence=level) >= target).any(axis=1) for level in (levels, 0.95)
    )
    assert single.mean() > 0.1, "looking often without paying for it does stop too often"
    assert together.mean() <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / runs)


def test_the_same_answers_overlap_wholly_and_other_ones_not() -> None:
    """In between as they correlate; new labels make a look less like the one before."""
    rng = np.random.default_rng(0)
    right = (rng.random(400) < 0.8).astype(float)
    assert overlap(right, right) == pytest.approx(1.0)
    assert overlap(right, (rng.random(400) < 0.8).astype(float)) < 0.15
    half = np.where(np.arange(400) < 200, right, math.nan)
    assert 0.5 < overlap(half, right) < 0.8
    assert overlap([], []) == 0


@given(st.integers(0, 300), st.integers(0, 300))
def test_a_bound_for_all_times_is_below_that_of_one_time(right: int, wrong: int) -> None:
    """It lies in [0, share]."""
    n = right + wrong
    bound = float(always_valid_bound(right, n))
    assert 0 <= bound <= (right / n if n else 0)
    assert bound <= float(lower_bound(right, n, confidence=0.95)) + 1e-9


def test_a_bound_for_all_times_is_seldom_wrong_at_any() -> None:
    """One model, looked at after every label."""
    rng = np.random.default_rng(0)
    hits = (rng.random((200, 200)) < 0.9).cumsum(axis=1)
    bounds = always_valid_bound(hits, np.arange(1, 201)[None, :])
    assert (bounds > 0.9).any(axis=1).mean() <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 200)


@given(st.integers(1, 500), st.integers(0, 500), st.integers(1, 500))
def test_money_pays_for_whole_labels(labels: int, more: int, cents: int) -> None:
    """What is spent in cents and what is payable make the whole limit, to the last label; then it is spent."""
    each = cents / 100
    budget, spent = Budget(money=round((labels + more) * each, 2)), Spent(labels, money=labels * each, each=each)
    assert payable(budget, spent) == more
    assert exhausted(budget, spent).stop == (more == 0)


def test_money_that_does_not_pay_for_a_label_is_spent() -> None:
    """The reason says what is left and what a label costs, in the currency; without a price nothing is payable."""
    budget = Budget(money=8, currency="EUR")
    decision = exhausted(budget, Spent(99, money=7.95, each=0.08))
    assert decision.stop
    assert decision.kind == "budget"
    assert decision.reason == "the budget of 8 EUR is spent: 0.05 EUR is left, and a label costs about 0.08 EUR"
    assert exhausted(budget, Spent(100, money=8.0, each=0.08)).reason == "the budget of 8 EUR is spent"
    assert exhausted(budget, Spent(50, money=4.0, each=0.08)).reason == "50 labels so far, 4 of 8 EUR spent"
    assert payable(budget, Spent(0)) is None
    assert payable(Budget(labels=3), Spent(0, each=1.0)) is None
    assert not exhausted(budget, Spent(0)).stop


def test_limits_of_labels_hours_money_and_days() -> None:
    """Each ends it, and none that is not set."""
    spent = Spent(labels=100, hours=3.0, money=40.0, days=2.0)
    assert not exhausted(Budget(), spent).stop
    for budget, unit in [
        (Budget(labels=100), "labels"),
        (Budget(hours=3.0), "annotator hours"),
        (Budget(money=39.5), "money"),
        (Budget(days=2.0), "days"),
    ]:
        found = exhausted(budget, spent)
        assert found.stop
        assert unit in found.reason
    assert not exhausted(Budget(labels=101, hours=4, money=41, days=3), spent).stop


YES, NO = Decision(True, "plateau", "flat"), Decision(False, "go", "moving")


def test_rules_combine() -> None:
    """Any one, or all; without a rule nothing stops."""
    assert any_of([NO, YES]) == YES
    assert not any_of([NO, NO]).stop
    assert not all_of([NO, YES]).stop
    assert all_of([YES, YES]).stop
    assert not all_of([]).stop
    assert not any_of([]).stop


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(0, 2**32 - 1))
def test_agreement_of_two_models(answers: list[int], seed: int) -> None:
    """1 with itself, not above 1 with another, and symmetric; the share that changed goes with it."""
    other = np.random.default_rng(seed).integers(4, size=len(answers))
    assert kappa(answers, answers) == pytest.approx(1.0)
    assert kappa(answers, other) <= 1
    assert kappa(answers, other) == pytest.approx(kappa(other, answers))
    assert changed(answers, answers) == 0
    assert (kappa(answers, other) == pytest.approx(1.0)) == (changed(answers, other) == 0)


def test_stability_looks_back_over_a_window() -> None:
    """Fewer rounds than that are never stable, nor is what cannot be computed."""
    assert stable([0.5, 0.99, 1.0, 1.0], window=3).stop
    assert not stable([1.0, 1.0], window=3).stop
    assert not stable([1.0, 0.9, 1.0], window=3).stop
    assert not stable([1.0, math.nan, 1.0], window=3).stop
    assert unchanged([0.2, 0.0]).stop
    assert not unchanged([0.0, 0.2]).stop
    assert sure([0.9, 0.05], most=0.1).stop
    assert not sure([], most=0.1).stop


def test_a_plateau_is_a_likely_one() -> None:
    """A flat curve stops, a rising one does not, and few rounds never do."""
    labels = np.arange(20.0, 320, 20)
    flat = forecast([(one, 0.8) for one in labels], rng=np.random.default_rng(0))
    rising = forecast([(one, 0.95 - 1.5 * one**-0.5) for one in labels], rng=np.random.default_rng(0))
    assert plateau(flat, 100, 0.01).stop
    assert not plateau(rising, 300, 0.005).stop
    assert not plateau(None, 100, 0.01).stop
