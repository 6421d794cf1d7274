"""`alearn predict`: an exported model on new items, without torch."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alearn.config import ItemSpec
from alearn.core.schema import DataKind
from alearn.data import Unreadable, read_items
from alearn.models.predict import open_model, predict


def print_predictions(model: Path, items: str, *, text_column: str, image_column: str) -> None:
    """One JSON object a line: the item, its label, the probability of each class; or the reason why there is none."""
    kind: DataKind = "image" if open_model(model).data == "image" else "text"
    spec = ItemSpec(path=items, text_column=text_column, image_column=image_column)
    with tempfile.TemporaryDirectory() as folder:
        readable = _readable(spec, kind, Path(folder))
        for found in predict(model, readable):
            _line({name: value for name, value in dataclasses.asdict(found).items() if value is not None})


def _readable(spec: ItemSpec, kind: DataKind, folder: Path) -> Iterator[str]:
    """The paths or texts of a source; what cannot be read is printed with its reason and passed over."""
    for one in read_items(spec, kind, folder):
        if isinstance(one, Unreadable):
            _line({"item": one.where, "reason": one.reason})
        else:
            yield one.uri or one.text or ""


def _line(row: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
