"""Doing a round again from its record, and comparing: training set, weights, metrics, picks, queue.

Each part is done by the step's own code in a scratch copy of the loop as it was (`scratch`, `recording`), with the
config, the labels, the picks and the annotations of then. Rounds from before there were records are replayed as far as
fingerprints prove that what they need is still there.

Invariant: a part is the same, or it differs, or it cannot be replayed and says why; nothing is guessed. The loop's own
store is only read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from alearn.errors import AlearnError, ConfigError, StoreError
from alearn.loop import comparing, recording, versions
from alearn.loop.comparing import Part, unknown
from alearn.loop.learning import fit
from alearn.loop.measuring import evaluate
from alearn.loop.scratch import rebuilt
from alearn.loop.selection import select
from alearn.loop.undertaking import Undertaking
from alearn.store.past import Past
from alearn.store.records import Record, labeled
from alearn.store.tables import MetricRow, RoundRow, VersionRow

NO_RECORD = "it was made before alearn kept records of what each step saw"


@dataclass(frozen=True)
class Replay:
    """A round, done again. `libraries` are those that are others than then: {name: (then, now)}; `config` names the
    sections that the file now says otherwise, which were replayed as they were.
    """

    round: int
    version: str
    parts: tuple[Part, ...]
    libraries: Mapping[str, tuple[str | None, str | None]]
    config: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether any part came out otherwise."""
        return any(part.verdict == "differs" for part in self.parts)


def replay(loop: Undertaking, number: int | None = None) -> Replay:
    """Do a round again and compare; None: the newest.

    Raises:
        ConfigError: the loop has no such round.
    """
    round_ = _Round(loop, _row(loop, number))
    training = round_.training()
    weights = _tried("weights", lambda: round_.weights(training))
    parts = [training, weights, _tried("metrics", round_.metrics), *round_.picks()]
    return Replay(round_.row.number, round_.version.key, tuple(parts), round_.libraries, round_.config)


def _row(loop: Undertaking, number: int | None) -> RoundRow:
    rows = {row.number: row for row, _ in loop.store.rounds.history()}
    if not rows:
        raise ConfigError(f"Loop {loop.config.name!r} has no round to replay yet. Run `alearn run` first.")
    wanted = max(rows) if number is None else number
    if wanted not in rows:
        raise ConfigError(
            f"--round must be a round of loop {loop.config.name!r}, 1 to {max(rows)}. Got {number}. "
            "See `alearn history`."
        )
    return rows[wanted]


def _tried(name: str, work: Callable[[], Part]) -> Part:
    """What cannot be done again for want of an item, a network or a library is not replayed, and says so."""
    try:
        return work()
    except AlearnError as error:
        return unknown(name, str(error))


