"""A sample with unequal odds, that grows while the odds change, measures without bias."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alearn.core.estimation import bootstrap, contributions, drawing, odds

Floats = np.ndarray


def grown(place: Floats, phases: list[tuple[Floats, int]]) -> tuple[Floats, Floats]:
    """Draw to each phase's size with its odds: which are drawn (n,), and up to where each would have been."""
    drawn, before = np.zeros(len(place), dtype=bool), np.zeros(len(place))
    for chosen, size in phases:
        order = np.where(drawn, -1.0, place / chosen)
        drawn = np.isin(np.arange(len(place)), np.argsort(order, kind="stable")[:size])
        before = drawing.limits(chosen, drawing.reached(order, drawn), before)
    return drawn, before


def population(n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Labels, and the probabilities of a model that knows how sure it is."""
    right = rng.beta(6, 1, n)
    p = np.stack([right, 1 - right], axis=1)
    return (rng.random(n) > right).astype(np.intp), p


def test_drawing_evenly_is_a_simple_random_sample() -> None:
    """Equal odds give equal weights, and the first places."""
    place = np.random.default_rng(0).random(50)
    drawn, limit = grown(place, [(np.ones(50), 10), (np.ones(50), 25)])
    assert set(np.flatnonzero(drawn)) == set(np.argsort(place)[:25])
    assert drawing.weights(place[drawn], limit[drawn]) == pytest.approx(np.ones(25))


@given(seed=st.integers(0, 10_000), sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_what_is_drawn_lies_within_its_limit(seed: int, sizes: list[int]) -> None:
    """An item is in the sample where, and only where, its chance reaches its place, however the odds changed."""
    rng = np.random.default_rng(seed)
    place = rng.random(40)
    phases = [(rng.gamma(1, 1, 40) + 0.1, size) for size in sorted(sizes)]
    drawn, limit = grown(place, phases)
    assert drawn.sum() == max(sizes)
    # The item at which the sample stops short lies on the limit itself.
    assert (place[drawn] <= limit[drawn]).all()
    assert (place[~drawn] >= limit[~drawn] * (1 - 1e-12)).all()


@given(seed=st.integers(0, 10_000), size=st.integers(1, 30))
def test_weights_have_a_mean_of_one(seed: int, size: int) -> None:
    """So that resampling treats them as it treats none."""
    rng = np.random.default_rng(seed)
    place, limit = rng.random(size), rng.random(size)
    found = drawing.weights(place, limit)
    assert found.mean() == pytest.approx(1)
    assert (found > 0).all()


def test_a_whole_population_counts_evenly() -> None:
    """Once everything is drawn, nothing needs a weight, whatever the odds were."""
    rng = np.random.default_rng(1)
    place = rng.random(30)
    drawn, limit = grown(place, [(rng.gamma(1, 1, 30) + 0.1, 30)])
    assert drawn.all()
    assert drawing.weights(place, limit) == pytest.approx(np.ones(30))


def test_what_was_not_drawn_stands_for_itself() -> None:
    """A label beyond the limit is there for another reason, and has the least weight."""
    found = drawing.weights([0.1, 0.9], [0.2, 0.2])
    assert found[0] == pytest.approx(5 * found[1])


def test_a_drawing_stops_where_it_stopped() -> None:
    """What the sample stopped short of was not passed, whatever place / odds * odds is rounded to."""
    rng = np.random.default_rng(2)
    place, chosen = rng.random(10_000), rng.gamma(2, 1, 10_000) + 0.1
    limit = place / chosen * chosen
    assert (limit > place).any()
    assert not drawing.passed(place, limit).any()
    assert drawing.passed(place, limit * 1.01).all()
    assert drawing.weights(place, limit) == pytest.approx((1 / place) / (1 / place).mean())


def test_a_group_that_was_cut_in_two_is_where_a_drawing_stopped() -> None:
    """Those that are left of it have the place of those that are drawn."""
    assert drawing.reached([0.1, 0.2, 0.2, 0.3], [True, True, False, False]) == 0.2


def test_nothing_drawn_has_reached_nothing() -> None:
    """An empty sample has no reach; a whole one reaches everything."""
    assert drawing.reached([0.1, 0.2], [False, False]) == 0
    assert math.isinf(drawing.reached([0.1, 0.2], [True, True]))
    assert drawing.reached([0.1, 0.2, 0.3], [True, False, False]) == pytest.approx(0.2)


def estimates(metric: str, *, liar: bool, repeats: int = 600) -> tuple[Floats, Floats, float, Floats]:
    """Weighted and unweighted estimates, the truth, and lower bounds; a `liar` errs where it is sure."""
    rng = np.random.default_rng(7)
    y, p = population(4000, rng)
    if liar:
        y = np.where(p[:, 0] > np.median(p[:, 0]), (rng.random(4000) < 0.25).astype(np.intp), 0)
    chosen = odds(p, metric, positive=1)
    rule = contributions(y, p, metric, positive=1)
    truth = float(rule.mean())
    ours, plain, lows = np.empty((3, repeats))
    for at in range(repeats):
        place = rng.random(len(y))
        drawn, limit = grown(place, [(np.ones(len(y)), 25), (chosen, 50), (chosen[::-1] / 2 + chosen / 2, 100)])
        weight = drawing.weights(place[drawn], limit[drawn])
        found = bootstrap(
            y[drawn], p[drawn], range(100), metric, positive=1, confidence=0.9, rng=rng, resamples=300, weights=weight
        )
        ours[at], lows[at] = found.value, found.low
        plain[at] = bootstrap(y[drawn], p[drawn], range(100), metric, positive=1, rng=rng, resamples=10).value
    return ours, plain, truth, lows


def test_estimates_are_unbiased_while_the_odds_change() -> None:
    """The mean of the weighted estimates is the truth; that of the plain ones is far from it."""
    ours, plain, truth, _ = estimates("accuracy", liar=False)
    error = ours.std() / math.sqrt(len(ours))
    assert abs(ours.mean() - truth) < 4 * error
    assert abs(plain.mean() - truth) > 10 * error


@pytest.mark.parametrize("liar", [False, True])
def test_bounds_hold_even_where_the_model_is_wrong_about_itself(liar: bool) -> None:
    """The odds decide how much a label tells, never whether a bound may be believed."""
    _, _, truth, lows = estimates("accuracy", liar=liar)
    assert (lows > truth).mean() < 0.075


def test_worth_is_how_many_even_labels_one_is_worth() -> None:
    """More than one where the odds follow what decides the metric, one where they are equal."""
    rng = np.random.default_rng(3)
    y, p = population(4000, rng)
    place = rng.random(len(y))
    drawn, limit = grown(place, [(odds(p, "accuracy"), 400)])
    weight = drawing.weights(place[drawn], limit[drawn])
    added = contributions(y[drawn], p[drawn], "accuracy", weights=weight)
    assert 1.1 < drawing.worth(added, weight) < 4
    assert drawing.worth([0.0, 1.0, 1.0], np.ones(3)) == pytest.approx(1)
