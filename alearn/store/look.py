"""Looking at a loop: the few numbers that the policy needs, in time that does not grow with the pool.

Invariant: no query here reads item rows; their number is kept in the loop's row.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Session, col, func, select

from alearn.store.scope import Scope
from alearn.store.tables import ItemRow, LabelRow, LoopRow, PickRow, QuarantineRow, RoundRow


@dataclass(frozen=True)
class Look:
    """What there is of a loop now.

    `pool_left` and `holdout_left` are items that were never picked. `open` picks are on the platform (or on their way) and have
    no answer. `holdout_held` picks of the hold-out are open or labeled. `changed` labels have moved since the last round read its training set.
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
    evaluated: bool = True
    kind: str | None = None
    reason: str | None = None
    terms: str | None = None
    queue_stale: bool = False
    queue_unapplied: bool = False
    prepared: bool = False


def look(scope: Scope) -> Look:
    """The numbers of one loop, read in one transaction."""
    with scope.read() as session:
        loop = scope.loop(session)
        newest = session.exec(
            select(RoundRow).where(RoundRow.loop_id == scope.loop_id).order_by(col(RoundRow.number).desc()).limit(1)
        ).first()
        return Look(
            items=loop.items,
            queue_unapplied=loop.queue_wanted != loop.queue_applied,
            queue_stale=newest is not None and newest.number != loop.queue_round,
            prepared=loop.project is not None,
            **_picks(session, loop),
            **_labels(session, scope.loop_id, newest.label_seq if newest else 0),
            **_round(newest),
        )


def _picks(session: Session, loop: LoopRow) -> dict[str, int]:
    query = select(PickRow.purpose, PickRow.closed, PickRow.pushed, func.count()).where(PickRow.loop_id == loop.id)
    rows = list(session.exec(query.group_by(PickRow.purpose, PickRow.closed, PickRow.pushed)))
    held = sum(count for purpose, _, _, count in rows if purpose == "holdout")
    aside = _aside(session, loop)
    return {
        "pool_left": loop.items - loop.holdout_items - sum(row[3] for row in rows) + held - aside[False],
        "holdout_left": loop.holdout_items - held - aside[True],
        "holdout_held": sum(row[3] for row in rows if row[0] == "holdout" and row[1] in {None, "labeled"}),
        "open": sum(count for _, closed, _, count in rows if closed is None),
        "unpushed": sum(count for _, closed, pushed, count in rows if closed is None and not pushed),
    }


def _aside(session: Session, loop: LoopRow) -> dict[bool, int]:
    """How many items were quarantined before they were picked: {in the hold-out: count}."""
    picked = select(PickRow.key).where(PickRow.loop_id == loop.id, PickRow.key == QuarantineRow.key).exists()
    query = select(ItemRow.holdout, func.count()).where(ItemRow.loop_id == loop.id, ItemRow.key == QuarantineRow.key)
    query = query.where(QuarantineRow.loop_id == loop.id, ~picked).group_by(ItemRow.holdout)
    found = {bool(holdout): count for holdout, count in session.exec(query)}
    return {False: found.get(False, 0), True: found.get(True, 0)}


def _labels(session: Session, loop_id: int, since: int) -> dict[str, int]:
    there, moved = col(LabelRow.value).is_not(None), col(LabelRow.seq) > since
    query = select(LabelRow.holdout, there, moved, func.count()).where(LabelRow.loop_id == loop_id)
    rows = list(session.exec(query.group_by(LabelRow.holdout, there, moved)))
    return {
        "labels": sum(count for _, value, _, count in rows if value),
        "holdout_labels": sum(count for holdout, value, _, count in rows if value and holdout),
        "changed": sum(count for _, _, new, count in rows if new),
    }


def _round(newest: RoundRow | None) -> dict[str, object]:
    if newest is None:
        return {}
    return {
        "round": newest.number,
        "evaluated": newest.evaluated,
        "kind": newest.kind,
        "reason": newest.reason,
        "terms": newest.terms,
    }
