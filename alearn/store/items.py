"""The items of a loop and what is known of them.

Invariant: the counters in the loop's row equal the number of item rows, because both change in one transaction.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from alearn.store.database import chunks, upsert
from alearn.store.scope import Scope
from alearn.store.tables import ItemRow, LoopRow, PickRow, QuarantineRow


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item as selection sees it."""

    key: str
    group: str
    holdout: bool


@dataclass(frozen=True, slots=True)
class Content:
    """An item as a model sees it. Exactly one of `uri` and `text` is set."""

    key: str
    uri: str | None
    text: str | None


class Items:
    """The item rows of one loop."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def add(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Add items (key, uri, text, group, truth, holdout) that are not there yet; returns how many were new."""
        unique = {row["key"]: row for row in rows}
        with self._scope.write() as session:
            loop = self._scope.loop(session, lock=True)
            known = self._known(session, list(unique))
            fresh = [{"loop_id": loop.id, **_columns(row)} for key, row in unique.items() if key not in known]
            if fresh:
                session.execute(sa.insert(ItemRow.__table__), fresh)  # type: ignore[attr-defined]
                self._count(session, len(fresh), sum(row["holdout"] for row in fresh))
        return len(fresh)

    def _known(self, session: Session, keys: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for some in chunks(keys, 900):
            query = select(ItemRow.key).where(ItemRow.loop_id == self._scope.loop_id, col(ItemRow.key).in_(some))
            found.update(session.exec(query))
        return found

    def _count(self, session: Session, items: int, holdout: int) -> None:
        change = {"items": LoopRow.items + items, "holdout_items": LoopRow.holdout_items + holdout}
        session.execute(sa.update(LoopRow).where(col(LoopRow.id) == self._scope.loop_id).values(change))

    def source_read(self, source: str) -> None:
        """The item source with this fingerprint was read to its end."""
        with self._scope.write() as session:
            session.execute(sa.update(LoopRow).where(col(LoopRow.id) == self._scope.loop_id).values(source=source))

    def quarantine(self, reasons: Mapping[str, str], *, at: str, keyed: bool) -> None:
        """Put aside what cannot be used: {place or key: reason}. `keyed`: the places are keys of items of this loop."""
        rows = [
            {
                "loop_id": self._scope.loop_id,
                "place": place,
                "key": place if keyed else None,
                "reason": reason,
                "at": at,
            }
            for place, reason in sorted(reasons.items())
        ]
        with self._scope.write() as session:
            upsert(session, QuarantineRow, rows)
            if keyed:
                for some in chunks(sorted(reasons)):
                    mine = sa.update(PickRow).where(
                        col(PickRow.loop_id) == self._scope.loop_id, col(PickRow.key).in_(some)
                    )
                    session.execute(mine.where(col(PickRow.closed).is_(None)).values(closed="unreadable"))

    def quarantined(self) -> list[QuarantineRow]:
        """Everything that was put aside, by place."""
        query = select(QuarantineRow).where(QuarantineRow.loop_id == self._scope.loop_id).order_by(QuarantineRow.place)
        with self._scope.read() as session:
            return list(session.exec(query))

    def candidates(self) -> list[Candidate]:
        """Every item that is not quarantined, ordered by key."""
        put_aside = select(QuarantineRow.key).where(
            QuarantineRow.loop_id == self._scope.loop_id, col(QuarantineRow.key).is_not(None)
        )
        query = select(ItemRow.key, ItemRow.group, ItemRow.holdout).where(ItemRow.loop_id == self._scope.loop_id)
        with self._scope.read() as session:
            aside = set(session.exec(put_aside))
            rows = session.execute(query.order_by(ItemRow.key)).yield_per(20_000)
            return [Candidate(*row) for row in rows if row[0] not in aside]

    def contents(self, keys: Iterable[str]) -> dict[str, Content]:
        """What the items with these keys are made of."""
        found: dict[str, Content] = {}
        with self._scope.read() as session:
            for some in chunks(sorted(keys), 900):
                query = select(ItemRow.key, ItemRow.uri, ItemRow.text)
                rows = session.exec(query.where(ItemRow.loop_id == self._scope.loop_id, col(ItemRow.key).in_(some)))
                found.update({row[0]: Content(*row) for row in rows})
        return found

    def groups(self, keys: Iterable[str]) -> dict[str, str]:
        """The groups of the items with these keys."""
        return self._column(ItemRow.group, keys)

    def truths(self, keys: Iterable[str]) -> dict[str, str]:
        """The known answers of those of the keys that have one."""
        return {key: truth for key, truth in self._column(ItemRow.truth, keys).items() if truth is not None}

    def _column(self, column: Any, keys: Iterable[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        with self._scope.read() as session:
            for some in chunks(sorted(keys), 900):
                mine = sa.select(col(ItemRow.key), column).where(col(ItemRow.loop_id) == self._scope.loop_id)
                found.update((key, value) for key, value in session.execute(mine.where(col(ItemRow.key).in_(some))))
        return found


def _columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping by the table's column names."""
    return {("grp" if name == "group" else name): value for name, value in row.items()}


def as_row(item: Any, *, holdout: bool) -> dict[str, Any]:
    """A data item (key, uri, text, group, truth) as a row for `Items.add`."""
    return {field.name: getattr(item, field.name) for field in dataclasses.fields(item)} | {"holdout": holdout}
