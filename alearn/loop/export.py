"""The newest version of a loop as a folder that stands on its own."""

from __future__ import annotations

from pathlib import Path

from alearn.errors import ModelError
from alearn.loop.undertaking import Undertaking
from alearn.loop.versions import current_head
from alearn.models import export_model


def export_model_of(loop: Undertaking, folder: Path) -> Path:
    """Write the model folder; returns it.

    Raises:
        ModelError: the loop has no version yet.
    """
    history = loop.store.rounds.history()
    if not history:
        raise ModelError(f"Loop {loop.config.name!r} has no model yet. It has trained none. Run `alearn run` first.")
    round_, metrics = history[-1]
    head = current_head(loop, round_)
    version = loop.store.rounds.version(round_.version)
    assert head is not None
    assert version is not None
    facts = {
        "loop": loop.config.name,
        "round": round_.number,
        "version": version.key,
        "training_set": version.training_set,
        "labels": version.labels,
        "created_at": version.created_at,
        "metrics": {
            name: {"value": row.value, "low": row.low, "high": row.high, "confidence": row.confidence, "n": row.n}
            for name, row in sorted(metrics.items())
        },
    }
    export_model(folder, loop.features.trunk, head, loop.schema, facts)
    return folder
