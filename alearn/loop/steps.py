"""One function per step; each may be killed anywhere and called again.

Invariant: intent is written before effect (picks before pushes), every write is one transaction of upserts on natural
keys, and randomness comes from (seed, loop, round, purpose).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from alearn.loop import recording, versions
from alearn.loop.believing import EVERYBODY, resolver
from alearn.loop.choosing import choose
from alearn.loop.deciding import decide
from alearn.loop.intake import take_in_found
from alearn.loop.learning import Fitted, clear, fit
from alearn.loop.measuring import evaluate
from alearn.loop.plan import Step
from alearn.loop.selection import select
from alearn.loop.undertaking import Undertaking
from alearn.platform import Queue, QueueEntry, Task
from alearn.store.annotations import annotation_row
from alearn.store.tables import AnnotationRow, PickRow


def collect(loop: Undertaking, *, resync: bool = False) -> int:
    """Bring home what annotators have done; returns how many labels changed. `resync` also finds deleted tasks."""
    store = loop.store
    cursor = store.loop().cursor
    pulled = loop.platform.pull(cursor, pushed=store.rounds.pushed_keys() if resync else None)
    if pulled.found:
        take_in_found(loop, pulled.found)
    if not (pulled.states or pulled.missing or pulled.notices) and pulled.cursor in {cursor, None}:
        return 0
    skips = loop.config.consensus.skips
    changed = store.annotations.collect(
        [(state.key, [annotation_row(one) for one in state.annotations]) for state in pulled.states],
        cursor=pulled.cursor,
        missing=pulled.missing,
        notices=[*pulled.notices, *_missing_notice(pulled.missing)],
        resolve=resolver(loop),
        closing=lambda rows, labeled, opinions: closing(rows, labeled, skips=skips, opinions=opinions),
        at=loop.clock.now(),
    )
    if loop.pace is not None:
        loop.pace.note(changed, loop.clock.seconds())
    return changed


def closing(rows: Sequence[AnnotationRow], labeled: bool, *, skips: int, opinions: int = 1) -> str | None:
    """Why an item with these annotations is no longer asked about; None while it is."""
    if labeled:
        heard = {row.annotator for row in rows if row.value is not None or row.skipped}
        trusted = any(row.trusted for row in rows)
        return "labeled" if len(heard) >= opinions or (trusted and opinions < EVERYBODY) else None
    if any(row.refused for row in rows):
        return "refused"
    if any(row.value is None and not row.skipped for row in rows):
        return "empty"
    return "skipped" if len({row.annotator for row in rows if row.skipped}) >= skips else None


def _missing_notice(missing: frozenset[str]) -> list[str]:
    if not missing:
        return []
    some = ", ".join(sorted(missing)[:3])
    return [f"{len(missing)} tasks were deleted on the platform and will not be asked again: {some}…"]


def prepare(loop: Undertaking) -> None:
    """Create or adopt the platform's project."""
    if loop.store.rounds.prepared(loop.platform.prepare(), platform=loop.config.platform.name):
        loop.store.annotations.note(
            "The platform's project is another than before; its queue was made anew", at=loop.clock.now()
        )
    for name, url in loop.platform.links().items():
        loop.report.say(f"Annotators' {name}: {url}")


def push(loop: Undertaking) -> None:
    """Make the platform hold every open pick, and show them in the order that is wanted."""
    store = loop.store
    wanted = store.loop().queue_wanted
    picks = store.rounds.picks(open_only=True)
    fresh = [pick.key for pick in picks if not pick.pushed]
    contents = store.items.contents(fresh)
    tasks = [Task(key, contents[key].uri, contents[key].text) for key in fresh]
    refused = loop.platform.push(tasks, Queue(wanted or "", tuple(_entry(pick) for pick in picks)))
    store.rounds.pushed(fresh, refused, queue=wanted or "", at=loop.clock.now())
    if fresh:
        loop.report.say(f"Queued {len(fresh) - len(refused)} items for annotators; {len(picks)} are open")


def _entry(pick: PickRow) -> QueueEntry:
    return QueueEntry(pick.key, pick.score, pick.label, pick.confidence, pick.opinions)


def train(loop: Undertaking) -> None:
    """Fit a version on the labels there are, and begin a round with it."""
    enter(loop, fit(loop))


def enter(loop: Undertaking, fitted: Fitted) -> None:
    """Begin a round with a version."""
    number, row, at = loop.store.look().round + 1, fitted.row, loop.clock.now()
    seq, labels = fitted.training.label_seq, len(fitted.training.keys)
    round_ = {"number": number, "version": row["key"], "label_seq": seq, "labels": labels, "at": at}
    loop.store.rounds.trained(
        row,
        {**round_, "libraries": versions.libraries(), "seconds": fitted.seconds},
        record=recording.of_training(loop, number, fitted.training),
    )
    clear(loop, row["weights"])
    loop.report.say(f"Round {number}: trained on {labels} labels{RUNGS[row['rung']]}")


RUNGS = {"linear": "", "blocks": ", the network's last blocks too", "whole": ", the whole network"}
"""How a round says how much was trained."""

DO: Mapping[Step, Callable[[Undertaking], None]] = {
    Step.PREPARE: prepare,
    Step.PUSH: push,
    Step.CHOOSE: choose,
    Step.TRAIN: train,
    Step.EVALUATE: evaluate,
    Step.DECIDE: decide,
    Step.SELECT: select,
}
