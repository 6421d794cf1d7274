"""What was recorded of a round beside what came of doing it again, part by part, in words.

Invariant: numbers are compared exactly; "same" is never said of what was not done again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from alearn.core.keys import fingerprint
from alearn.store.annotations import Training
from alearn.store.records import Record
from alearn.store.tables import MetricRow, PickRow, RoundRow, VersionRow

SHOWN = 5
"""Differences of a part that are told one by one."""

Libraries = Mapping[str, tuple[str | None, str | None]]


@dataclass(frozen=True)
class Part:
    """A part of a round: whether it came out the same, how far, and what differs."""

    name: str
    verdict: Literal["same", "differs", "unknown"]
    words: str
    details: tuple[str, ...] = ()


def same(name: str, words: str) -> Part:
    """It came out as it was."""
    return Part(name, "same", words)


def differs(name: str, words: str, details: Sequence[str] = ()) -> Part:
    """It came out otherwise."""
    more = len(details) - SHOWN
    return Part(name, "differs", words, (*details[:SHOWN], *([f"and {more} more"] if more > 0 else [])))


def unknown(name: str, why: str) -> Part:
    """It cannot be replayed."""
    return Part(name, "unknown", why)


def training(record: Record, now: Training, version: VersionRow, origin: str) -> Part:
    """The training set: what was recorded against the version's fingerprint, and against the labels of now."""
    then, last = record.state.get("label", {}), record.state["loop"]["label_seq"]
    keys = sorted(then)
    if fingerprint([keys, [then[key][0] for key in keys]]) != version.training_set:
        return differs("training set", "the recorded labels are not those that the version's fingerprint was made of")
    current = {key: (value, moved) for key, value, moved in zip(now.keys, now.values, now.moved, strict=True)}
    details = [
        f"{key} is {value!r} in the store and was {then[key][0]!r}, though nothing says that it was changed"
        for key, (value, moved) in current.items()
        if moved <= last and key in then and value != then[key][0]
    ]
    details += [
        f"{key} has a label in the store that was not there" for key in current if _late(key, current, then, last)
    ]
    if details:
        return differs("training set", f"{_count(len(details), 'label')} changed without a trace", details)
    moved = sum(key not in current or current[key][1] > last for key in keys)
    words = f"{len(keys)} labels" + (f" {origin}" if origin else "")
    if moved:
        words += f"; {moved} of them changed or taken back since, and taken from the record"
    return same("training set", words)


def _late(key: str, current: Mapping[str, tuple[str, int]], then: Mapping[str, Any], last: int) -> bool:
    return key not in then and current[key][1] <= last


def training_without_record(now: Training, round_: RoundRow, version: VersionRow, why: str) -> Part:
    """The training set from the labels of now: the fingerprint proves that none has been changed, or it is unknown."""
    rows = [(k, v) for k, v, moved in zip(now.keys, now.values, now.moved, strict=True) if moved <= round_.label_seq]
    if fingerprint([[key for key, _ in rows], [value for _, value in rows]]) == version.training_set:
        return same("training set", f"{len(rows)} labels, none changed since, as the version's fingerprint proves")
    gone = version.labels - len(rows)
    some = (
        f"{gone} of its {version.labels} labels were changed or taken back since" if gone > 0 else "labels are others"
    )
    return unknown("training set", f"{why}, and {some}: what they were is not kept")


def weights(version: VersionRow, made: Mapping[str, Any], damage: str | None, libraries: Libraries) -> Part:
    """The weights' fingerprint, and the state of their file."""
    short = f"{version.weights[:12]}, version {version.key[:8]}"
    if made["trunk"] != version.trunk:
        return unknown("weights", "the pretrained network's weights on this machine are others than then")
    if made["key"] != version.key:
        return unknown("weights", "the recipe cannot be rebuilt: this alearn, or the config, makes another version")
    if made["weights"] != version.weights:
        because = f"; {others(libraries)}" if libraries else "; the libraries are the same"
        return differs("weights", f"training again gives {made['weights'][:12]} and not {short}{because}")
    if damage:
        return differs("weights", f"training again gives {short}, but {damage}")
    return same("weights", f"{short}, bit by bit" + (f", although {others(libraries)}" if libraries else ""))


