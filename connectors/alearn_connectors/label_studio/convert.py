"""Label Studio's JSON and XML as alearn's values, and back: pure, no network.

What annotators see is an image or a text and one `Choices`. Class names survive the way there and back unchanged,
whatever printable characters they hold.
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from alearn.core.schema import DataKind, LabelSchema
from alearn.platform import Annotation, QueueEntry, Task

KEY = "alearn_id"
"""The field of a task's data that carries the item's key."""

CONTROL, OBJECT = "label", "item"
"""How our config names the question and what it is about."""

_SELECT_ABOVE = 30
"""With more classes than this they are a drop-down list."""

_AROUND, _ROW, _LINE = 260, 40, 28
"""Pixels of the page that are not the image's, with one row of classes and one line of a question; each further row of
classes, and line. Label Studio's own 194 push the classes off the page."""
_WIDE, _CHARACTER, _BOX = 880, 8, 50
"""Pixels of a row at 1280 by 800, of a character, and of what surrounds a class's name."""

_VARIABLE = re.compile(r"\$(?=[\w\[\].{}])")
"""What Label Studio's page would replace by a field of the task's data."""


@dataclass(frozen=True)
class Offer:
    """What a project asks now: the control, what it is about, the task's fields it shows, and the answers it offers."""

    control: str
    to_name: str
    fields: frozenset[str]
    choices: tuple[str, ...]


def label_config(schema: LabelSchema, data: DataKind, question: str = "") -> str:
    """The labeling interface of a loop, as Label Studio's XML."""
    view = ET.Element("View")
    if question:
        ET.SubElement(view, "Header", value=_shown(" ".join(question.split())))
    if data == "image":
        ET.SubElement(
            view,
            "Image",
            name=OBJECT,
            value=f"${data}",
            zoom="true",
            zoomControl="true",
            maxHeight=_height(schema, question),
        )
    else:
        ET.SubElement(view, "Text", name=OBJECT, value=f"${data}", valueType="text")
    layout = {"layout": "select"} if len(schema.classes) > _SELECT_ABOVE else {"showInline": "true"}
    choices = ET.SubElement(
        view, "Choices", name=CONTROL, toName=OBJECT, choice="single", required="true", attrib=layout
    )
    _add_choices(choices, schema.classes)
    return ET.tostring(view, encoding="unicode")


def _height(schema: LabelSchema, question: str) -> str:
    """How high an image may be so that the classes are seen without scrolling."""
    wide = sum(_BOX + _CHARACTER * len(name) for name in schema.classes)
    rows = 1 if len(schema.classes) > _SELECT_ABOVE else max(1, math.ceil(wide / _WIDE))
    lines = max(1, math.ceil(_CHARACTER * len(question) / _WIDE))
    return f"calc(100vh - {_AROUND + _ROW * (rows - 1) + _LINE * (lines - 1)}px)"


def with_choices(config: str, control: str, names: Iterable[str]) -> str:
    """A label config that somebody has edited, with choices added to one of its controls and all else kept."""
    view = ET.fromstring(config)  # noqa: S314 - comes from Label Studio, which has parsed it already
    for element in view.iter("Choices"):
        if element.get("name") == control:
            _add_choices(element, names)
    return ET.tostring(view, encoding="unicode")


def _add_choices(parent: ET.Element, names: Iterable[str]) -> None:
    """A name that the page would take for a variable is shown with a look-alike; its alias is what is stored."""
    for name in names:
        shown = _shown(name)
        ET.SubElement(parent, "Choice", value=shown, attrib={} if shown == name else {"alias": name})


def _shown(text: str) -> str:
    return _VARIABLE.sub("＄", text)


def offer(parsed: Mapping[str, Mapping[str, Any]]) -> Offer | None:
    """The question that a project asks, out of its `parsed_label_config`.

    Ours by its name, else the only Choices there is; None when it is neither.
    """
    choices = {name: control for name, control in parsed.items() if control.get("type") == "Choices"}
    if CONTROL not in choices and len(choices) != 1:
        return None
    name = CONTROL if CONTROL in choices else next(iter(choices))
    control = choices[name]
    return Offer(
        control=name,
        to_name=str(control["to_name"][0]),
        fields=frozenset(str(shown["value"]) for shown in control.get("inputs", ()) if shown.get("value")),
        choices=tuple(str(label) for label in control.get("labels", ())),
    )


def task_json(task: Task, data: DataKind, shown: str) -> dict[str, Any]:
    """A task to import; `shown` is the text, or the picture's URL."""
    return {"data": {KEY: task.key, data: shown}}


