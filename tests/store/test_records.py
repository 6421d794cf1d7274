"""What steps saw, kept as changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from alearn.core.schema import LabelSchema
from alearn.store import Store
from alearn.store.records import Record, applied, changes

NOW = "2026-01-01T00:00:00+00:00"
NAMES = st.sampled_from(["a", "b", "c", "d"])
VALUES = st.lists(st.one_of(st.none(), st.booleans(), st.integers(0, 3), st.text(max_size=3)), max_size=3)
STATES = st.dictionaries(st.sampled_from(["label", "held", "pick"]), st.dictionaries(NAMES, VALUES))


@given(STATES, STATES)
def test_changes_laid_over_a_state_give_the_next(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Of the kinds that the next one has; all others stay as they were, and nothing is changed in place."""
    kept = {kind: dict(values) for kind, values in before.items()}
    found = applied(before, changes(before, now))
    assert before == kept
    for kind in {*before, *now}:
        assert found.get(kind, {}) == now.get(kind, before.get(kind, {}))


@given(STATES)
def test_a_state_that_is_the_same_is_no_change(state: dict[str, Any]) -> None:
    """However large it is, its record is empty."""
    assert changes(state, state) == {}


def test_each_step_sees_its_own_state(tmp_path: Path) -> None:
    """Also one that saw what was there before another that was written down first, as a version from the background."""
    store = Store.open("loop", LabelSchema(("owl", "crow")), url=None, home=tmp_path, at=NOW)
    first = {"label": {"a": ["owl", 1]}, "pick": {"a": [1, "query"], "b": [1, "query"]}}
    later = {"label": {"a": ["owl", 1], "b": ["crow", 2]}, "pick": {"b": [1, None]}}
    other = {"label": {"a": ["owl", 1]}, "loop": {"items": 3}}
    for round_, step, state in ((1, "select", first), (2, "select", later), (1, "train", other), (3, "select", later)):
        store.rounds.choose([], {}, version="q", round_=0, record=Record(step, round_, state, {"of": round_}))
    (found,) = store.records.of(2, "select")
    assert (found.state["label"], found.state["pick"], found.facts) == (later["label"], later["pick"], {"of": 2})
    (found,) = store.records.of(1, "train")
    assert (found.state["label"], found.state["loop"]) == (other["label"], other["loop"])
    (found,) = store.records.of(3, "select")
    assert (found.state["label"], found.state["pick"]) == (later["label"], later["pick"])
    assert store.records.of(4, "select") == []
