"""The model card: what a person should know before using a model, from what `alearn.json` says.

Source: Mitchell et al., Model Cards for Model Reporting (2019), https://arxiv.org/abs/1810.03993.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def write(facts: Mapping[str, Any]) -> str:
    """The card in Markdown."""
    return "\n".join([*_head(facts), *_metrics(facts["training"]), *_data(facts), *_use(facts), ""])


def _head(facts: Mapping[str, Any]) -> Iterator[str]:
    task, base = facts["task"], facts["base"]
    yield f"# {facts['training'].get('loop', 'alearn')} model"
    yield ""
    yield f"Sorts {task['data']}s into {len(task['classes'])} classes: {', '.join(task['classes'])}."
    yield ""
    yield _trained(facts["trained"], base)
    yield f"Base model: {base['source']}, licence {base['licence']}."


def _trained(trained: Mapping[str, Any], base: Mapping[str, Any]) -> str:
    name = f"{base['name']} ({base['parameters']:,} parameters)"
    thinner = ", pruned to fewer channels" if trained.get("widths") else ""
    if trained["rung"] == "linear":
        return f"Logistic regression on the embeddings of {name}, frozen, at its tap {base['tap']}."
    part = f"Its last blocks, behind {trained['start']}, were" if trained["start"] else "All of it was"
    return f"{name}{thinner}. {part} fine-tuned."


def _metrics(training: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## How good it is", "")
    metrics = training.get("metrics") or {}
    if not metrics:
        yield "Not measured: there was no hold-out."
        return
    yield "On items drawn at random, labeled, and never trained on:"
    yield from ("", "| metric | value | interval | items |", "|---|---|---|---|")
    for name, found in metrics.items():
        low, high = _number(found.get("low")), _number(found.get("high"))
        yield f"| {name} | {_number(found.get('value'))} | {low} – {high} | {found.get('n', '')} |"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _data(facts: Mapping[str, Any]) -> Iterator[str]:
    training = facts["training"]
    yield from ("", "## What it was trained on", "")
    labels = training.get("labels", "An unrecorded number of")
    yield f"{labels} labels, chosen by active learning: they are no random sample."
    for name in ("training_set", "version", "created_at"):
        if training.get(name) is not None:
            yield f"- {name.replace('_', ' ')}: `{training[name]}`"


def _use(facts: Mapping[str, Any]) -> Iterator[str]:
    inputs = facts["inputs"]
    yield from ("", "## How to use it", "", "    pip install -r requirements.txt")
    yield f"    python predict.py {'photo.png' if inputs['kind'] == 'image' else repr('a text')}"
    yield ""
    if inputs["kind"] == "image":
        size, how = inputs["size"], f"{inputs['mode']}, {inputs['interpolation']}"
        yield f"Images are squeezed to {size} × {size} pixels ({how})."
    else:
        yield f"Texts are cut after {inputs['max_tokens']} tokens."
    yield "It always answers with one of its classes, also for items that are none of them."