@dataclass
class _Round:
    """One round of a loop that is open; `again` are the weights as they were fitted again, once they have been."""

    loop: Undertaking
    row: RoundRow
    again: bytes | None = field(default=None, repr=False)

    @cached_property
    def version(self) -> VersionRow:
        """What was current in this round."""
        found = versions.current(self.loop, self.row)
        assert found is not None, "a round and its version are written in one transaction"
        return found

    @cached_property
    def origin(self) -> RoundRow:
        """The first round with this version: there it was trained, if any round trained it."""
        rows = [row for row, _ in self.loop.store.rounds.history() if row.version == self.version.key]
        return rows[0]

    @cached_property
    def record(self) -> Record | None:
        """What training saw."""
        found = self.loop.store.records.of(self.origin.number, "train")
        return found[-1] if found else None

    @cached_property
    def libraries(self) -> dict[str, tuple[str | None, str | None]]:
        """What computes otherwise now than then: {name: (then, now)}."""
        then, now = json.loads(self.row.libraries), json.loads(versions.libraries())
        return {
            name: (then.get(name), now.get(name)) for name in sorted({*then, *now}) if then.get(name) != now.get(name)
        }

    @property
    def config(self) -> tuple[str, ...]:
        """The sections that the config now says otherwise than when the round was measured, or else trained."""
        found = self.loop.store.records.of(self.row.number, "evaluate")[-1:] or ([self.record] if self.record else [])
        then = found[0].state["loop"]["config"] if found else {}
        now = recording.told(self.loop)["config"]
        return tuple(sorted(name for name in {*then, *now} if found and then.get(name) != now.get(name)))

    def training(self) -> Part:
        """The labels that the version was trained on."""
        if "pruned" in json.loads(self.version.recipe):
            return unknown("training set", "the version was pruned from another and trained on no labels of its own")
        now = self.loop.store.annotations.training(holdout=False)
        if self.record is None:
            return comparing.training_without_record(now, self.origin, self.version, NO_RECORD)
        return comparing.training(self.record, now, self.version, self._since())

    def _since(self) -> str:
        """Where the version comes from when it is not this round's own."""
        if self.origin.number == self.row.number:
            return ""
        return f"of round {self.origin.number}, in which the version was trained"

    def weights(self, training: Part) -> Part:
        """The version's weights: the file, and what comes of training again."""
        damage = self._damage(self.version)
        if self.origin.placed or "pruned" in json.loads(self.version.recipe):
            return unknown("weights", "the version was pruned, which is not done again" + _file(damage))
        if training.verdict != "same":
            return unknown("weights", "the training set cannot be rebuilt" + _file(damage))
        record = self.record or self._as_if_recorded()
        labels = frozenset(record.state["label"])
        past = Past({kind: record.state[kind] for kind in ("loop", "label")}, self.origin.number - 1, labels)
        others = [row.weights for row in self.loop.store.rounds.versions() if row.weights != self.version.weights]
        with rebuilt(self.loop, past, others) as then:
            made = fit(then).row
            self.again = then.store.blobs.get(made["weights"])
        return comparing.weights(self.version, made, damage, self.libraries)

    def _as_if_recorded(self) -> Record:
        """A record of training for a round that has none: its labels are proven, its config is that of now."""
        now, last = self.loop.store.annotations.training(holdout=False), self.origin.label_seq
        labels = {key: one for key, one in labeled(now).items() if one[1] <= last}
        return Record("train", self.origin.number, {"loop": recording.told(self.loop), "label": labels})

    def _damage(self, version: VersionRow) -> str | None:
        """What is wrong with the file of a version's weights; None: nothing."""
        try:
            self.loop.store.blobs.get(version.weights)
        except StoreError as error:
            return str(error)
        return None

    def metrics(self) -> Part:
        """The numbers on the hold-out as it was."""
        number, records = self.row.number, self.loop.store.records.of(self.row.number, "evaluate")
        if self.row.measured is None:
            return unknown("metrics", "the round has not been measured yet")
        if not records:
            return unknown("metrics", f"{NO_RECORD}, so that nobody knows which labels the hold-out had")
        damage = self._damage(self.version)
        if damage and self.again is None:
            return unknown("metrics", damage)
        state = records[-1].state
        held = state.get("held", {})
        past = Past({kind: state.get(kind, {}) for kind in ("loop", "held", "selection")}, number, frozenset(held))
        with rebuilt(self.loop, past, [row.weights for row in self.loop.store.rounds.versions()]) as then:
            if damage and self.again is not None:
                then.store.blobs.path(self.version.weights).unlink(missing_ok=True)
                if then.store.blobs.put(self.again) != self.version.weights:
                    return unknown("metrics", damage)
            evaluate(then)
            row, made = then.store.rounds.history()[-1]
        return comparing.metrics(self._numbers(), made, looks=(self.row.look, row.look), labels=len(held))

    def _numbers(self) -> dict[str, MetricRow]:
        return next(found for row, found in self.loop.store.rounds.history() if row.number == self.row.number)

    def picks(self) -> tuple[Part, Part]:
        """The items that were asked about in this round, and the order of the whole queue each time it was made."""
        number = self.row.number
        stored = {row.key: row for row in self.loop.store.rounds.picks() if row.round == number}
        records = self.loop.store.records.of(number, "select")
        if not records:
            why = NO_RECORD if stored else "nothing was chosen for this round"
            return unknown("picks", why), unknown("queue", why)
        try:
            made = [self._selected(record) for record in records]
        except AlearnError as error:
            return unknown("picks", str(error)), unknown("queue", str(error))
        return comparing.picks(stored, records, made), comparing.queues(records, made)

    def _selected(self, record: Record) -> comparing.Selected:
        """A selection, done again."""
        before = [row for row, _ in self.loop.store.rounds.history() if row.number == record.round - 1]
        version = versions.current(self.loop, before[0] if before else None)
        if version is not None:
            self.loop.store.blobs.get(version.weights)
        marks = {name: record.facts[name] for name in ("low", "high")}
        past = Past({kind: dict(found) for kind, found in record.state.items()}, record.round - 1)
        with rebuilt(self.loop, past, [version.weights] if version else [], queue=marks) as then:
            select(then)
            fresh = [row for row in then.store.rounds.picks() if row.key not in record.state.get("pick", {})]
            wanted = then.store.loop().queue_wanted or ""
        return comparing.Selected(sorted(fresh, key=lambda row: row.rank), wanted)


def _file(damage: str | None) -> str:
    return f"; {damage}" if damage else "; its file is whole"
