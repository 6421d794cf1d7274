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
            if self._readable_again(session, sorted(known)):
                loop.queue_round = -1
                session.add(loop)
            if fresh:
                session.execute(sa.insert(ItemRow.__table__), fresh)  # type: ignore[attr-defined]
                self._count(session, len(fresh), sum(row["holdout"] for row in fresh))
        return len(fresh)

    def _readable_again(self, session: Session, keys: Sequence[str]) -> bool:
        """What was put aside and has now been read is put back; returns whether there was such."""
        aside = select(QuarantineRow.key).where(QuarantineRow.loop_id == self._scope.loop_id)
        back = sorted({str(key) for key in session.exec(aside.where(col(QuarantineRow.key).is_not(None)))} & set(keys))
        for some in chunks(back):
            mine = sa.delete(QuarantineRow).where(col(QuarantineRow.loop_id) == self._scope.loop_id)
            session.execute(mine.where(col(QuarantineRow.key).in_(some)))
            picks = sa.update(PickRow).where(col(PickRow.loop_id) == self._scope.loop_id, col(PickRow.key).in_(some))
            session.execute(picks.where(col(PickRow.closed) == "unreadable").values(closed=None))
        return bool(back)

    def split(self, how: str) -> str:
        """How items are divided into pool and hold-out: `how` when nobody has said yet. Returns what holds."""
        with self._scope.write() as session:
            loop = self._scope.loop(session, lock=True)
            loop.split = loop.split or how
            session.add(loop)
            return loop.split

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
        with self._scope.write() as session:
            put_aside(session, self._scope, reasons, at=at, keyed=keyed)
            for some in chunks(sorted(reasons)) if keyed else ():
                mine = sa.update(PickRow).where(col(PickRow.loop_id) == self._scope.loop_id, col(PickRow.key).in_(some))
                session.execute(mine.where(col(PickRow.closed).is_(None)).values(closed="unreadable"))

    def found_again(self, places: Iterable[str]) -> None:
        """These places, which became no item when they were last read, hold one now."""
        with self._scope.write() as session:
            for some in chunks(sorted(places)):
                mine = sa.delete(QuarantineRow).where(col(QuarantineRow.loop_id) == self._scope.loop_id)
                session.execute(mine.where(col(QuarantineRow.place).in_(some)))

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

    def arrivals(self, keys: Iterable[str]) -> dict[str, int]:
        """A number for each of the keys that is larger the later the item came into the store."""
        return self._column(ItemRow.id, keys)

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


def put_aside(session: Session, scope: Scope, reasons: Mapping[str, str], *, at: str, keyed: bool) -> None:
    """Write quarantine rows, {place or key: reason}, in the caller's transaction."""
    held: dict[str, bool] = {}
    for some in chunks(sorted(reasons)) if keyed else ():
        query = select(ItemRow.key, ItemRow.holdout).where(ItemRow.loop_id == scope.loop_id)
        held.update((key, flag) for key, flag in session.exec(query.where(col(ItemRow.key).in_(some))))
    rows = [
        {"loop_id": scope.loop_id, "place": place, "key": place if place in held else None, "reason": reason}
        | {"holdout": held.get(place), "at": at}
        for place, reason in sorted(reasons.items())
    ]
    upsert(session, QuarantineRow, rows)


def _columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping by the table's column names."""
    return {("grp" if name == "group" else name): value for name, value in row.items()}


def as_row(item: Any, *, holdout: bool) -> dict[str, Any]:
    """A data item (key, uri, text, group, truth) as a row for `Items.add`."""
    return {field.name: getattr(item, field.name) for field in dataclasses.fields(item)} | {"holdout": holdout}
