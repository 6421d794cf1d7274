"""The whole policy of the product on one screen.

Invariant: `plan` is pure and total. Whatever was interrupted, repeated or lost, the next step follows from what there
is now.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """What a controller does next."""

    PREPARE = "prepare"  # create or adopt the platform's project
    PUSH = "push"  # make the platform show the queue that is wanted
    EVALUATE = "evaluate"  # measure the newest version on the hold-out
    DECIDE = "decide"  # go on, or stop and say why
    CHOOSE = "choose"  # choose the pretrained network on the labels there are
    TRAIN = "train"  # fit a version on the labels there are
    SELECT = "select"  # choose more items, and order the queue by the newest version
    WAIT = "wait"  # for annotators
    DONE = "done"


@dataclass(frozen=True)
class Snapshot:
    """What the policy looks at. Counts are of items or labels and never negative.

    `round` is the newest round that has a version, 0 before the first; `evaluated`, `decided` and `stopped` are about
    it: `decided` under the present target and budget, and if so, to stop. `changed` labels have moved since it was
    trained. `selectable` items may still be picked, and the budget pays for `affordable` more. `queue_stale`: a newer
    version is there than the one that ordered the queue. `queue_unapplied`: the platform does not show the queue that
    is wanted. `due`: the policy of retraining asks for a version; `busy`: one is being made in the background.
    `unchosen`: there are labels enough to choose a network on, for the first time or again. `stale`: the newest version
    was not made by the present recipe, or is lost. The queue is filled to `high` when it has fallen to `low`.
    `hurried`: people are answering, and would have nothing left before a version is made.
    """

    prepared: bool = False
    open: int = 0
    unpushed: int = 0
    changed: int = 0
    round: int = 0
    evaluated: bool = False
    decided: bool = False
    stopped: bool = False
    unchosen: bool = False
    stale: bool = False
    selectable: int = 0
    affordable: int = 0
    queue_stale: bool = False
    queue_unapplied: bool = False
    due: bool = False
    busy: bool = False
    batch: int = 1
    low: int = 0
    high: int = 1
    hurried: bool = False


def plan(now: Snapshot) -> Step:  # noqa: PLR0911 - a line per rule is the point
    """The first line that applies."""
    if not now.prepared:
        return Step.PREPARE
    if now.unpushed or now.queue_unapplied:
        return Step.PUSH
    more = min(now.selectable, now.affordable) > 0
    over = now.round and now.decided and now.stopped
    dry = now.open <= now.low and more and not over
    if now.busy:
        return Step.SELECT if dry else Step.WAIT
    if now.hurried and dry:
        return Step.SELECT
    if now.unchosen and not now.stopped:
        return Step.CHOOSE
    if now.round and now.stale:
        return Step.TRAIN
    if now.round and not now.evaluated:
        return Step.EVALUATE
    if now.round and not now.decided:
        return Step.DECIDE
    if now.round and now.stopped:
        return Step.DONE
    if now.due or (now.changed and not now.open and (2 * now.changed >= now.batch or not more)):
        return Step.TRAIN
    if now.open <= now.low and more:
        return Step.SELECT
    if now.open and now.queue_stale:
        return Step.SELECT
    return Step.WAIT if now.open else Step.DONE


@dataclass(frozen=True)
class Policy:
    """When a version is due: after so many changed labels, a share of those before, or seconds; whichever is first."""

    labels: int
    share: float | None = None
    seconds: float | None = None


def training_due(policy: Policy, *, changed: int, labels: int, seconds: float | None, asked: bool) -> bool:
    """Whether to train: so many labels have changed since the newest version, which was made on `labels` of them.

    It is `seconds` old (None: there is none). `asked`: a person wants it now.
    """
    if not changed:
        return False
    share = policy.share is not None and changed >= policy.share * labels
    time = policy.seconds is not None and seconds is not None and seconds >= policy.seconds
    return asked or changed >= policy.labels or share or time


FIRST_CHOICE, TENFOLD = 30, 10
FIRST_CLIMB, TWOFOLD = 200, 2


def choice_due(labels: int, chosen_on: int | None) -> bool:
    """Whether a network is to be chosen on so many training labels, after a choice on `chosen_on` (None: never)."""
    return labels >= (FIRST_CHOICE if chosen_on is None else TENFOLD * chosen_on)


def climb_due(labels: int, tried_on: int | None) -> bool:
    """Whether higher rungs are to be tried on so many training labels, after a try on `tried_on` (None: never).

    A try costs minutes and says little on fewer labels.
    """
    return labels >= (FIRST_CLIMB if tried_on is None else TWOFOLD * tried_on)