def unusable(text: str) -> str | None:
    """Why a text cannot be kept by Label Studio's database; None when it can."""
    if "\x00" in text:
        return "the text holds a NUL character, which Label Studio cannot keep"
    if not text.strip():
        return "the text is empty"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "the text holds half of a surrogate pair, which is not Unicode"
    return None


def prediction_json(
    task_id: int, entry: QueueEntry, version: str, asked: Offer, *, suggest: bool, least: float = 0.0
) -> dict[str, Any]:
    """A place in the queue, as a prediction. Without a suggestion its result is empty: it orders, and shows nothing.

    `least` is the confidence in [0, 1] from which on a suggestion is shown; one whose confidence is not known is shown
    where it is 0.

    Raises:
        ValueError: the score is not in [0, 1]; Label Studio would drop the prediction silently.
    """
    if not 0 <= entry.score <= 1:
        raise ValueError(f"score {entry.score} of {entry.key} is not in [0, 1]")
    told = suggest and entry.label in asked.choices and (entry.confidence or 0.0) >= least
    result = [result_json(str(entry.label), asked)] if told else []
    return {"task": task_id, "result": result, "score": float(entry.score), "model_version": version}


def result_json(name: str, asked: Offer) -> dict[str, Any]:
    """The answer `name` as Label Studio's result."""
    return {"from_name": asked.control, "to_name": asked.to_name, "type": "choices", "value": {"choices": [name]}}


def task_key(task: Mapping[str, Any]) -> str | None:
    """The item's key that a task carries; None for a task that is not ours."""
    data = task.get("data")
    key = data.get(KEY) if isinstance(data, Mapping) else None
    return key if isinstance(key, str) and key else None


def annotation(
    raw: Mapping[str, Any], key: str, *, scope: str, controls: Collection[str], classes: Collection[str]
) -> Annotation:
    """One annotation of a task. `controls` are the names that our question has, or had.

    Its id holds when it was made, because SQLite gives the ids of deleted annotations to new ones.
    """
    skipped = bool(raw.get("was_cancelled"))
    value, refused = (None, None) if skipped else _answer(raw.get("result") or (), controls, classes)
    lead_time = raw.get("lead_time")
    return Annotation(
        id=f"{scope}/{raw['id']}-{compact(raw['created_at'])}",
        key=key,
        annotator=_annotator(raw),
        value=value,
        skipped=skipped,
        refused=refused,
        lead_time=None if lead_time is None else float(lead_time),
        updated_at=exact(raw["updated_at"]),
        trusted=bool(raw.get("ground_truth")),
    )


def _annotator(raw: Mapping[str, Any]) -> str:
    """Who answered: `completed_by` is a number, or an object that holds one; None when the user was deleted."""
    who = raw.get("completed_by")
    number = who.get("id") if isinstance(who, Mapping) else who
    return f"unknown-{raw['id']}" if number is None else f"user-{number}"


def _answer(
    result: Sequence[Mapping[str, Any]], controls: Collection[str], classes: Collection[str]
) -> tuple[str | None, str | None]:
    """(class name, None), (None, why it is refused), or (None, None) for an empty answer."""
    ours = [item for item in result if item.get("type") == "choices" and item.get("from_name") in controls]
    if not ours:
        others = sorted({str(item["from_name"]) for item in result if item.get("from_name")})
        return None, f"answered in {', '.join(others)}, which this loop does not ask" if others else None
    said = list(dict.fromkeys(str(name) for item in ours for name in item["value"].get("choices", ())))
    if len(said) > 1:
        return None, f"{len(said)} answers ({', '.join(map(repr, said))}) where one is asked for"
    if said and said[0] not in classes:
        return None, f"{said[0]!r} is not a class of this loop"
    return (said[0] if said else None), None


def moment(text: str) -> datetime:
    """A time as Label Studio writes it: ISO 8601, with or without fractional seconds."""
    parsed = datetime.fromisoformat(text)
    return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def iso(when: datetime) -> str:
    """ISO 8601 in UTC, always with fractional seconds: without them Label Studio's filters fail with a 500."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def exact(text: str) -> str:
    """A time of Label Studio in the one form that sorts as text and that its filters take."""
    return text if len(text) == 27 and text[19] == "." and text[26] == "Z" else iso(moment(text))


def just_before(text: str) -> str:
    """The last moment before a time, in microseconds: what `greater` needs to include the time itself."""
    return iso(moment(text) - timedelta(microseconds=1))


def compact(text: str) -> str:
    """A time without punctuation, for ids."""
    return re.sub(r"[-:.Z]", "", exact(text))
