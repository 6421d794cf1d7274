"""The policy, as a pure and total function."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from alearn.loop.plan import Policy, Snapshot, Step, plan, training_due

COUNTS = st.integers(0, 200)
SNAPSHOTS = st.builds(
    Snapshot,
    **{
        field.name: st.booleans() if field.type == "bool" else st.integers(1, 64) if field.name == "batch" else COUNTS
        for field in dataclasses.fields(Snapshot)
    },
)
READY = Snapshot(prepared=True, batch=10, low=2, selectable=100, affordable=100)


def after(**changes: object) -> Step:
    return plan(dataclasses.replace(READY, **changes))  # type: ignore[arg-type]


@given(SNAPSHOTS)
def test_every_snapshot_has_a_step(now: Snapshot) -> None:
    """Whatever was interrupted, there is a next step."""
    assert plan(now) in Step


@given(SNAPSHOTS)
def test_nobody_waits_for_nothing(now: Snapshot) -> None:
    """WAIT is planned only while something is open for annotators to answer, or a version is being made."""
    if plan(now) is Step.WAIT:
        assert now.open > 0 or now.busy


@given(SNAPSHOTS)
def test_selection_is_never_empty_handed(now: Snapshot) -> None:
    """SELECT is planned only when there is something to pick or an open queue to put in a new order."""
    if plan(now) is Step.SELECT:
        assert (min(now.selectable, now.affordable) > 0 and now.open <= now.low) or (now.open and now.queue_stale)


@given(SNAPSHOTS)
def test_a_stop_is_final(now: Snapshot) -> None:
    """After a decision to stop nobody is asked, and nothing is trained unless the config asks for another model."""
    stopped = dataclasses.replace(now, round=3, evaluated=True, decided=True, stopped=True, busy=False)
    assert plan(stopped) not in {Step.CHOOSE, Step.SELECT, Step.WAIT}
    assert plan(dataclasses.replace(stopped, stale=False)) is not Step.TRAIN


def test_people_who_answer_now_are_asked_before_anything_is_trained() -> None:
    """A queue that runs low is filled first; but nothing more is asked once it was decided to stop."""
    low = {"open": 1, "round": 1, "changed": 10, "due": True}
    assert after(**low) is Step.EVALUATE
    assert after(**low, hurried=True) is Step.SELECT
    assert after(**{**low, "open": 3}, hurried=True, evaluated=True, decided=True) is Step.TRAIN
    assert after(**low, hurried=True, evaluated=True, decided=True, stopped=True) is Step.DONE


def test_the_life_of_a_round() -> None:
    """Prepare, select, push, wait, train, evaluate, decide, and select again."""
    assert plan(Snapshot()) is Step.PREPARE
    assert after() is Step.SELECT
    assert after(open=10, unpushed=10, queue_unapplied=True) is Step.PUSH
    assert after(open=10) is Step.WAIT
    assert after(open=2, changed=10, due=True) is Step.TRAIN
    assert after(open=2, round=1) is Step.EVALUATE
    assert after(open=2, round=1, evaluated=True) is Step.DECIDE
    assert after(open=2, round=1, evaluated=True, decided=True, queue_stale=True) is Step.SELECT


def test_a_full_queue_is_only_reordered() -> None:
    """Above the low mark a new version changes the order of the queue, and that once."""
    full = {"open": 9, "round": 1, "evaluated": True, "decided": True}
    assert after(**full, queue_stale=True) is Step.SELECT
    assert after(**full) is Step.WAIT


def test_an_empty_queue_does_not_train_on_next_to_nothing() -> None:
    """With nothing open, half a batch of labels is worth a version; with less, more is asked first."""
    assert after(changed=5) is Step.TRAIN
    assert after(changed=4) is Step.SELECT


def test_the_last_labels_are_used() -> None:
    """When nothing is open and nothing can be asked, the few labels that are left are trained on as well."""
    assert after(changed=3, selectable=0) is Step.TRAIN
    assert after(selectable=0) is Step.DONE
    assert after(affordable=0) is Step.DONE


def test_annotators_do_not_wait_for_training() -> None:
    """While a version is being made, the queue is still filled when it is low, and nothing else is begun."""
    assert after(busy=True, round=1, open=2, changed=50, due=True) is Step.SELECT
    assert after(busy=True, round=1, open=3, changed=50, due=True) is Step.WAIT
    assert after(busy=True, round=1, open=0, selectable=0) is Step.WAIT
    assert after(busy=True, open=30, unpushed=5) is Step.PUSH


def due(changed: int, **more: object) -> bool:
    policy = Policy(**{"labels": 10, "share": 0.5, "seconds": 60.0, **more.pop("policy", {})})  # type: ignore[dict-item]
    return training_due(policy, changed=changed, **{"labels": 100, "seconds": 1.0, "asked": False, **more})  # type: ignore[arg-type]


def test_retraining_is_due_by_count_share_time_or_wish() -> None:
    """Whichever comes first; without a changed label it never is."""
    assert not due(9)
    assert due(10)
    assert due(5, labels=10)
    assert not due(4, labels=10)
    assert due(1, seconds=60.0)
    assert not due(1, seconds=None)
    assert due(1, asked=True)
    assert not due(0, asked=True, seconds=1e9, labels=0)
