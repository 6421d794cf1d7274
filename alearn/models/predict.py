"""Predict with an exported model folder, from within alearn; torch is never imported.

The folder's own `predict.py` does the same without alearn (`serving.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.data.decode import read_image
from alearn.errors import DataError, ModelError
from alearn.models.serving import Model, Unfit, predict_each


@dataclass(frozen=True)
class Prediction:
    """What a model believes of one item: `proba` {class: probability}, and the most probable as `label`.

    An unreadable item has the `reason`, and nothing else.
    """

    item: str
    label: str | None = None
    probability: float | None = None
    proba: dict[str, float] | None = None
    reason: str | None = None


def open_model(folder: Path) -> Model:
    """A model folder that reads images as the loop does, URLs included; raises ModelError as `predict` does."""
    try:
        model = Model(folder)
    except Unfit as error:
        raise ModelError(str(error)) from error
    size = model.facts["inputs"].get("size")
    model.read = lambda uri: _read(uri, size)
    return model


def predict(folder: Path, items: Iterable[str]) -> Iterator[Prediction]:
    """The predictions of a model folder for texts, or for paths and URLs of images; in their order, as they are made.

    Raises:
        ModelError: the folder is no model, is incomplete or damaged, or a package that it needs is missing.
    """
    model = open_model(folder)
    return (_prediction(model, item, found) for item, found in predict_each(model, items))


def _read(uri: str, size: int | None) -> Any:
    try:
        return read_image(uri, size=size)
    except DataError as error:
        raise Unfit(str(error)) from error


def _prediction(model: Model, item: str, found: NDArray[np.float32] | str) -> Prediction:
    if isinstance(found, str):
        return Prediction(item, reason=found)
    best = int(found.argmax())
    proba = {name: float(p) for name, p in zip(model.classes, found, strict=True)}
    return Prediction(item, model.classes[best], float(found[best]), proba)
