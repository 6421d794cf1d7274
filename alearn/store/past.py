"""Making an empty store what a loop's store was at a moment.

Invariant: the loop's own store is only read. Rows that never change once there is a newer round are copied; all others
come from the state that was recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, SQLModel, col, select

from alearn.store.database import upsert
from alearn.store.scope import Scope
from alearn.store.tables import (
    AnnotationRow,
    AnnotatorRow,
    AutomaticRow,
    ChoiceRow,
    ItemRow,
    LabelRow,
    LoopRow,
    PickRow,
    QuarantineRow,
    RoundRow,
    SelectionRow,
    VersionRow,
)

State = dict[str, dict[str, Any]]
"""{kind: {name: value}}, as `records` says."""

KINDS: Mapping[str, tuple[type[SQLModel], str, tuple[str, ...]]] = {
    "pick": (PickRow, "key", ("round", "rank", "purpose", "strategy", "score", "closed", "opinions")),
    "said": (
        AnnotationRow,
        "id",
        ("key", "annotator", "value", "skipped", "refused", "trusted", "updated_at"),
    ),
    "trust": (AnnotatorRow, "name", ("mean", "low", "high", "asked", "compared", "weight", "flagged")),
    "selection": (SelectionRow, "round", ("strategy", "reason", "facts")),
    "aside": (QuarantineRow, "key", ("holdout",)),
    "automatic": (AutomaticRow, "key", ()),
}
"""Of each kind but labels: its table, the column that names a row, and the columns that are kept."""
REST: Mapping[str, Mapping[str, Any]] = {
    "pick": {"pushed": True, "label": None, "confidence": None},
    "said": {"deleted": False},
    "trust": {"at": ""},
    "selection": {"at": ""},
    "aside": {"reason": "", "at": ""},
    "automatic": {"label": "", "confidence": 0.0, "version": "", "certificate": "", "at": ""},
}
"""What the other columns are given: nothing that is replayed depends on them."""

PIECE = 5_000


@dataclass(frozen=True)
class Past:
    """The moment: its state; the rounds that there were, `rounds` being the last; which items are needed, None: all."""

    state: State
    rounds: int
    keys: frozenset[str] | None = None


def rebuild(source: Scope, target: Scope, past: Past) -> None:
    """Fill an empty loop with the rows of a moment."""
    with source.read() as there, target.write() as here:
        for rows in _items(there, source, past):
            here.execute(sa.insert(ItemRow.__table__), [{**row, "loop_id": target.loop_id} for row in rows])  # type: ignore[attr-defined]
        for table, found in _copied(there, source, past):
            upsert(here, table, [{**row.model_dump(), "loop_id": target.loop_id} for row in found])
        for table, rows in _recorded(past):
            upsert(here, table, [{**row, "loop_id": target.loop_id} for row in rows])
        here.execute(sa.update(LoopRow).where(col(LoopRow.id) == target.loop_id).values(**_counts(there, source, past)))


def _items(session: Session, scope: Scope, past: Past) -> Iterator[list[dict[str, Any]]]:
    """The item rows of then, in pieces, without their numbers."""
    table: sa.Table = ItemRow.__table__  # type: ignore[attr-defined]
    columns = [one for one in table.columns if one.name not in {"id", "loop_id"}]
    query = sa.select(*columns).where(
        table.c.loop_id == scope.loop_id, table.c.id <= past.state["loop"].get("items", 0)
    )
    for rows in session.execute(query.order_by(table.c.id)).mappings().partitions(PIECE):
        if kept := [dict(row) for row in rows if past.keys is None or row["key"] in past.keys]:
            yield kept


def _counts(session: Session, scope: Scope, past: Past) -> dict[str, Any]:
    known = past.state["loop"]
    query = sa.select(sa.func.count(), sa.func.count().filter(col(ItemRow.holdout).is_(True)))
    query = query.where(col(ItemRow.loop_id) == scope.loop_id, col(ItemRow.id) <= known.get("items", 0))
    items, held = session.execute(query).one()
    return {"items": items, "holdout_items": held, "label_seq": known.get("label_seq", 0)}


def _copied(session: Session, scope: Scope, past: Past) -> Iterator[tuple[type[SQLModel], Sequence[SQLModel]]]:
    """Rows that are as they were: versions, rounds, the selections of earlier ones, choices of a network."""
    mine, known = scope.loop_id, past.state["loop"]
    yield VersionRow, session.exec(select(VersionRow).where(VersionRow.loop_id == mine)).all()
    query = select(RoundRow).where(RoundRow.loop_id == mine, col(RoundRow.number) <= past.rounds)
    rounds = [RoundRow(**{**row.model_dump(), "holdout_wanted": None}) for row in session.exec(query)]
    for row in rounds:
        row.holdout_wanted = known.get("holdout_wanted") if row.number == past.rounds else None
    yield RoundRow, rounds
    newest = max(past.rounds - 1, known.get("selections", -1))
    chosen = select(SelectionRow).where(SelectionRow.loop_id == mine, col(SelectionRow.round) <= newest)
    yield SelectionRow, session.exec(chosen).all()
    choices = select(ChoiceRow).where(ChoiceRow.loop_id == mine, col(ChoiceRow.labels) <= known.get("choice", -1))
    yield ChoiceRow, session.exec(choices).all()


def _recorded(past: Past) -> Iterator[tuple[type[SQLModel], list[dict[str, Any]]]]:
    """Rows as the state says that they were."""
    for kind, holdout in (("label", False), ("held", True)):
        rows = [{"key": key, "value": one[0], "seq": one[1]} for key, one in sorted(past.state.get(kind, {}).items())]
        same = {"holdout": holdout, "agreement": 1.0, "annotators": 1, "updated_at": ""}
        yield LabelRow, [{**row, **same} for row in rows]
    for kind, (table, name, columns) in KINDS.items():
        found = past.state.get(kind, {})
        rows = [{name: key, **dict(zip(columns, found[key], strict=True)), **REST[kind]} for key in sorted(found)]
        yield table, [_typed(row) for row in rows]


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    """With what names could not say: the place of a quarantined item is its key, and rounds are numbers."""
    if "holdout" in row:
        return {**row, "place": row["key"]}
    return {**row, "round": int(row["round"])} if "round" in row else row
