"""Labels that a model version gave without a person, apart from people's.

Invariant: an item that a person has labeled has no automatic label, because both change in one transaction; none is
ever among the labels that a model is trained on or measured with. Certificates stay when their labels are gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from alearn.store.database import chunks, upsert
from alearn.store.scope import Scope
from alearn.store.tables import AutomaticRow, CertificateRow, ItemRow, LabelRow


class Automatic:
    """The automatic labels of one loop and their certificates."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def replace(self, certificate: Mapping[str, Any], labels: Sequence[Mapping[str, Any]]) -> int:
        """Put these labels (key, label, confidence) in the place of all that were there; returns how many there are.

        `certificate` is their certificate's row. What a person has labeled in the meantime is left out.
        """
        mine = self._scope.loop_id
        known = select(LabelRow.key).where(LabelRow.loop_id == mine, col(LabelRow.value).is_not(None))
        same = {name: certificate[name] for name in ("version", "at")}
        with self._scope.write() as session:
            self._scope.loop(session, lock=True)
            people = set(session.exec(known))
            fresh = [
                {"loop_id": mine, **label, **same, "certificate": certificate["key"]}
                for label in labels
                if label["key"] not in people
            ]
            session.execute(sa.delete(AutomaticRow).where(col(AutomaticRow.loop_id) == mine))
            upsert(session, CertificateRow, [{"loop_id": mine, **certificate}])
            upsert(session, AutomaticRow, fresh)
        return len(fresh)

    def withdraw(self) -> int:
        """Remove every automatic label; returns how many there were."""
        with self._scope.write() as session:
            gone = session.execute(sa.delete(AutomaticRow).where(col(AutomaticRow.loop_id) == self._scope.loop_id))
            return int(gone.rowcount)  # type: ignore[attr-defined]

    def labels(self) -> list[tuple[AutomaticRow, ItemRow]]:
        """Every automatic label with its item, ordered by key."""
        query = select(AutomaticRow, ItemRow).where(
            AutomaticRow.loop_id == self._scope.loop_id, ItemRow.loop_id == AutomaticRow.loop_id
        )
        query = query.where(ItemRow.key == AutomaticRow.key).order_by(AutomaticRow.key)
        with self._scope.read() as session:
            return [(label, item) for label, item in session.exec(query)]

    def keys(self) -> frozenset[str]:
        """The items that have one."""
        query = select(AutomaticRow.key).where(AutomaticRow.loop_id == self._scope.loop_id)
        with self._scope.read() as session:
            return frozenset(session.exec(query))

    def count(self) -> int:
        """How many there are."""
        query = select(func.count()).where(AutomaticRow.loop_id == self._scope.loop_id)
        with self._scope.read() as session:
            return session.exec(query).one()

    def certificates(self) -> list[CertificateRow]:
        """Every certificate under which labels were given, oldest first; that of the labels there are is the last."""
        mine = self._scope.loop_id
        query = select(CertificateRow).where(CertificateRow.loop_id == mine).order_by(CertificateRow.at)
        with self._scope.read() as session:
            standing = session.exec(
                select(AutomaticRow.certificate).where(AutomaticRow.loop_id == mine).limit(1)
            ).first()
            return sorted(session.exec(query.order_by(CertificateRow.key)), key=lambda row: row.key == standing)


def give_way(session: Session, scope: Scope, keys: Sequence[str]) -> None:
    """Withdraw the automatic labels of items that a person has labeled, in the caller's transaction."""
    mine = sa.delete(AutomaticRow).where(col(AutomaticRow.loop_id) == scope.loop_id)
    for some in chunks(keys):
        session.execute(mine.where(col(AutomaticRow.key).in_(some)))
