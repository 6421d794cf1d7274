"""What the lines of annotations.jsonl say, taken together: one annotation for each annotator and task.

Invariant: reading the same lines again, whole or in pieces, gives the same annotations with the same ids.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from alearn.core.schema import LabelSchema
from alearn.platform import Annotation
from alearn_connectors.files.journal import Line

NOBODY = "anonymous"
"""The annotator of a line that names none."""


class Answers:
    """The annotations that hold after all lines so far.

    `changed` is {key: offset behind the last line about it}, `lines` {key: number of the first line about it}, `faults`
    {offset: a sentence about a line that could not be used}.
    """

    def __init__(self, schema: LabelSchema) -> None:
        self._schema = schema
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._held: dict[str, dict[str, Annotation]] = {}
        self._owner: dict[str, tuple[str, str]] = {}
        self.changed: dict[str, int] = {}
        self.lines: dict[str, int] = {}
        self.faults: dict[int, str] = {}

    def of(self, key: str) -> tuple[Annotation, ...]:
        """The annotations of one task, oldest first."""
        return tuple(self._held.get(key, {}).values())

    def take(self, line: Line) -> None:
        """Take in one more line."""
        fault = line.fault
        for said in line.objects:
            fault = self._take(said, line) or fault
        if fault:
            self.faults[line.end] = f"annotations.jsonl, line {line.number} {fault}. It was passed over."

    def _take(self, said: Mapping[str, Any], line: Line) -> str:
        """Take in one object; returns what is wrong with it."""
        identity = _word(said.get("id"))
        key, annotator = self._owner.get(identity or "", (None, NOBODY))
        key, annotator = _word(said.get("key")) or key, _word(said.get("annotator")) or annotator
        if key is None:
            return "has no `key`, and no `id` that was there before"
        if said.get("deleted") is True:
            self._remove(identity, key, annotator, line)
        else:
            self._put(identity, key, annotator, said, line)
        return ""

    def _remove(self, identity: str | None, key: str, annotator: str, line: Line) -> None:
        key, annotator = self._owner.get(identity or "", (key, annotator))
        self._held.get(key, {}).pop(annotator, None)
        self._touch(key, line)

    def _put(self, identity: str | None, key: str, annotator: str, said: Mapping[str, Any], line: Line) -> None:
        if identity is not None and self._owner.get(identity, (key, annotator)) != (key, annotator):
            self._remove(identity, key, annotator, line)
        held = self._held.setdefault(key, {})
        before = held.pop(annotator, None)
        identity = identity or (before.id if before else f"{annotator}@{key}")
        held[annotator] = self._annotation(identity, key, annotator, said)
        self._owner[identity] = (key, annotator)
        self._touch(key, line)

    def _touch(self, key: str, line: Line) -> None:
        self.changed[key] = line.end
        self.lines.setdefault(key, line.number)

    def _annotation(self, identity: str, key: str, annotator: str, said: Mapping[str, Any]) -> Annotation:
        skipped = said.get("skipped") is True
        value, refused = (None, None) if skipped else self._value(said.get("value"))
        return Annotation(
            id=identity,
            key=key,
            annotator=annotator,
            value=value,
            skipped=skipped,
            refused=refused,
            lead_time=_seconds(said.get("lead_time")),
            updated_at=_moment(said.get("updated_at")),
        )

    def _value(self, given: Any) -> tuple[str | None, str | None]:
        """The class that was meant, or why there is none: (value, refused)."""
        if given is None or given == "":
            return None, None
        word = _word(given)
        if word in self._schema.classes:
            return word, None
        return None, f"{str(given)[:80]!r} is not one of the classes"


def _word(given: Any) -> str | None:
    """A name as it was meant: true and numbers may be written without quotes; None for nothing, or for no name."""
    if not isinstance(given, str | int):
        return None
    word = str(given).lower() if isinstance(given, bool) else str(given)
    word = word.strip().replace("\0", "")
    return word.encode("utf-8", "replace").decode() or None


def _seconds(given: Any) -> float | None:
    good = isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given) and given >= 0
    return float(given) if good else None


def _moment(given: Any) -> str:
    """ISO 8601 in UTC; "" where none was written. A time without a zone is taken as UTC."""
    try:
        moment = datetime.fromisoformat(given)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return ""
    return moment.isoformat()
