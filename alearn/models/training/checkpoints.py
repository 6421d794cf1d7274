"""A training run's state on disk, so that a killed run goes on and ends with the same weights.

Invariant: a file is of one run, named by its key; what is of another run, or damaged, counts as not there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from alearn.models.files import write_file


def write(path: Path, key: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Replace the file; `facts` must be JSON, and tensors may be on a GPU: in the file they are nowhere."""
    path.parent.mkdir(parents=True, exist_ok=True)
    said = {"run": json.dumps({"key": key, "facts": dict(facts)})}
    write_file(path, save({name: value.cpu().contiguous() for name, value in tensors.items()}, metadata=said))


def read(path: Path, key: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """What was written last for this key: tensors and facts."""
    try:
        content = path.read_bytes()
        length = int.from_bytes(content[:8], "little")
        said = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["run"])
        return (load(content), said["facts"]) if said["key"] == key else None
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None
