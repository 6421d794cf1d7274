"""What each step saw when it did its work: the record from which a round is replayed.

A state is {kind: {name: JSON value}}. Its kinds are `loop` (config, libraries, counts), `label` and `held` (labels
outside and of the hold-out), `pick`, `said` (annotations), `trust`, `aside` (quarantined keys), `automatic` (keys with
an automatic label) and `selection`. A row holds only what has changed since the row before it, so that all rows
together grow with the labels, not with the rounds times the labels.

Invariant: rows are only ever added, in the transaction of the step that they are about; the changes of the rows up to
one, laid over each other, are what that step saw of the kinds that it looks at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from alearn.store.annotations import Training
from alearn.store.database import upsert
from alearn.store.past import KINDS, Past, State, rebuild
from alearn.store.scope import Scope
from alearn.store.tables import (
    AnnotationRow,
    ChoiceRow,
    ItemRow,
    LabelRow,
    QuarantineRow,
    RecordRow,
    RoundRow,
    SelectionRow,
)


@dataclass(frozen=True)
class Record:
    """A step's: `state` is all that it saw of each kind that is in there; `facts` are its own, such as its outcome."""

    step: str
    round: int
    state: State
    facts: Mapping[str, Any] = field(default_factory=dict)
    at: str = ""


def changes(before: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> State:
    """What is other in `now`, of the kinds it has; None: gone. No value of a state is None."""
    found: State = {}
    for kind, values in now.items():
        was = before.get(kind, {})
        other = {name: value for name, value in values.items() if was.get(name) != value}
        found[kind] = {**other, **dict.fromkeys(was.keys() - values.keys())}
    return {kind: values for kind, values in found.items() if values}


def applied(state: Mapping[str, Mapping[str, Any]], changed: Mapping[str, Mapping[str, Any]]) -> State:
    """A state with changes laid over it; the first is left alone."""
    return lay({kind: dict(values) for kind, values in state.items()}, changed)


def lay(state: State, changed: Mapping[str, Mapping[str, Any]]) -> State:
    """The same in place, so that a long chain is laid in time that does not grow with its states."""
    for kind, values in changed.items():
        here = state.setdefault(kind, {})
        for name, value in values.items():
            if value is None:
                here.pop(name, None)
            else:
                here[name] = value
    return state


def append(session: Session, scope: Scope, record: Record) -> None:
    """Add a step's record, made of JSON types as JSON has them, in the step's own transaction."""
    state, number = State(), 0
    for row in _rows(session, scope):
        state, number = lay(state, json.loads(row.changes)), row.number
    changed = json.dumps(changes(state, record.state), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    row_ = {"loop_id": scope.loop_id, "number": number + 1, "step": record.step, "round": record.round}
    upsert(session, RecordRow, [{**row_, "changes": changed, "facts": json.dumps(record.facts), "at": record.at}])


def _rows(session: Session, scope: Scope) -> Iterator[RecordRow]:
    query = select(RecordRow).where(RecordRow.loop_id == scope.loop_id).order_by(col(RecordRow.number))
    yield from session.exec(query.execution_options(yield_per=500))


class Records:
    """The record rows of one loop."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def of(self, round_: int, step: str) -> list[Record]:
        """What a step saw each time it was done for a round, oldest first; the kinds it does not look at are old."""
        found, state = list[Record](), State()
        with self._scope.read() as session:
            for row in _rows(session, self._scope):
                state = lay(state, json.loads(row.changes))
                if (row.round, row.step) == (round_, step):
                    found.append(Record(step, round_, applied(state, {}), json.loads(row.facts), row.at))
        return found

    def loop(self) -> dict[str, Any]:
        """The counts that steps depend on: the last item, the network's choice, how far the hold-out was let grow, the
        newest round that has chosen items.
        """
        mine = self._scope.loop_id
        items = select(func.max(ItemRow.id)).where(ItemRow.loop_id == mine)
        choice = select(func.max(ChoiceRow.labels)).where(ChoiceRow.loop_id == mine)
        wanted = select(func.max(RoundRow.holdout_wanted)).where(RoundRow.loop_id == mine)
        chosen = select(func.max(SelectionRow.round)).where(SelectionRow.loop_id == mine)
        with self._scope.read() as session:
            found = {
                "items": session.exec(items).one(),
                "choice": session.exec(choice).one(),
                "holdout_wanted": session.exec(wanted).one(),
                "selections": session.exec(chosen).one(),
                "label_seq": self._scope.loop(session).label_seq,
            }
        return {name: value for name, value in found.items() if value is not None}

    def seen(self, round_: int) -> State:
        """All that a selection sees, as it is now; `round_` is the one whose version chooses."""
        mine = self._scope
        only = {
            "said": col(AnnotationRow.deleted).is_(False),
            "selection": col(SelectionRow.round) == round_,
            "aside": col(QuarantineRow.key).is_not(None),
        }
        with mine.read() as session:
            labels = {kind: _labels(session, mine, holdout=kind == "held") for kind in ("label", "held")}
            return {**labels, **{kind: _named(session, mine, kind, only.get(kind, sa.true())) for kind in KINDS}}

    def selection(self, round_: int) -> dict[str, Any]:
        """How items were chosen by a round's version, as a state has it; empty where none were yet."""
        with self._scope.read() as session:
            return _named(session, self._scope, "selection", col(SelectionRow.round) == round_)

    def aside(self) -> frozenset[str]:
        """The keys of items that are quarantined now."""
        query = select(QuarantineRow.key).where(QuarantineRow.loop_id == self._scope.loop_id)
        with self._scope.read() as session:
            return frozenset(str(key) for key in session.exec(query.where(col(QuarantineRow.key).is_not(None))))

    def rebuild(self, past: Past, into: Records) -> None:
        """Make an empty loop's rows what this loop's were."""
        rebuild(self._scope, into._scope, past)


def labeled(training: Training) -> dict[str, Any]:
    """Labels as a state has them."""
    rows = zip(training.keys, training.values, training.moved, strict=True)
    return {key: [value, moved] for key, value, moved in rows}


def _labels(session: Session, scope: Scope, *, holdout: bool) -> dict[str, Any]:
    query = sa.select(col(LabelRow.key), col(LabelRow.value), col(LabelRow.seq))
    query = query.where(col(LabelRow.loop_id) == scope.loop_id, col(LabelRow.holdout) == holdout)
    return {row[0]: [*row[1:]] for row in session.execute(query.where(col(LabelRow.value).is_not(None)))}


def _named(session: Session, scope: Scope, kind: str, where: Any) -> dict[str, Any]:
    """{name: columns} of one table's rows."""
    table, name, columns = KINDS[kind]
    wanted = [col(getattr(table, one)) for one in (name, *columns)]
    query = sa.select(*wanted).where(col(getattr(table, "loop_id")) == scope.loop_id, where)  # noqa: B009
    return {str(row[0]): [*row[1:]] for row in session.execute(query)}
