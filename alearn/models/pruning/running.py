"""A module that is only asked, not trained: on a GPU as it is, on a processor as an exported graph.

A graph is many times faster than torch there.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from alearn.models.engines import open_graph
from alearn.models.networks.exporting import write
from alearn.models.training import device
from alearn.models.training.answers import answers
from alearn.models.training.inputs import Inputs, Rows

_BATCH = 64


def outputs(module: nn.Module, pictures: Inputs, rows: Rows, where: torch.device = device.CPU) -> NDArray[Any]:
    """What a module that takes pixels gives of these rows, (n, …), float32 or float16.

    On the CPU always on onnxruntime: a run that goes on after it was killed must find the same numbers. What goes on on
    another device finds them within rounding, and begins the step that stands on them again.

    Raises:
        ModelError: the module cannot be exported, or not even one item fits into a GPU's memory.
    """
    if where.type != "cpu":
        found = answers(module.eval(), pictures, rows, where=where)
        return np.concatenate([one.numpy() for (one,) in found])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "module.onnx"
        with torch.no_grad():
            write(module.eval(), {"pixels": pictures.take(rows[:2])[0]}, path, "output")
        engine = open_graph(path, engine="onnxruntime")
        parts = [rows[at : at + _BATCH] for at in range(0, len(rows), _BATCH)]
        return np.concatenate([engine.run({"pixels": pictures.take(part)[0].numpy()}) for part in parts])
