"""How fast people answer, and what follows for the queue."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alearn.loop.pace import AHEAD, MEMORY, SHORTEST, Pace


@given(st.floats(0.1, 8.0), st.integers(1, 9), st.floats(SHORTEST, 100.0))
def test_a_steady_pace_is_expected_to_last(pause: float, answers: int, seconds: float) -> None:
    """As many answers as come in a while are expected in as long a while."""
    pace, now = Pace(), 0.0
    while now < seconds:
        now += pause
        pace.note(answers, now)
    steady = AHEAD * answers / pause
    slack = AHEAD * answers / min(max(now - pause, SHORTEST), MEMORY - pause) + 1  # one more or less
    assert abs(pace.ahead(now) - steady) <= steady * pause / SHORTEST + slack


def test_a_first_burst_counts_at_once() -> None:
    """Eight answers at the first look are a crowd: more is asked before they have answered all."""
    pace = Pace()
    pace.note(8, 100.0)
    assert pace.ahead(100.0) == 8 * AHEAD / SHORTEST


def test_people_who_have_gone_are_forgotten() -> None:
    """Half a minute after the last answer nothing is asked ahead."""
    pace = Pace()
    pace.note(12, 100.0)
    assert pace.ahead(101.0) > 0
    assert pace.ahead(100.0 + MEMORY) == 0
