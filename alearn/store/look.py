"""Looking at a loop: the few numbers that the policy needs, in time that does not grow with the pool.

Invariant: no query here reads item rows but of those that have an automatic label; the number of all is kept in the
loop's row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlmodel import Session, col, select

from alearn.store.scope import Scope
from alearn.store.tables import AutomaticRow, ItemRow, LabelRow, LoopRow, PickRow, QuarantineRow, RoundRow, VersionRow


@dataclass(frozen=True)
class Look:
    """What there is of a loop now.

    `pool_left` and `holdout_left` are items that were never picked, those of the pool without an automatic label.
    `open` picks are on the platform, or on their way, and have no answer; test questions, and items that are asked
    about again, are not counted. `holdout_held` picks of the hold-out are open or labeled, of `holdout_wanted` where it
    was let grow. `changed` labels have moved since the newest round read its training set; `round` to `terms` are about
    that round and its version, which was trained on `trained_on` labels.
    """

    items: int = 0
    pool_left: int = 0
    holdout_left: int = 0
    holdout_held: int = 0
    open: int = 0
    unpushed: int = 0
    labels: int = 0
    holdout_labels: int = 0
    changed: int = 0
    round: int = 0
    trained_on: int = 0
    trained_at: str | None = None
    measured: str | None = None
    placed: bool = False
    recipe: str | None = None
    weights: str | None = None
    kind: str | None = None
    reason: str | None = None
    terms: str | None = None
    holdout_wanted: int = 0
    queue_stale: bool = False
    queue_unapplied: bool = False
    prepared: bool = False


def look(scope: Scope) -> Look:
    """The numbers of one loop, read in one transaction."""
    with scope.read() as session:
        loop = scope.loop(session)
        query = select(RoundRow).where(RoundRow.loop_id == scope.loop_id)
        newest = session.exec(query.order_by(col(RoundRow.number).desc()).limit(1)).first()
        seen = Look(
            items=loop.items,
            queue_unapplied=loop.queue_wanted != loop.queue_applied,
            queue_stale=loop.queue_round != (newest.number if newest else 0),
            prepared=loop.project is not None,
        )
        seen = _with_picks(seen, session, loop)
        seen = _with_labels(seen, session, scope.loop_id, since=newest.label_seq if newest else 0)
        return seen if newest is None else _with_round(seen, newest, session)


def _with_picks(seen: Look, session: Session, loop: LoopRow) -> Look:
    label = select(LabelRow.key).where(LabelRow.loop_id == loop.id, LabelRow.key == PickRow.key)
    known = sa.case((label.where(col(LabelRow.value).is_not(None)).exists(), 1), else_=0)
    kinds = (col(PickRow.purpose), col(PickRow.closed), col(PickRow.pushed), known)
    query = sa.select(*kinds, sa.func.count()).where(col(PickRow.loop_id) == loop.id).group_by(*kinds)
    rows = session.execute(query).all()
    held = sum(row[4] for row in rows if row[0] == "holdout")
    pool_aside, holdout_aside = _aside(session, loop)
    return replace(
        seen,
        pool_left=max(
            loop.items
            - loop.holdout_items
            - (sum(row[4] for row in rows) - held)
            - pool_aside
            - _answered(session, loop),
            0,
        ),
        holdout_left=loop.holdout_items - held - holdout_aside,
        holdout_held=sum(row[4] for row in rows if row[0] == "holdout" and row[1] in {None, "labeled"}),
        open=sum(row[4] for row in rows if row[1] is None and row[0] != "test" and not row[3]),
        unpushed=sum(row[4] for row in rows if row[1] is None and not row[2]),
    )


def _aside(session: Session, loop: LoopRow) -> tuple[int, int]:
    """How many items were quarantined before they were picked: outside the hold-out, and in it."""
    picked = select(PickRow.key).where(PickRow.loop_id == loop.id, PickRow.key == QuarantineRow.key).exists()
    kind = col(QuarantineRow.holdout)
    query = sa.select(kind, sa.func.count()).where(col(QuarantineRow.loop_id) == loop.id, kind.is_not(None), ~picked)
    found = {bool(holdout): count for holdout, count in session.execute(query.group_by(kind))}
    return found.get(False, 0), found.get(True, 0)


def _answered(session: Session, loop: LoopRow) -> int:
    """How many items of the pool that were never picked have an automatic label, so that nobody is asked about them."""
    if session.exec(select(AutomaticRow.key).where(AutomaticRow.loop_id == loop.id).limit(1)).first() is None:
        return 0
    picked = select(PickRow.key).where(PickRow.loop_id == loop.id, PickRow.key == AutomaticRow.key).exists()
    query = sa.select(sa.func.count()).where(col(AutomaticRow.loop_id) == loop.id, ~picked)
    query = query.where(col(ItemRow.loop_id) == loop.id, col(ItemRow.key) == col(AutomaticRow.key))
    return int(session.execute(query.where(col(ItemRow.holdout).is_(False))).scalar() or 0)


def _with_labels(seen: Look, session: Session, loop_id: int, *, since: int) -> Look:
    kinds = (col(LabelRow.holdout), col(LabelRow.value).is_not(None), col(LabelRow.seq) > since)
    query = sa.select(*kinds, sa.func.count()).where(col(LabelRow.loop_id) == loop_id).group_by(*kinds)
    rows = session.execute(query).all()
    return replace(
        seen,
        labels=sum(count for _, there, _, count in rows if there),
        holdout_labels=sum(count for holdout, there, _, count in rows if there and holdout),
        changed=sum(count for _, _, moved, count in rows if moved),
    )


def _with_round(seen: Look, newest: RoundRow, session: Session) -> Look:
    query = select(VersionRow).where(VersionRow.loop_id == newest.loop_id, VersionRow.key == newest.version)
    version = session.exec(query).one()
    return replace(
        seen,
        round=newest.number,
        trained_on=newest.labels,
        trained_at=newest.at,
        measured=newest.measured,
        placed=newest.placed,
        recipe=version.recipe,
        weights=version.weights,
        kind=newest.kind,
        reason=newest.reason,
        terms=newest.terms,
        holdout_wanted=_wanted(session, newest.loop_id),
    )


def _wanted(session: Session, loop_id: int) -> int:
    """To how many labels the hold-out was let grow; 0: it was not."""
    return (
        session.execute(
            sa.select(sa.func.max(RoundRow.holdout_wanted)).where(col(RoundRow.loop_id) == loop_id)
        ).scalar()
        or 0
    )
