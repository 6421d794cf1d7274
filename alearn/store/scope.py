"""One loop's view of the database: every query is about its rows, every write is made under its lease."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlmodel import Session, select

from alearn.store import lease as leases
from alearn.store.database import Database
from alearn.store.lease import Lease
from alearn.store.tables import LoopRow


@dataclass
class Scope:
    """The database, the loop, and the lease that writes are made under; `add` and other commands need none."""

    database: Database
    loop_id: int
    lease: Lease | None = None

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session to look with."""
        with self.database.read() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction; raises LeaseLost, and writes nothing, when the lease was overtaken."""
        with self.database.write() as session:
            if self.lease is not None:
                leases.verify(session, self.lease)
            yield session

    def loop(self, session: Session, *, lock: bool = False) -> LoopRow:
        """The loop's own row; `lock` it when it is about to be changed."""
        query = select(LoopRow).where(LoopRow.id == self.loop_id)
        return session.exec(query.with_for_update() if lock else query).one()
