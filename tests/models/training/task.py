"""A small network, and pictures whose class a linear head on it cannot tell but its last block can learn.

python task.py FOLDER EPOCH      climb the ladder, and be killed when so many epochs have been reported
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from alearn.models import fit_head
from alearn.models.graphs import image_inputs
from alearn.models.networks import Network
from alearn.models.networks.chain import images
from alearn.models.training import ladder
from alearn.models.training.fitting import Plan
from alearn.models.training.inputs import Pictures

SIDE = 12


def network() -> Network:
    """Three stages of random weights, always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        stages = [
            (name, nn.Sequential(nn.Conv2d(inputs, wide, 3, 2), nn.BatchNorm2d(wide), nn.ReLU(), nn.Dropout(0.05)))
            for name, inputs, wide in (("one", 3, 8), ("two", 8, 12))
        ]
        stages.append(("three", nn.Sequential(nn.Conv2d(12, 16, 1), nn.ReLU())))
    return Network(images(stages, (0.5,) * 3, (0.5,) * 3), "image", image_inputs(SIDE))


def pictures(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Bright or dark pictures with lines across or along; class 1 is bright and across, or dark and along."""
    rng = np.random.default_rng(seed)
    bright, across = rng.integers(0, 2, n), rng.integers(0, 2, n)
    lines = 40 * np.sin(np.arange(SIDE) * 2.1)
    found = 90 + 70 * bright[:, None, None, None] + rng.normal(0, 18, (n, SIDE, SIDE, 3))
    found += np.where(across[:, None, None, None], lines[None, :, None, None], lines[None, None, :, None])
    return found.clip(0, 255).astype(np.uint8), (bright == across).astype(np.intp)


def embedded(pixels: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return network().chain(torch.from_numpy(pixels)).numpy()


def climb(folder: Path, top: str = "blocks", report=None, n: int = 200, **changes) -> ladder.Climb:
    pixels, y = pictures(n)
    x = embedded(pixels)
    ground = ladder.Ground("small", SIDE, network, lambda: Pictures(pixels, views=2))
    given = {"head": fit_head(x, y, 2, seed=0), "x": x, "y": y, "ground": ground, "top": top} | changes
    return ladder.climb(**given, metric="accuracy", seed=0, checkpoint=folder, report=report)


def quick() -> None:
    """Plans for so small a network."""
    for rung in ladder.PLANS:
        ladder.PLANS[rung] = Plan(epochs=10, rate=1e-2)


if __name__ == "__main__":
    quick()
    left = int(sys.argv[2])

    def die(*_: object) -> None:
        global left  # noqa: PLW0603
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    climb(Path(sys.argv[1]), report=die)
