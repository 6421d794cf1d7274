"""Picks, model versions, rounds and their numbers: the history that every decision is a function of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import col, select

from alearn.store.database import chunks, upsert
from alearn.store.items import put_aside
from alearn.store.records import Record, append
from alearn.store.scope import Scope
from alearn.store.tables import ChoiceRow, LoopRow, MetricRow, PickRow, RoundRow, SelectionRow, VersionRow


class Rounds:
    """The pick, version, round and metric rows of one loop."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def choose(
        self,
        picks: Sequence[Mapping[str, Any]],
        places: Mapping[str, Mapping[str, Any]],
        *,
        version: str,
        round_: int,
        selection: Mapping[str, Any] | None = None,
        record: Record | None = None,
    ) -> None:
        """Write new picks, and the places (score, label, confidence) of all open ones, as the queue that is wanted.

        `selection` says how they were chosen, `record` on what.
        """
        with self._scope.write() as session:
            fresh = [
                {"loop_id": self._scope.loop_id, "pushed": False, "closed": None, "opinions": 1, **pick}
                for pick in picks
            ]
            upsert(session, PickRow, fresh, keep=True)
            for start in chunks(sorted(places)):
                query = select(PickRow).where(PickRow.loop_id == self._scope.loop_id, col(PickRow.key).in_(start))
                for row in session.exec(query):
                    row.sqlmodel_update(dict(places[row.key]))
                    session.add(row)
            if selection is not None:
                upsert(session, SelectionRow, [{"loop_id": self._scope.loop_id, "round": round_, **selection}])
            if record is not None:
                append(session, self._scope, record)
            self._loop(session, queue_wanted=version, queue_round=round_)

    def selections(self) -> list[SelectionRow]:
        """How the items of each round were chosen, oldest first."""
        query = select(SelectionRow).where(SelectionRow.loop_id == self._scope.loop_id)
        with self._scope.read() as session:
            return list(session.exec(query.order_by(col(SelectionRow.round))))

    def pushed(self, keys: Collection[str], refused: Mapping[str, str], *, queue: str, at: str) -> None:
        """The platform has these tasks, has refused those (which are put aside), and shows this queue."""
        with self._scope.write() as session:
            put_aside(session, self._scope, refused, at=at, keyed=True)
            mine = sa.update(PickRow).where(col(PickRow.loop_id) == self._scope.loop_id)
            for some in chunks(sorted(set(keys) - set(refused))):
                session.execute(mine.where(col(PickRow.key).in_(some)).values(pushed=True))
            for some in chunks(sorted(refused)):
                session.execute(mine.where(col(PickRow.key).in_(some)).values(closed="refused"))
            self._loop(session, queue_applied=queue)

    def _loop(self, session: Any, **values: Any) -> None:
        session.execute(sa.update(LoopRow).where(col(LoopRow.id) == self._scope.loop_id).values(**values))

    def prepared(self, project: str, *, platform: str) -> bool:
        """The platform's project exists; returns whether it is another than before.

        Then the cursor is void, and every open pick is pushed to the new one.
        """
        with self._scope.write() as session:
            loop = self._scope.loop(session, lock=True)
            moved = loop.project is not None and (loop.project, loop.platform) != (project, platform)
            self._loop(session, project=project, platform=platform)
            if moved:
                self._loop(session, cursor=None, queue_applied=None)
                mine = sa.update(PickRow).where(col(PickRow.loop_id) == self._scope.loop_id)
                session.execute(mine.values(pushed=False))
        return moved

    def picks(self, *, open_only: bool = False) -> list[PickRow]:
        """The picks, in the order of the queue: by score, then key."""
        query = select(PickRow).where(PickRow.loop_id == self._scope.loop_id)
        query = query.where(col(PickRow.closed).is_(None)) if open_only else query
        with self._scope.read() as session:
            return list(session.exec(query.order_by(col(PickRow.score), PickRow.key)))

    def suggestions(self, keys: Sequence[str]) -> dict[str, tuple[str, float]]:
        """{key: (class, confidence)} of those of the keys that are asked about with a suggestion."""
        found: dict[str, tuple[str, float]] = {}
        for some in chunks(sorted(keys)):
            query = select(PickRow).where(PickRow.loop_id == self._scope.loop_id, col(PickRow.key).in_(some))
            with self._scope.read() as session:
                rows = list(session.exec(query.where(PickRow.purpose != "holdout", col(PickRow.label).is_not(None))))
            found.update({row.key: (str(row.label), float(row.confidence or 0)) for row in rows})
        return found

    def pushed_keys(self) -> list[str]:
        """The keys of all tasks that the platform was given and that are not known to be gone."""
        query = select(PickRow.key).where(PickRow.loop_id == self._scope.loop_id, col(PickRow.pushed).is_(True))
        with self._scope.read() as session:
            return list(session.exec(query.order_by(PickRow.key)))

    def trained(self, version: Mapping[str, Any], round_: Mapping[str, Any], *, record: Record | None = None) -> None:
        """A round has its version, which was made of what `record` says: the rows in one transaction."""
        with self._scope.write() as session:
            upsert(session, VersionRow, [{"loop_id": self._scope.loop_id, **version}])
            upsert(
                session,
                RoundRow,
                [{"loop_id": self._scope.loop_id, "holdout_labels": 0, "measured": None, "placed": False, **round_}],
            )
            if record is not None:
                append(session, self._scope, record)

    def versions(self, prefix: str = "") -> list[VersionRow]:
        """The versions whose key begins so, oldest first."""
        query = select(VersionRow).where(VersionRow.loop_id == self._scope.loop_id)
        query = query.where(col(VersionRow.key).startswith(prefix, autoescape=True))
        with self._scope.read() as session:
            return list(
                session.exec(query.order_by(col(VersionRow.created_at), col(VersionRow.labels), col(VersionRow.key)))
            )

    def chosen(self, choice: Mapping[str, Any]) -> None:
        """A network was chosen: its row."""
        with self._scope.write() as session:
            upsert(session, ChoiceRow, [{"loop_id": self._scope.loop_id, **choice}])

    def choice(self) -> ChoiceRow | None:
        """The choice of a network on the most labels; None while there is none."""
        query = select(ChoiceRow).where(ChoiceRow.loop_id == self._scope.loop_id)
        with self._scope.read() as session:
            return session.exec(query.order_by(col(ChoiceRow.labels).desc()).limit(1)).first()

    def kept(self, version: Mapping[str, Any]) -> None:
        """There is a version that no round has yet."""
        with self._scope.write() as session:
            upsert(session, VersionRow, [{"loop_id": self._scope.loop_id, **version}])

    def placed(self, round_: Mapping[str, Any]) -> None:
        """A person made an older version current: the round that says so."""
        fresh = {"loop_id": self._scope.loop_id, "holdout_labels": 0, "measured": None, "placed": True}
        with self._scope.write() as session:
            upsert(session, RoundRow, [{**fresh, **round_}])

    def version(self, key: str) -> VersionRow | None:
        """A version by its key."""
        with self._scope.read() as session:
            return session.exec(
                select(VersionRow).where(VersionRow.loop_id == self._scope.loop_id, VersionRow.key == key)
            ).first()

    def evaluated(
        self,
        round_: int,
        metrics: Sequence[Mapping[str, Any]],
        *,
        measured: str,
        holdout_labels: int,
        look: str | None = None,
        record: Record | None = None,
    ) -> None:
        """A round has its numbers; `measured` fingerprints what they were measured for. Its decision is to be taken.

        `record` says on what they were measured.
        """
        rows = [{"loop_id": self._scope.loop_id, "round": round_, **metric} for metric in metrics]
        with self._scope.write() as session:
            upsert(session, MetricRow, rows)
            if record is not None:
                append(session, self._scope, record)
            self._round(
                session, round_, measured=measured, holdout_labels=holdout_labels, look=look, kind=None, reason=None
            )

    def decided(self, round_: int, *, kind: str, reason: str, terms: str, holdout_wanted: int | None = None) -> None:
        """It is decided whether the loop goes on after this round, and with how many hold-out labels."""
        with self._scope.write() as session:
            self._round(session, round_, kind=kind, reason=reason, terms=terms, holdout_wanted=holdout_wanted)

    def _round(self, session: Any, number: int, **values: Any) -> None:
        mine = sa.update(RoundRow).where(col(RoundRow.loop_id) == self._scope.loop_id, col(RoundRow.number) == number)
        session.execute(mine.values(**values))

    def history(self) -> list[tuple[RoundRow, dict[str, MetricRow]]]:
        """Every round with its metrics by name, oldest first."""
        rounds = select(RoundRow).where(RoundRow.loop_id == self._scope.loop_id).order_by(col(RoundRow.number))
        metrics = select(MetricRow).where(MetricRow.loop_id == self._scope.loop_id)
        with self._scope.read() as session:
            found = [(row, {}) for row in session.exec(rounds)]  # type: list[tuple[RoundRow, dict[str, MetricRow]]]
            by_number = {row.number: numbers for row, numbers in found}
            for metric in session.exec(metrics):
                by_number[metric.round][metric.name] = metric
        return found

    def last(self) -> RoundRow | None:
        """The newest round."""
        query = select(RoundRow).where(RoundRow.loop_id == self._scope.loop_id)
        with self._scope.read() as session:
            return session.exec(query.order_by(col(RoundRow.number).desc()).limit(1)).first()
