"""Annotations as they come from the platform, and the labels that follow from them.

Invariant: a label is always the consensus of the annotations in the table; both change in one transaction with the
platform's cursor, so a crash between pulls repeats a pull and never loses one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from alearn.store.automatic import give_way
from alearn.store.database import chunks, upsert
from alearn.store.scope import Scope
from alearn.store.tables import AnnotationRow, AnnotatorRow, ItemRow, LabelRow, LoopRow, NoticeRow, PickRow


class Believed(Protocol):
    """What consensus makes of an item's annotations."""

    @property
    def value(self) -> str:
        """The class."""
        ...

    @property
    def agreement(self) -> float:
        """The share of the annotators who said so, in (0, 1]."""
        ...

    @property
    def votes(self) -> int:
        """How many annotators were heard."""
        ...


Resolve = Callable[[Sequence[AnnotationRow]], Believed | None]
"""Consensus over the annotations of one item that are not deleted."""

Closing = Callable[[Sequence[AnnotationRow], bool, int], str | None]
"""Why a pick with these annotations (a label, or none; so many opinions wanted) is no longer open; None while it is."""


@dataclass(frozen=True)
class Training:
    """The labels a model is trained on or measured with, ordered by key; `moved` are the sequence numbers at which each
    came or changed last, at most the loop's own, `label_seq`.
    """

    keys: tuple[str, ...]
    values: tuple[str, ...]
    moved: tuple[int, ...]
    label_seq: int


