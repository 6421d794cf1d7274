"""`alearn predict`: an exported model on new items, without torch."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from alearn.config import ItemSpec
from alearn.models.predict import predict


def print_predictions(model: Path, items: str, *, text_column: str, image_column: str) -> None:
    """One JSON object a line: the item, its label, the probability of each class; or the reason there is none."""
    spec = ItemSpec(path=items, text_column=text_column, image_column=image_column)
    for row in predict(model, spec):
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
