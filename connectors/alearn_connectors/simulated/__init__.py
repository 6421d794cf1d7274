"""Simulated annotators behind the same door as real ones: they answer what is already known, with their own faults.

Somebody works each time the loop looks: a pull from the newest cursor lets the annotators answer up to `per_pull` times
(default: all that is open), in the order of the queue. A pull from an older cursor, or one after a crash, only repeats
what was there.

Options: `accuracy`, `confusion`, `skip_rate`, `seconds` and `seed` as in `alearn.core.annotators.Profile`;
`accuracy` may be a list, one for each annotator; `annotators`, how many there are (default 1); `overlap`, how many of
them are asked about each item at least (default 1), a skip being an answer, too; `per_pull`.

Invariant: which annotator says what of which item, and under which id, depends on the options, the seed and the item
alone; killed at any moment and opened again, the simulation goes on as if nothing had happened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from alearn.core.annotators import Profile, answer
from alearn.core.schema import LabelSchema
from alearn.errors import ConfigError
from alearn.platform import Finding, Platform, Pull, Queue, Setting, Task
from alearn_connectors.simulated.state import Answered, State

PROFILE = ("accuracy", "confusion", "skip_rate", "seconds", "seed")
OPTIONS = (*PROFILE, "annotators", "overlap", "per_pull", "question")


@dataclass(frozen=True)
class Crew:
    """The simulated people. `overlap` of the `annotators` are asked about each item, `per_pull` answers at a time."""

    profile: Profile = field(default_factory=Profile)
    annotators: int = 1
    overlap: int = 1
    per_pull: int | None = None
    accuracies: tuple[float, ...] = ()

    def profile_of(self, annotator: str) -> Profile:
        """How an annotator behaves."""
        if not self.accuracies:
            return self.profile
        return replace(self.profile, accuracy=self.accuracies[int(annotator.removeprefix("annotator-")) - 1])

    def asked(self, key: str, opinions: int = 1) -> list[str]:
        """The names of those who are asked about an item, in the order in which they answer."""
        digest = hashlib.sha256(f"{self.profile.seed}\0{key}".encode()).digest()
        first = int.from_bytes(digest[:8], "big")
        count = min(max(self.overlap, opinions), self.annotators)
        return [f"annotator-{(first + turn) % self.annotators + 1}" for turn in range(count)]


def open(setting: Setting) -> Platform:
    """The simulated annotators of this loop; raises ConfigError for wrong options."""
    return SimulatedPlatform(setting, crew(setting.options, setting.schema, setting.seed))


def crew(options: Mapping[str, Any], schema: LabelSchema, seed: int) -> Crew:
    """The options, checked; raises ConfigError."""
    for name in options:
        if name not in OPTIONS:
            raise ConfigError(
                f"`platform.options` of simulated may hold {', '.join(OPTIONS)}. Got {name!r}. Remove or correct it."
            )
    annotators = _count(options, "annotators", 1, 1)
    overlap = _count(options, "overlap", 1, 1)
    per_pull = None if options.get("per_pull") is None else _count(options, "per_pull", 0, 0)
    if overlap > annotators:
        raise ConfigError(
            f"`platform.options.overlap` must be at most `annotators`, {annotators}. Got {overlap}. Correct one."
        )
    accuracies = options.get("accuracy")
    if not isinstance(accuracies, list):
        return Crew(_profile(options, schema, seed), annotators, overlap, per_pull)
    if len(accuracies) != annotators:
        raise ConfigError(
            f"`platform.options.accuracy` must be a number, or one for each of {annotators} annotators. Got "
            f"{len(accuracies)}. Correct one."
        )
    each = [_profile({**options, "accuracy": one}, schema, seed) for one in accuracies]
    return Crew(each[0], annotators, overlap, per_pull, tuple(one.accuracy for one in each))


def _count(options: Mapping[str, Any], name: str, default: int, least: int) -> int:
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(
            f"`platform.options.{name}` must be an integer of at least {least}. Got {value!r}. "
            f"Correct it, or remove the line for the default."
        )
    return value


def _profile(options: Mapping[str, Any], schema: LabelSchema, seed: int) -> Profile:
    given = {name: options[name] for name in PROFILE if name in options}
    for name in ("accuracy", "skip_rate", "seconds"):
        value = given.get(name, 1.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise ConfigError(
                f"`platform.options.{name}` must be a number of at least 0. Got {value!r}. Correct or remove it."
            )
    _check_confusion(given.get("confusion", {}), schema)
    return Profile(**{"seed": seed, **given})


def _check_confusion(confusion: Any, schema: LabelSchema) -> None:
    rows = confusion if isinstance(confusion, Mapping) else {"": None}
    for truth, row in rows.items():
        names = [truth, *row] if isinstance(row, Mapping) else []
        chances = list(row.values()) if isinstance(row, Mapping) else []
        strangers = [name for name in names if name not in schema.classes]
        if not names or strangers or not all(isinstance(chance, int | float) for chance in chances):
            raise ConfigError(
                "`platform.options.confusion` must be {truth: {answer: probability}} over the classes "
                f"{', '.join(schema.classes)}. Got {strangers[0] if strangers else confusion!r}. Correct it."
            )


class SimulatedPlatform:
    """Simulated annotators; see the module. `people` is a person's hand in tests: it submits, edits and deletes."""

    def __init__(self, setting: Setting, crew: Crew) -> None:
        self._setting = setting
        self._crew = crew
        self.people = State(setting.home / "simulated" / "state.sqlite")

    def prepare(self) -> str:
        """Create the state file, or adopt the one that is there."""
        return f"simulated annotators, {self.people.prepare()}"

    def push(self, tasks: Sequence[Task], queue: Queue) -> Mapping[str, str]:
        """Take the tasks and the order; none is refused."""
        self.people.push([task.key for task in tasks], queue)
        return {}

    def pull(self, cursor: str | None, *, pushed: Sequence[str] | None = None) -> Pull:
        """Let the annotators work when everything before was seen, then tell what changed."""
        notices: tuple[str, ...] = ()
        if self.people.is_newest(cursor):
            notices = self._work()
        states, here = self.people.since(cursor)
        missing = frozenset() if pushed is None else frozenset(pushed) - self.people.keys()
        return Pull(states, here, missing, notices)

    def _work(self) -> tuple[str, ...]:
        """Answer what is open; returns notices."""
        open_tasks = self.people.open(self._crew.asked, self._crew.per_pull)
        truths = self._setting.known(list(dict.fromkeys(key for key, _ in open_tasks))) if open_tasks else {}
        said = [self._answer(key, name, truths.get(key)) for key, name in open_tasks]
        self.people.submit(said, share=self._crew.annotators)
        unknown = {key for key, _ in open_tasks} - truths.keys()
        if not unknown:
            return ()
        return (
            f"Simulated annotators skipped {len(unknown)} tasks without a known answer, like {min(unknown)}. "
            "Set `items.truth_column` or `items.truth`.",
        )

    def _answer(self, key: str, annotator: str, truth: str | None) -> Answered:
        if truth is None:
            return Answered(key, annotator, skipped=True)
        if truth not in self._setting.schema.classes:
            return Answered(key, annotator, refused=f"the known answer {truth!r} is not one of the classes")
        said = answer(self._crew.profile_of(annotator), annotator, key, truth, self._setting.schema.classes)
        return Answered(key, annotator, said.value, skipped=said.value is None, lead_time=round(said.seconds, 3))

    def links(self) -> Mapping[str, str]:
        """The state file."""
        return {"project": str(self.people.path)}

    def check(self) -> Sequence[Finding]:
        """Whether the state file can be opened."""
        return [self.people.check()]

    def close(self) -> None:
        """Close the state file."""
        self.people.close()
