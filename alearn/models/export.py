"""A trained model as a folder that explains itself and runs anywhere onnxruntime does, without alearn and torch.

    model.onnx         from prepared items to probabilities: trunk and head in one graph
    alearn.json        task, preprocessing, metrics, training set, licence and source of the base model, checksums
    head.safetensors   the head alone
    tokenizer.json     for texts
    MODEL_CARD.md  predict.py  requirements.txt

Invariant: the folder is there whole or not at all.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alearn.core.schema import LabelSchema
from alearn.errors import ModelError
from alearn.models import card, serving
from alearn.models.files import new_folder
from alearn.models.graphs import add_head
from alearn.models.head import Head
from alearn.models.trunk import Trunk

REQUIREMENTS = {
    "image": ("numpy>=1.26", "onnxruntime>=1.18", "pillow>=10.3"),
    "text": ("numpy>=1.26", "onnxruntime>=1.18", "tokenizers>=0.20"),
}
"""What the folder's `predict.py` needs, by the kind of data; no newer than what alearn itself needs."""


def export_model(
    folder: Path, trunk: Trunk, head: Head, schema: LabelSchema, facts: Mapping[str, Any] | None = None
) -> Path:
    """Write a model folder, replacing an older one; returns it.

    `facts` is what the loop knows of the model, JSON values only, kept under `training` in `alearn.json`: `loop`,
    `version`, `training_set` (a fingerprint), `labels` (their number), `created_at`, and `metrics`, {name: {value, low,
    high, n, confidence}}, which the card shows.

    Raises:
        ModelError: the folder exists and is no model folder, or cannot be written; the head does not fit the schema; or
            the trunk cannot be exported.
    """
    _checked(folder, trunk, head, schema)
    try:
        with new_folder(folder) as aside:
            _fill(aside, trunk, head, schema, dict(facts or {}))
    except OSError as error:
        raise ModelError(f"The model cannot be written to {folder}: {error}. Choose another folder.") from error
    return folder


def _checked(folder: Path, trunk: Trunk, head: Head, schema: LabelSchema) -> None:
    if folder.exists() and not (folder / "alearn.json").is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError(f"A model is written to a new folder, or over an older model. Got {folder}. Choose another.")
    if trunk.about.engine != "onnxruntime":
        raise ModelError(
            f"A model folder runs on onnxruntime. {trunk.name} cannot be exported for it, and runs on {trunk.engine}. "
            "Name another network in `model.name`."
        )
    if head.weights.shape != (trunk.dim, len(schema.classes)):
        raise ModelError(
            f"The head must have the shape {(trunk.dim, len(schema.classes))} of this network and these classes. "
            f"Got {head.weights.shape}. Train a new version."
        )


def _fill(folder: Path, trunk: Trunk, head: Head, schema: LabelSchema, training: dict[str, Any]) -> None:
    weights, bias = head.scaled()
    add_head(trunk.folder / "trunk.onnx", weights, bias, folder / "model.onnx")
    (folder / "head.safetensors").write_bytes(head.to_bytes())
    if trunk.data == "text":
        shutil.copyfile(trunk.folder / "tokenizer.json", folder / "tokenizer.json")
    shutil.copyfile(serving.__file__, folder / "predict.py")
    (folder / "requirements.txt").write_text("\n".join([*REQUIREMENTS[trunk.data], ""]), encoding="utf-8")
    facts = describe(folder, trunk, head, schema, training)
    (folder / "alearn.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")
    (folder / "MODEL_CARD.md").write_text(card.write(facts), encoding="utf-8")


def describe(
    folder: Path, trunk: Trunk, head: Head, schema: LabelSchema, training: Mapping[str, Any]
) -> dict[str, Any]:
    """What `alearn.json` says."""
    about = asdict(trunk.about) | {"dim": trunk.dim}
    return {
        "format": serving.FORMAT,
        "alearn": importlib.metadata.version("alearn"),
        "task": {"type": schema.task_type, "data": trunk.data, "classes": list(schema.classes)},
        "inputs": about["inputs"],
        "base": {name: about[name] for name in ("name", "licence", "source", "parameters", "weights", "tap", "dim")}
        | {"fingerprint": trunk.fingerprint, "engine": trunk.engine},
        "head": {"kind": "logistic", "strength": head.strength, "temperature": head.temperature},
        "training": dict(training),
        "files": {
            path.name: serving.file_digest(path)
            for path in sorted(folder.iterdir())
            if path.suffix in {".onnx", ".safetensors"} or path.name == "tokenizer.json"
        },
    }