class Annotations:
    """The annotation and label rows of one loop."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def collect(
        self,
        states: Iterable[tuple[str, Sequence[Mapping[str, Any]]]],
        *,
        cursor: str | None,
        missing: Iterable[str] = (),
        notices: Iterable[str] = (),
        resolve: Resolve,
        closing: Closing,
        at: str,
    ) -> int:
        """Take in what the platform holds of some tasks: (key, all its annotations). Returns how many labels changed.

        Annotations that are no longer among a task's are marked deleted. `missing` are tasks that are gone altogether:
        their picks are closed, their labels kept. Where a pick is open again, the queue is marked to be ordered anew.
        """
        latest = dict(states)
        with self._scope.write() as session:
            loop = self._scope.loop(session, lock=True)
            known = self._holdout(session, list(latest))
            rows = self._merge(session, {key: latest[key] for key in latest if key in known})
            changed = self._relabel(session, loop, rows, holdout=known, resolve=resolve, at=at)
            loop.queue_round = -1 if self._close(session, rows, known, closing) else loop.queue_round
            self._close_missing(session, sorted(missing))
            self._notice(session, notices, at)
            loop.cursor = cursor if cursor is not None else loop.cursor
            session.add(loop)
        return changed

    def relabel(self, resolve: Resolve, *, at: str) -> int:
        """Set the labels of all items that have an annotation anew; returns how many changed."""
        with self._scope.write() as session:
            loop, rows = self._scope.loop(session, lock=True), dict[str, list[AnnotationRow]]()
            query = select(AnnotationRow).where(AnnotationRow.loop_id == self._scope.loop_id)
            for row in session.exec(query.where(col(AnnotationRow.deleted).is_(False))):
                rows.setdefault(row.key, []).append(row)
            holdout = self._holdout(session, list(rows))
            rows = {key: rows[key] for key in rows if key in holdout}
            changed = self._relabel(session, loop, rows, holdout=holdout, resolve=resolve, at=at)
            session.add(loop)
        return changed

    def standings(self) -> list[AnnotatorRow]:
        """How far each annotator is to be trusted, by name."""
        query = select(AnnotatorRow).where(AnnotatorRow.loop_id == self._scope.loop_id).order_by(AnnotatorRow.name)
        with self._scope.read() as session:
            return list(session.exec(query))

    def trust(self, standings: Sequence[Mapping[str, Any]]) -> None:
        """Write down how far annotators are to be trusted."""
        with self._scope.write() as session:
            upsert(session, AnnotatorRow, [{"loop_id": self._scope.loop_id, **one} for one in standings])

    def _holdout(self, session: Session, keys: Sequence[str]) -> dict[str, bool]:
        """{key: is it in the hold-out} of those of the keys that are items of this loop."""
        found: dict[str, bool] = {}
        for some in chunks(keys, 900):
            query = select(ItemRow.key, ItemRow.holdout).where(ItemRow.loop_id == self._scope.loop_id)
            found.update((key, flag) for key, flag in session.exec(query.where(col(ItemRow.key).in_(some))))
        return found

    def _merge(
        self, session: Session, latest: Mapping[str, Sequence[Mapping[str, Any]]]
    ) -> dict[str, list[AnnotationRow]]:
        """Write what is new of the annotations; returns {key: its annotations that are not deleted}."""
        before = {(row.key, row.id): row for row in self._of(session, list(latest))}
        after = {(key, str(one["id"])): one for key, ones in latest.items() for one in ones}
        fresh = [self._row(key, one) for (key, _), one in after.items()]
        gone = [row for at, row in before.items() if at not in after and not row.deleted]
        upsert(session, AnnotationRow, [row for row in fresh if row != _plain(before.get((row["key"], row["id"])))])
        for row in gone:
            row.deleted = True
            session.add(row)
        session.flush()
        merged: dict[str, list[AnnotationRow]] = {key: [] for key in latest}
        for one in fresh:
            merged[one["key"]].append(AnnotationRow(**one))
        return merged

    def _row(self, key: str, one: Mapping[str, Any]) -> dict[str, Any]:
        return {**one, "key": key, "loop_id": self._scope.loop_id, "deleted": False}

    def _of(self, session: Session, keys: Sequence[str]) -> list[AnnotationRow]:
        found: list[AnnotationRow] = []
        for some in chunks(keys):
            query = select(AnnotationRow).where(AnnotationRow.loop_id == self._scope.loop_id)
            found.extend(session.exec(query.where(col(AnnotationRow.key).in_(some))))
        return found

    def _relabel(
        self,
        session: Session,
        loop: LoopRow,
        rows: Mapping[str, Sequence[AnnotationRow]],
        *,
        holdout: Mapping[str, bool],
        resolve: Resolve,
        at: str,
    ) -> int:
        """Set the labels of these items anew; those that come out as they were are not touched."""
        before = self._labels(session, list(rows))
        fresh: list[dict[str, Any]] = []
        for key in sorted(rows):
            label = resolve(rows[key])
            value, old = (label.value if label else None), before.get(key)
            said = (value, round(label.agreement, 6), label.votes) if label else (None, 0.0, 0)
            if said == ((None, 0.0, 0) if old is None else (old.value, round(old.agreement, 6), old.annotators)):
                continue
            moved = old is None or old.value != value
            loop.label_seq += moved
            seq = loop.label_seq if moved or old is None else old.seq
            fresh.append(
                {"loop_id": loop.id, "key": key, "value": value, "agreement": said[1], "annotators": said[2]}
                | {"holdout": holdout[key], "seq": seq, "updated_at": at}
            )
        upsert(session, LabelRow, fresh)
        give_way(session, self._scope, [row["key"] for row in fresh if row["value"] is not None])
        return len(fresh)

    def _labels(self, session: Session, keys: Sequence[str]) -> dict[str, LabelRow]:
        found: dict[str, LabelRow] = {}
        for some in chunks(keys):
            query = select(LabelRow).where(LabelRow.loop_id == self._scope.loop_id, col(LabelRow.key).in_(some))
            rows = session.exec(query.execution_options(populate_existing=True))  # they may just have been upserted
            found.update({row.key: row for row in rows})
        return found

    def _close(
        self,
        session: Session,
        rows: Mapping[str, Sequence[AnnotationRow]],
        holdout: Mapping[str, bool],
        closing: Closing,
    ) -> bool:
        """Close the picks that have their answer and open those that have lost it; were there any to open?

        What the platform holds without a pick (a project that was adopted, a store that was restored) becomes one.
        """
        labels, opened = self._labels(session, list(rows)), False
        self._adopt(session, sorted(rows), holdout)
        for some in chunks(sorted(rows)):
            query = select(PickRow).where(PickRow.loop_id == self._scope.loop_id, col(PickRow.key).in_(some))
            for pick in session.exec(query):
                label, before = labels.get(pick.key), pick.closed
                pick.pushed = True  # the platform has it, even if a crash kept us from noting that
                pick.closed = closing(rows[pick.key], label is not None and label.value is not None, pick.opinions)
                opened = opened or (before is not None and pick.closed is None)
                session.add(pick)
        return opened

    def _adopt(self, session: Session, keys: Sequence[str], holdout: Mapping[str, bool]) -> None:
        found = [
            {"loop_id": self._scope.loop_id, "key": key, "round": 0, "rank": 0, "strategy": "found", "score": 1.0}
            | {"purpose": "holdout" if holdout[key] else "query", "label": None, "confidence": None}
            | {"pushed": True, "closed": None, "opinions": 1}
            for key in keys
        ]
        upsert(session, PickRow, found, keep=True)

    def _close_missing(self, session: Session, keys: Sequence[str]) -> None:
        for some in chunks(keys):
            mine = sa.update(PickRow).where(col(PickRow.loop_id) == self._scope.loop_id, col(PickRow.key).in_(some))
            session.execute(mine.where(col(PickRow.closed).is_(None)).values(closed="missing"))
            session.execute(mine.values(pushed=False))

    def _notice(self, session: Session, notices: Iterable[str], at: str) -> None:
        rows = [{"loop_id": self._scope.loop_id, "text": text, "at": at} for text in dict.fromkeys(notices)]
        upsert(session, NoticeRow, rows)

    def note(self, text: str, *, at: str) -> None:
        """Keep a sentence for the people who run the loop."""
        with self._scope.write() as session:
            self._notice(session, [text], at)

    def notices(self) -> list[NoticeRow]:
        """What people should know, oldest first."""
        query = select(NoticeRow).where(NoticeRow.loop_id == self._scope.loop_id).order_by(NoticeRow.at, NoticeRow.text)
        with self._scope.read() as session:
            return list(session.exec(query))

    def training(self, *, holdout: bool) -> Training:
        """The labels outside (or of) the hold-out, and the loop's label sequence number at that moment."""
        query = select(LabelRow.key, LabelRow.value, LabelRow.seq).where(LabelRow.loop_id == self._scope.loop_id)
        query = query.where(LabelRow.holdout == holdout, col(LabelRow.value).is_not(None)).order_by(LabelRow.key)
        with self._scope.read() as session:
            seq = self._scope.loop(session).label_seq
            rows = list(session.exec(query))
        keys, values, moved = zip(*rows, strict=True) if rows else ((), (), ())
        return Training(tuple(keys), tuple(str(one) for one in values), tuple(moved), seq)

    def labels(self) -> list[tuple[LabelRow, ItemRow]]:
        """Every label with its item, ordered by key."""
        query = select(LabelRow, ItemRow).where(
            LabelRow.loop_id == self._scope.loop_id, ItemRow.loop_id == LabelRow.loop_id
        )
        query = query.where(ItemRow.key == LabelRow.key, col(LabelRow.value).is_not(None)).order_by(LabelRow.key)
        with self._scope.read() as session:
            return [(label, item) for label, item in session.exec(query)]

    def all(self) -> list[AnnotationRow]:
        """Every annotation that was ever seen, the deleted ones included, by id."""
        query = select(AnnotationRow).where(AnnotationRow.loop_id == self._scope.loop_id).order_by(AnnotationRow.id)
        with self._scope.read() as session:
            return list(session.exec(query))

    def effort(self, longest: float) -> tuple[int, float]:
        """Annotations whose time is known, and the seconds they took; none counts for more than `longest`."""
        capped = sa.case((col(AnnotationRow.lead_time) > longest, longest), else_=col(AnnotationRow.lead_time))
        query = sa.select(sa.func.count(), sa.func.sum(capped)).where(
            col(AnnotationRow.loop_id) == self._scope.loop_id, col(AnnotationRow.lead_time).is_not(None)
        )
        with self._scope.read() as session:
            count, seconds = session.execute(query).one()
        return int(count), float(seconds or 0.0)

    def submitted(self) -> int:
        """How many annotations were ever submitted, skips not counted; those that were deleted since are."""
        query = sa.select(sa.func.count()).where(col(AnnotationRow.loop_id) == self._scope.loop_id)
        with self._scope.read() as session:
            return int(session.execute(query.where(col(AnnotationRow.skipped).is_(False))).scalar_one())

    def annotators(self) -> dict[str, int]:
        """How many annotations, skips included, each annotator has given."""
        query = select(AnnotationRow.annotator, func.count()).where(AnnotationRow.loop_id == self._scope.loop_id)
        with self._scope.read() as session:
            rows = session.exec(query.where(col(AnnotationRow.deleted).is_(False)).group_by(AnnotationRow.annotator))
            return dict(sorted(rows))


def annotation_row(annotation: Any) -> dict[str, Any]:
    """A platform's Annotation as a mapping for `collect`."""
    return {field.name: getattr(annotation, field.name) for field in dataclasses.fields(annotation)}


def _plain(row: AnnotationRow | None) -> dict[str, Any] | None:
    return None if row is None else row.model_dump()