def others(libraries: Libraries) -> str:
    """Which libraries are others, in words."""
    named = [f"{name} {then or 'missing'} then, {now or 'missing'} now" for name, (then, now) in libraries.items()]
    return "; ".join(named)


def metrics(
    was: Mapping[str, MetricRow],
    made: Mapping[str, MetricRow],
    *,
    looks: tuple[str | None, str | None],
    labels: int,
) -> Part:
    """Every metric with its interval, and what the look spent."""
    details = [
        f"{name} was {_metric(was.get(name))}, now {_metric(made.get(name))}"
        for name in sorted({*was, *made})
        if _values(was.get(name)) != _values(made.get(name))
    ]
    if looks[0] != looks[1]:
        details.append(f"the look spent {looks[0]}, now {looks[1]}")
    if details:
        return differs("metrics", f"{_count(len(details), 'number')} of {len({*was, *made})} metrics", details)
    return same("metrics", f"{len(was)} metrics and their intervals on {labels} hold-out labels, to the last digit")


def _values(row: MetricRow | None) -> tuple[Any, ...]:
    return () if row is None else (row.value, row.low, row.high, row.confidence, row.n)


def _metric(row: MetricRow | None) -> str:
    if row is None:
        return "missing"
    value, low, high = ("-" if one is None else f"{one:.6f}" for one in (row.value, row.low, row.high))
    return f"{value} ({low} to {high}) on {row.n}"


@dataclass(frozen=True)
class Selected:
    """What came of doing a selection again: the new picks in their order, and the name of the queue."""

    picks: Sequence[PickRow]
    queue: str


def picks(stored: Mapping[str, PickRow], records: Sequence[Record], made: Sequence[Selected]) -> Part:
    """The picks in the store, those that were recorded, and those that come of it now, with rank and purpose."""
    details, again = list[str](), list[str]()
    for record, one in zip(records, made, strict=True):
        again += [pick.key for pick in one.picks]
        details += list(_unlike(record.facts["chosen"], stored, one.picks))
    details += [
        f"{key} is a pick in the store, and no selection chose it"
        for key in stored
        if key not in set(again) and stored[key].strategy != "found"
    ]
    if details:
        return differs("picks", f"{_count(len(details), 'difference')} in {len(again)} picks", details)
    times = f" in {len(records)} selections" if len(records) > 1 else ""
    return same("picks", f"{len(again)} items{times}, each at its place and for its purpose")


def _unlike(recorded: Sequence[str], stored: Mapping[str, PickRow], made: Sequence[PickRow]) -> Sequence[str]:
    """What differs between one selection's picks as recorded, as stored and as made now."""
    now = {pick.key: pick for pick in made}
    found = [f"{key} was chosen, and is not now" for key in recorded if key not in now]
    found += [f"{key} was not chosen, and is now" for key in now if key not in set(recorded)]
    for key in recorded:
        if key not in stored:
            found.append(f"{key} was chosen, and is no pick in the store")
        elif key in now and _place(now[key]) != _place(stored[key]):
            found.append(f"{key} is {_told(stored[key])} in the store, and {_told(now[key])} now")
    return found


def _place(pick: PickRow) -> tuple[int, str, str]:
    return pick.rank, pick.purpose, pick.strategy


def _told(pick: PickRow) -> str:
    return f"number {pick.rank} of the queue, {pick.purpose} by {pick.strategy}"


def queues(records: Sequence[Record], made: Sequence[Selected]) -> Part:
    """The whole queue each time: keys, order, suggestions and how sure the model was of them, by fingerprint."""
    details = [
        f"selection {at}: was {record.facts['queue']}, now {one.queue}"
        for at, (record, one) in enumerate(zip(records, made, strict=True), start=1)
        if record.facts["queue"] != one.queue
    ]
    if details:
        return differs("queue", f"{_count(len(details), 'order')} of {len(records)}", details)
    return same("queue", f"{_count(len(records), 'order')}, with every suggestion and its confidence")


def _count(n: int, what: str) -> str:
    return f"{n} {what}" + ("" if n == 1 else "s")
