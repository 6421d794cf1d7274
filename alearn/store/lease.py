"""One controller per loop: a lease with an owner, an expiry and a fencing number.

Invariant: every write of a controller happens in a transaction that has seen its own fencing number still in force, so
a process that was paused and overtaken can no longer write.

Source: M. Kleppmann, "How to do distributed locking", 2016 (fencing tokens).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import Session, col, select

from alearn.errors import LeaseLost
from alearn.store.database import Database, upsert
from alearn.store.tables import LeaseRow, LoopRow


@dataclass(frozen=True)
class Lease:
    """The right to write for a loop, as long as nobody has overtaken it."""

    loop_id: int
    owner: str
    fence: int


def acquire(
    database: Database, loop_id: int, owner: str, *, now: float, seconds: float, alive: Callable[[str], bool]
) -> Lease:
    """Take the lease when it is free, has expired, or its owner is known to be dead.

    Raises:
        LeaseLost: a living owner holds it.
    """
    with database.write() as session:
        # The loop's row is always there to be locked, also before there is a lease: of two rivals one waits here.
        session.exec(select(LoopRow.id).where(LoopRow.id == loop_id).with_for_update()).one()
        row = session.exec(select(LeaseRow).where(LeaseRow.loop_id == loop_id)).first()
        if row is not None and row.expires_at > now and alive(row.owner):
            raise LeaseLost(
                f"The loop must have one controller. {row.owner} runs it now. "
                f"Stop that one, or wait {row.expires_at - now:.0f} s."
            )
        fence = 1 if row is None else row.fence + 1
        upsert(session, LeaseRow, [{"loop_id": loop_id, "owner": owner, "expires_at": now + seconds, "fence": fence}])
    return Lease(loop_id, owner, fence)


def holder(database: Database, loop_id: int, *, now: float) -> str | None:
    """The owner of a lease that has not expired."""
    with database.read() as session:
        row = session.exec(select(LeaseRow).where(LeaseRow.loop_id == loop_id)).first()
    return row.owner if row is not None and row.expires_at > now else None


def renew(database: Database, lease: Lease, *, now: float, seconds: float) -> None:
    """Hold the lease for longer; raises LeaseLost when it was overtaken."""
    with database.write() as session:
        verify(session, lease)
        session.execute(_mine(sa.update(LeaseRow), lease).values(expires_at=now + seconds))


def release(database: Database, lease: Lease) -> None:
    """Give the lease up so that the next controller need not wait; nothing happens when it was overtaken."""
    with database.write() as session:
        session.execute(_mine(sa.update(LeaseRow), lease).values(expires_at=0.0))


def verify(session: Session, lease: Lease) -> None:
    """Lock the lease's row in this transaction and make sure that it is still this one; raises LeaseLost."""
    row = session.exec(select(LeaseRow).where(col(LeaseRow.loop_id) == lease.loop_id).with_for_update()).first()
    if row is None or (row.owner, row.fence) != (lease.owner, lease.fence):
        holder = "nobody" if row is None else row.owner
        raise LeaseLost(
            f"The loop was taken over by {holder}; what {lease.owner} wanted to write was refused. Stop this one."
        )


def _mine(statement: sa.Update, lease: Lease) -> sa.Update:
    return statement.where(col(LeaseRow.loop_id) == lease.loop_id, col(LeaseRow.fence) == lease.fence)
