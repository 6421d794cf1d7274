"""The stopping decision, and the words in which it is given."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alearn.core.estimation import Interval
from alearn.core.stopping import FEWEST, Budget, Decision, Target, decide, look_confidence

GOAL = Target("f1", 0.62, positive=1)
NAN = float("nan")


def after(
    low: float = 0.5, n: int = 100, labels: int = 200, left: int = 50, open_: int = 8, budget: int | None = None
) -> Decision:
    """The decision with an F1 of 0.712 that is at least `low`."""
    return decide(Interval(0.712, low, 0.8, n), labels, left, open_, GOAL, Budget(budget))


def test_a_target_is_hit_by_the_lower_bound() -> None:
    """At the bound itself, and in these words."""
    assert after(low=0.6414) == Decision(
        True, "target", "F1 0.712, at least 0.641 with 95 % confidence: target 0.62 hit"
    )
    assert after(low=0.62).kind == "target"


def test_an_estimate_above_the_target_is_not_enough() -> None:
    """0.712 was measured, 0.60 is sure."""
    assert after(low=0.60) == Decision(
        False,
        "go",
        "F1 0.712, at least 0.600 with 95 % confidence: target 0.62 not reached yet; 200 labels so far",
    )


def test_a_bound_is_never_rounded_up_to_the_target() -> None:
    """0.6199 is not 0.620."""
    assert "at least 0.619 " in after(low=0.6199).reason


@pytest.mark.parametrize("n", [1, FEWEST - 1])
def test_too_few_holdout_labels_prove_nothing(n: int) -> None:
    """However high the bound."""
    decision = after(low=0.99, n=n)
    assert not decision.stop
    assert decision.reason == f"F1 0.712 on {n} hold-out labels; the target 0.62 needs 30; 200 labels so far"
    assert after(low=0.99, n=FEWEST).stop


def test_the_budget_ends_what_the_target_did_not() -> None:
    """Reaching it is enough; the target comes first when both are there."""
    assert after(labels=199, budget=200).reason.endswith("; 199 of 200 labels spent")
    assert after(labels=200, budget=200).kind == "budget"
    assert after(labels=200, budget=200).reason.endswith("; the budget of 200 labels is spent")
    assert after(low=0.7, labels=200, budget=200).kind == "target"


def test_an_empty_pool_ends_the_loop_when_nothing_is_open() -> None:
    """Answers that are still awaited are awaited."""
    assert after(left=0, open_=3).kind == "go"
    assert after(left=0, open_=0).kind == "empty"
    assert after(left=0, open_=0).reason.endswith("; no item is left to ask about, after 200 labels")


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (None, "F1 has no hold-out label yet, and the target 0.62 needs 30"),
        (Interval(NAN, NAN, NAN, 0), "F1 has no hold-out label yet"),
        (Interval(NAN, NAN, NAN, 45), "F1 cannot be computed yet: the 45 hold-out labels lack a class it needs"),
    ],
)
def test_what_cannot_be_measured_yet_is_no_reason_to_stop(interval: Interval | None, words: str) -> None:
    """No hold-out, or no positive item in it."""
    decision = decide(interval, 10, 100, 5, GOAL, Budget())
    assert decision.kind == "go"
    assert decision.reason.startswith(words)


def test_without_a_target_only_the_budget_and_the_pool_count() -> None:
    """A loop may be run for its labels alone."""
    assert decide(None, 5, 10, 0, None, Budget()).reason == "No target is set; 5 labels so far"
    assert decide(None, 5, 10, 0, None, Budget(5)).kind == "budget"


@given(
    low=st.floats(0, 1) | st.just(NAN), n=st.integers(0, 100), labels=st.integers(0, 50), left=st.integers(0, 5),
    open_=st.integers(0, 5), limit=st.none() | st.integers(1, 50),
)  # fmt: skip
def test_it_decides_whatever_there_is(
    low: float, n: int, labels: int, left: int, open_: int, limit: int | None
) -> None:
    """Total: a decision that agrees with itself, one line of reason."""
    value = NAN if math.isnan(low) else 1.0
    decision = decide(Interval(value, low, value, n), labels, left, open_, GOAL, Budget(limit))
    assert decision.stop == (decision.kind != "go")
    assert decision.reason
    assert "\n" not in decision.reason
    assert decision.kind != "target" or (low >= GOAL.value and n >= FEWEST)


def test_looks_share_the_error_that_is_allowed() -> None:
    """However many looks, their errors sum to less than one minus the confidence."""
    errors = [1 - look_confidence(0.95, look) for look in range(1, 5000)]
    assert errors == sorted(errors, reverse=True)
    assert 0.0499 < sum(errors) < 0.05
