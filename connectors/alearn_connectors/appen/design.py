"""What contributors see and may answer: the job's CML, rows, and answers as alearn's values. Pure.

Invariant: class names survive the way there and back, and neither an item's text nor a class name becomes mark-up or a
Liquid tag on a contributor's page.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from alearn.core.schema import DataKind, LabelSchema
from alearn.core.seeds import number
from alearn.platform import Annotation, Task
from alearn_connectors.appen.options import Options
from alearn_connectors.appen.service import KEY, Judgment, Place

_SELECT_ABOVE = 30
"""With more classes than this they are a drop-down list."""

_TIMES = ("%m/%d/%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S UTC")
"""How reports write a time, beside ISO 8601."""


def skip_value(schema: LabelSchema) -> str:
    """The answer of a contributor who cannot tell: one that is no class."""
    value = "cannot tell"
    while value in schema.classes:
        value += "_"
    return value


def cml(schema: LabelSchema, data: DataKind, options: Options) -> str:
    """The form of a loop's job."""
    many = len(schema.classes) > _SELECT_ABOVE
    outer, inner = ("select", "option") if many else ("radios", "radio")
    named = [(name, name) for name in schema.classes]
    if options.skip:
        named.append((skip_value(schema), "I cannot tell"))
    choices = "".join(f'<cml:{inner} value="{_quoted(value)}" label="{_quoted(shown)}"/>' for value, shown in named)
    question = f'label="{_quoted(options.question)}" name="{options.field}" validates="required" gold="true"'
    return f"{_item(data)}<cml:{outer} {question}>{choices}</cml:{outer}>"


def _item(data: DataKind) -> str:
    if data == "image":
        return '<img src="{{ image | escape }}" style="max-width: 100%"/>'
    return '<div style="white-space: pre-wrap">{{ text | escape }}</div>'


def _quoted(words: str) -> str:
    """Text inside an attribute, out of reach of Liquid, which reads the form before the mark-up is read."""
    return escape(" ".join(words.split())).replace("{", "&#123;").replace("}", "&#125;").replace("%", "&#37;")


def settings(schema: LabelSchema, data: DataKind, options: Options, title: str) -> dict[str, Any]:
    """The settings of a `v1` job. Rows are ordered under the cap, never by themselves."""
    wanted: dict[str, Any] = {
        "title": title,
        "instructions": options.instructions or f"<p>{escape(options.question)}</p>",
        "cml": cml(schema, data, options),
        "judgments_per_unit": options.judgments,
        "units_per_assignment": options.rows_per_page,
        "auto_order": False,
        "schedule_fifo": True,
    }
    if options.payment_cents is not None:
        wanted["payment_cents"] = options.payment_cents
    if options.confidence is not None:
        wanted["variable_judgments_mode"] = "auto_confidence"
        wanted["min_unit_confidence"] = options.confidence
        wanted["max_judgments_per_unit"] = options.max_judgments or options.judgments
    inner: dict[str, Any] = {}
    if options.reject_at is not None:
        inner["reject_at"] = options.reject_at
    if options.confidence is not None:
        inner["confidence_fields"] = [options.field]
    return wanted | ({"options": inner} if inner else {})


def fingerprint(wanted: Mapping[str, Any]) -> str:
    """A hash that changes when, and only when, the settings change."""
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:16]


def content(task: Task, options: Options) -> dict[str, str] | None:
    """The columns of a row; None for a picture that contributors cannot reach."""
    if task.text is not None:
        return {KEY: task.key, "text": task.text}
    url = _reachable(task.uri or "", options)
    return None if url is None else {KEY: task.key, "image": url}


def _reachable(uri: str, options: Options) -> str | None:
    if uri.startswith(("http://", "https://")):
        return uri
    if options.media_root is None or options.media_url is None:
        return None
    root, path = Path(options.media_root).expanduser().absolute(), Path(uri.removeprefix("file://"))
    if ".." in path.parts or not path.is_relative_to(root):
        return None
    return f"{options.media_url}/{quote(path.relative_to(root).as_posix())}"


def is_gold(key: str, share: float, seed: int, loop: str) -> bool:
    """Whether an item with a known answer becomes a test question; the same for the same loop, whenever it is asked."""
    return number(seed, loop, 0, f"appen gold {key}") < share * 2**32


def page(options: Options, place: Place | None) -> str:
    """Where a person looks; the API itself where it is not Appen's own."""
    if place is None or not options.url.endswith("appen.com"):
        return options.url
    part = f"jobs/{place.job}" if options.api == "v1" else f"quality/projects/{place.project}"
    return f"https://client.appen.com/{part}"


def annotation(job: str, key: str, said: Judgment, schema: LabelSchema) -> Annotation:
    """A judgment that counts, as the loop knows it."""
    answer = " ".join((said.answer or "").split()) or None
    skipped = answer == skip_value(schema)
    value = answer if answer in schema.classes else None
    stranger = answer is not None and not skipped and value is None
    began, ended = moment(said.started_at), moment(said.created_at)
    return Annotation(
        id=f"{job}-{said.id}",
        key=key,
        annotator=said.worker,
        value=value,
        skipped=skipped,
        refused=f"{answer!r} is not one of the classes" if stranger else None,
        lead_time=max((ended - began).total_seconds(), 0.0) if began and ended else None,
        updated_at=ended.isoformat() if ended else "",
    )


def moment(words: str) -> datetime | None:
    """A time as Appen writes it, in UTC; None when it is none."""
    try:
        found = datetime.fromisoformat(words)
    except ValueError:
        for form in _TIMES:
            try:
                return datetime.strptime(words, form).replace(tzinfo=UTC)
            except ValueError:
                continue
        return None
    return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)


def in_order(tasks: Sequence[Task], ranks: Mapping[str, int]) -> list[Task]:
    """Each task once, in the order of the queue; what it does not name comes last."""
    return sorted({task.key: task for task in tasks}.values(), key=lambda task: ranks.get(task.key, len(ranks)))
