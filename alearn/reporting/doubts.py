"""The items that the model finds hardest, and the labels that it takes for wrong, as JSON types.

Labels of the hold-out are never suspected here: who corrects only those that the model disagrees with makes it look
better than it is.

Invariant: a label is doubted by heads that did not see it; the same store gives the same items in the same order.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from alearn.config import masked
from alearn.core.keys import unit_interval
from alearn.errors import ModelError
from alearn.loop.believing import FEWEST
from alearn.loop.health import suspected
from alearn.loop.undertaking import Undertaking
from alearn.reporting.standing import Standing

SHOWN = 12
"""Items of each kind that are named."""
LOOKED_AT = 10_000
"""Items among which the hardest are looked for, at most; more would take minutes on a large pool."""
EXCERPT = 280
"""Characters of a text that are shown."""


def hardest_of(loop: Undertaking, now: Standing) -> dict[str, Any]:
    """The unlabeled items outside the hold-out whose two likeliest classes are nearest to each other."""
    labeled = set(loop.store.annotations.training(holdout=False).keys)
    left = [one.key for one in loop.store.items.candidates() if not one.holdout and one.key not in labeled]
    if not left:
        raise ModelError("Every item outside the hold-out has a label: there is nothing left to find hard")
    looked = sorted(sorted(left, key=lambda key: unit_interval(key, loop.config.seed))[:LOOKED_AT])
    lost = now.model.ensure(looked)
    keys = [key for key in looked if key not in lost]
    if not keys:
        raise ModelError("None of the items that are left can be read")
    proba = np.asarray(now.model.proba(keys))
    sure = np.sort(proba, axis=1)
    margin = sure[:, -1] - sure[:, -2]
    rows = np.argsort(margin, kind="stable")[:SHOWN]
    about = described(loop, [keys[row] for row in rows])
    found = [
        {**about[keys[row]], "margin": float(margin[row]), "answers": likeliest(proba[row], loop.schema.classes)}
        for row in rows
    ]
    return {"looked_at": len(keys), "left": len(left), "items": found}


def suspects_of(loop: Undertaking) -> dict[str, Any]:
    """The labels that models which did not see them find wrong, the most suspect first, as `alearn.loop.health` does.

    Raises:
        ModelError: there are too few labels to doubt any.
    """
    found = suspected(loop)
    if found is None:
        needed = FEWEST * len(loop.schema.classes)
        raise ModelError(f"No label can be doubted before there are {needed} to learn from, {FEWEST} for each class")
    shown = found[:SHOWN]
    about, said = described(loop, [one.key for one in shown]), _said(loop, [one.key for one in shown])
    return {
        "labels": len(loop.store.annotations.training(holdout=False).keys),
        "unlikely": len(found),
        "doubted": sum(one.doubted for one in found),
        "items": [
            {**about[one.key], "label": one.given, "probability": one.probability, "doubted": one.doubted}
            | {"answer": one.suggested, "confidence": one.confidence, "said_by": said[one.key]}
            for one in shown
        ],
    }


def likeliest(proba: NDArray[np.floating[Any]], classes: Sequence[str], most: int = 2) -> list[dict[str, Any]]:
    """The likeliest classes with their probabilities (C,), the likeliest first."""
    order = np.argsort(-proba, kind="stable")[:most]
    return [{"class": classes[at], "probability": float(proba[at])} for at in order]


def described(loop: Undertaking, keys: Sequence[str]) -> Mapping[str, dict[str, Any]]:
    """What a person knows items by: the name of the file, or the beginning of the text."""
    found = {}
    for key, content in loop.store.items.contents(keys).items():
        text = content.text
        short = text if text is None or len(text) <= EXCERPT else text[: EXCERPT - 1].rstrip() + "…"
        uri = None if content.uri is None else str(masked(content.uri))
        name = None if content.uri is None else os.path.basename(urlsplit(content.uri).path) or uri
        found[key] = {"key": key, "name": name, "uri": uri, "text": short}
    return found


def _said(loop: Undertaking, keys: Sequence[str]) -> dict[str, list[dict[str, str | None]]]:
    """Who said what of items."""
    found: dict[str, list[dict[str, str | None]]] = {key: [] for key in keys}
    for row in loop.store.annotations.all():
        if row.key in found and not row.deleted and row.value is not None:
            found[row.key].append({"annotator": row.annotator, "value": row.value})
    return found
