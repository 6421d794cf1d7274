"""A version of a loop as a folder that stands on its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from alearn.loop.recipe import cut_of
from alearn.loop.undertaking import Undertaking
from alearn.loop.versions import find
from alearn.models import Head, export_model
from alearn.models.tuned import Tuned
from alearn.store.tables import VersionRow


def export_model_of(loop: Undertaking, folder: Path, version: str = "") -> Path:
    """Write the model folder of the version whose key begins so (empty: the newest); returns it.

    Raises:
        ModelError: the loop has no version yet, or none of that key.
    """
    found = find(loop, version)
    content, trunk = loop.store.blobs.get(found.weights), loop.features.trunk_at(cut_of(found.recipe))
    model = Head.from_bytes(content) if found.rung == "linear" else Tuned.from_bytes(content)
    export_model(folder, trunk, model, loop.schema, _facts(loop, found))
    return folder


def _facts(loop: Undertaking, version: VersionRow) -> dict[str, Any]:
    """What the folder says of the training, with the metrics of the last round that measured this version."""
    rounds = [(row, metrics) for row, metrics in loop.store.rounds.history() if row.version == version.key]
    number, measured = (rounds[-1][0].number, rounds[-1][1]) if rounds else (0, {})
    return {
        "loop": loop.config.name,
        "round": number,
        "version": version.key,
        "parent": version.parent,
        "rung": version.rung,
        "facts": json.loads(version.facts),
        "training_set": version.training_set,
        "labels": version.labels,
        "created_at": version.created_at,
        "metrics": {
            name: {"value": row.value, "low": row.low, "high": row.high, "confidence": row.confidence, "n": row.n}
            for name, row in sorted(measured.items())
        },
    }
