"""Money: what counts, when it is spent, and where it is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from alearn.config import Config
from alearn.loop.controller import run
from alearn.loop.plan import Step
from alearn.loop.replaying import replay
from alearn.loop.spending import Effort, by_round, cost, effort, price
from alearn.loop.status import status_of
from alearn.loop.undertaking import Undertaking, opened

Make = Callable[..., Config]


def spending(config: Make, **sections: Any) -> Config:
    """A loop that only money ends: a label costs a tenth."""
    base: dict[str, Any] = {"budget": {"labels": None, "money": 2.5}, "costs": {"annotation": 0.1}}
    return config(**{name: {**base.get(name, {}), **sections.get(name, {})} for name in {*base, *sections}})


def submitted(loop: Undertaking) -> int:
    return sum(not row.skipped for row in loop.store.annotations.all())


def test_a_loop_stops_when_its_money_is_spent(config: Make) -> None:
    """To the last label, although batches are of ten; and says so in the currency."""
    with opened(spending(config, costs={"currency": "doubloons"})) as loop:
        outcome = run(loop)
        assert outcome.step is Step.DONE
        assert "the budget of 2.50 doubloons is spent" in outcome.reason
        assert submitted(loop) == 25
        assert [row.kind for row, _ in loop.store.rounds.history()][-1] == "budget"
        found = status_of(loop)
    assert found["costs"] == {"amount": 2.5, "currency": "doubloons", "words": "2.50 doubloons of 2.50 doubloons"}


def test_second_opinions_and_test_questions_are_paid(config: Make) -> None:
    """So the same money gives fewer labels; it is not overspent by more than the answers that were still to come."""
    options = {"annotators": 3, "accuracy": 0.9}
    many = {"overlap": 1.0, "tests": 0.1}
    with opened(spending(config, consensus=many, platform={"options": options}, budget={"money": 5})) as loop:
        outcome = run(loop)
        labels = loop.store.look().labels
        assert "the budget of 5 EUR is spent" in outcome.reason
        assert 45 <= submitted(loop) <= 60
        assert labels < 40
        assert price(loop.config, effort(loop.store), labels).money == pytest.approx(0.1 * submitted(loop) / labels)


def test_hours_have_their_price(config: Make) -> None:
    """Robots that need a minute an item at sixty an hour are a label each; both prices are added."""
    hourly = {"annotation": None, "hour": 60}
    with opened(spending(config, costs=hourly, platform={"options": {"seconds": 60.0}}, budget={"money": 20})) as loop:
        outcome = run(loop)
        worked = effort(loop.store)
        money = cost(loop.config, worked)
        assert money == pytest.approx(worked.seconds / 60, abs=1e-5)
        assert "the budget of 20 EUR is spent" in outcome.reason
        assert money < 20 + 10 * 5, "a batch was open when it was spent, at most"
    both = spending(config, costs={"annotation": 0.5, "hour": 36})
    assert cost(both, Effort(10, 500.0, 12)) == pytest.approx(12 * 0.5 + 5)
    assert price(both, Effort(10, 500.0, 12), 6).money == pytest.approx(2 * 0.5 + 2 * 0.5)
    assert price(both, Effort(10, 500.0, 12), 6).seconds == pytest.approx(100)


def test_without_a_price_there_is_no_money(config: Make) -> None:
    """Nothing is said of it, and what time costs is not known before there is one."""
    plain = config()
    assert cost(plain, Effort(10, 500.0, 10)) is None
    assert price(plain, Effort(10, 500.0, 10), 10).money is None
    hourly = spending(config, costs={"annotation": None, "hour": 36})
    assert price(hourly, Effort(0, 0.0, 10), 10).money is None
    with opened(plain) as loop:
        run(loop)
        assert status_of(loop)["costs"] is None


def test_skips_are_not_paid(config: Make) -> None:
    """Half of the items are skipped; the money goes to the answers."""
    with opened(spending(config, platform={"options": {"skip_rate": 0.5}})) as loop:
        run(loop)
        assert submitted(loop) < len(loop.store.annotations.all())
        assert cost(loop.config, effort(loop.store)) == pytest.approx(0.1 * submitted(loop))


def test_more_money_goes_on(config: Make) -> None:
    """Raising the limit decides anew, as raising the price does."""
    with opened(spending(config)) as loop:
        run(loop)
    with opened(spending(config, budget={"money": 3.5})) as loop:
        run(loop)
        assert submitted(loop) == 35
    with opened(spending(config, budget={"money": 3.5}, costs={"annotation": 0.07})) as loop:
        run(loop)
        assert submitted(loop) == 50


def test_each_round_has_its_costs(config: Make) -> None:
    """Those of the items asked about up to it, second opinions included; in the end those of the whole."""
    options = {"annotators": 2, "accuracy": 0.9}
    with opened(spending(config, consensus={"overlap": 0.3}, platform={"options": options})) as loop:
        run(loop)
        numbers = [row.number for row, _ in loop.store.rounds.history()]
        found = by_round(loop.config, loop.store, [0, *numbers])
        asked = {pick.key: pick.round for pick in loop.store.rounds.picks()}
        rows = loop.store.annotations.all()
        whole = effort(loop.store)
    assert [one["annotations"] for one in found] == [
        sum(asked[row.key] <= number for row in rows) for number in [0, *numbers]
    ]
    assert found[0] == {"annotations": 0, "hours": 0.0, "money": 0.0}
    assert found[-1]["money"] == cost(loop.config, whole)
    assert found[-1]["hours"] == pytest.approx(whole.seconds / 3600, abs=1e-3)


def test_a_selection_that_money_cut_short_is_replayed(config: Make) -> None:
    """The last batch was smaller than ten; so it is again, on a copy that knows nothing of annotators' hours."""
    hourly: dict[str, Any] = {"costs": {"annotation": None, "hour": 60}, "platform": {"options": {"seconds": 60.0}}}
    with opened(spending(config, **hourly, budget={"money": 30})) as loop:
        assert run(loop).step is Step.DONE
        chosen = [pick.round for pick in loop.store.rounds.picks()]
        rounds = sorted(set(chosen))
        assert 0 < chosen.count(rounds[-1]) < 10
        for number in rounds[1:]:
            parts = {part.name: part for part in replay(loop, number).parts}
            assert parts["picks"].verdict == parts["queue"].verdict == "same", parts
