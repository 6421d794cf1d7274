"""A trained model as a folder that explains itself and runs anywhere onnxruntime does, without alearn and torch.

    model.onnx         from prepared items to probabilities: trunk and head in one graph
    alearn.json        task, preprocessing, metrics, training set, licence and source of the base model, checksums
    head.safetensors   the head alone; tuned.safetensors where more of the network was trained
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
from alearn.models.tuned import Tuned
from alearn.models.zoo import load_network

REQUIREMENTS = {
    "image": ("numpy>=1.26", "onnxruntime>=1.18", "pillow>=10.3"),
    "text": ("numpy>=1.26", "onnxruntime>=1.18", "tokenizers>=0.20"),
}
"""What the folder's `predict.py` needs, by the kind of data; no newer than what alearn itself needs."""


Model = Head | Tuned
"""What was trained: a head on a trunk's embeddings, or more of the network."""


def export_model(
    folder: Path, trunk: Trunk, model: Model, schema: LabelSchema, facts: Mapping[str, Any] | None = None
) -> Path:
    """Write a model folder, replacing an older one; returns it. `trunk` is what the model stands on.

    `facts` is what the loop knows of the model, JSON values only, kept under `training` in `alearn.json`: `loop`,
    `version`, `training_set` (a fingerprint), `labels` (their number), `created_at`, and `metrics`, {name: {value, low,
    high, n, confidence}}, which the card shows.

    Raises:
        ModelError: the folder exists and is no model folder, or cannot be written; the model does not fit the schema;
            or it cannot be exported.
    """
    _checked(folder, trunk, model, schema)
    try:
        with new_folder(folder) as aside:
            _fill(aside, trunk, model, schema, dict(facts or {}))
    except OSError as error:
        raise ModelError(f"The model cannot be written to {folder}: {error}. Choose another folder.") from error
    return folder


def _checked(folder: Path, trunk: Trunk, model: Model, schema: LabelSchema) -> None:
    if folder.exists() and not (folder / "alearn.json").is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError(f"A model is written to a new folder, or over an older model. Got {folder}. Choose another.")
    if isinstance(model, Tuned):
        _fits("The trained tail", (model.classes,), (len(schema.classes),))
        return
    if not (trunk.folder / "trunk.onnx").is_file():
        raise ModelError(
            f"A model folder runs on onnxruntime. {trunk.name} cannot be exported for it, and runs on {trunk.engine}. "
            "Name another network in `model.name`."
        )
    _fits("The head", model.weights.shape, (trunk.dim, len(schema.classes)))


def _fits(what: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if shape != wanted:
        raise ModelError(
            f"{what} must have the shape {wanted} of this network and these classes. Got {shape}. Train a new version."
        )


def _fill(folder: Path, trunk: Trunk, model: Model, schema: LabelSchema, training: dict[str, Any]) -> None:
    if isinstance(model, Tuned):
        _write_tuned(folder, trunk, model)
    else:
        add_head(trunk.folder / "trunk.onnx", *model.scaled(), folder / "model.onnx")
        (folder / "head.safetensors").write_bytes(model.to_bytes())
    if trunk.data == "text":
        shutil.copyfile(trunk.folder / "tokenizer.json", folder / "tokenizer.json")
    shutil.copyfile(serving.__file__, folder / "predict.py")
    (folder / "requirements.txt").write_text("\n".join([*REQUIREMENTS[trunk.data], ""]), encoding="utf-8")
    facts = describe(folder, trunk, model, schema, training)
    (folder / "alearn.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")
    (folder / "MODEL_CARD.md").write_text(card.write(facts), encoding="utf-8")


def _write_tuned(folder: Path, trunk: Trunk, tuned: Tuned) -> None:
    from alearn.models.training.tuned import export_tuned

    export_tuned(tuned, load_network(tuned.network, trunk.data, tuned.size).upto(tuned.tap), folder, whole=True)
    (folder / "tuned.safetensors").write_bytes(tuned.to_bytes())


def describe(
    folder: Path, trunk: Trunk, model: Model, schema: LabelSchema, training: Mapping[str, Any]
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
        "trained": _trained(model),
        "training": dict(training),
        "files": {
            path.name: serving.file_digest(path)
            for path in sorted(folder.iterdir())
            if path.suffix in {".onnx", ".safetensors"} or path.name == "tokenizer.json"
        },
    }


def _trained(model: Model) -> dict[str, Any]:
    """How much of the network was trained, and what a reader of the weights has to know."""
    if isinstance(model, Tuned):
        return {"rung": model.rung, "start": model.start, "temperature": model.temperature, "widths": model.widths}
    return {"rung": "linear", "strength": model.strength, "temperature": model.temperature}
