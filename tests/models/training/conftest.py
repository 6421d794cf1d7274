"""Solar cells for EfficientNet-Lite0 at 64 px, and a network of three convolutions with pictures that it must learn."""

from __future__ import annotations

import runpy
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from alearn.models import Head, fit_head
from alearn.models.networks import Network
from alearn.models.training.inputs import Pictures, Stored
from alearn.models.training.starts import behind, default_start
from alearn.models.zoo import resolve


@pytest.fixture(scope="session")
def task() -> SimpleNamespace:
    """What `task.py` defines; it is a script, too, because a test must kill a process that runs it."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("task.py"))))


@dataclass(frozen=True)
class Solar:
    network: Network
    start: str
    pictures: Pictures
    stored: Stored
    x: NDArray[np.float32]
    y: NDArray[np.intp]
    head: Head


@pytest.fixture(scope="session")
def solar(cells: Any) -> Solar:
    network = resolve("efficientnet-lite0", "image").network(64)
    pixels = np.stack([np.array(Image.open(path).convert("RGB").resize((64, 64))) for path in cells.raw[:240]])
    pictures, start = Pictures(pixels), default_start(network)
    with torch.inference_mode():
        x = network.chain(torch.from_numpy(pixels)).numpy()
    y = cells.y[:240]
    return Solar(network, start, pictures, behind(network, pictures, start), x, y, fit_head(x, y, 2, seed=0))
