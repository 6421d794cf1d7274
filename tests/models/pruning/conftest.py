"""A small network like those that are pruned, and pictures that it can tell apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from alearn.models.graphs import image_inputs
from alearn.models.head import Head, fit_head
from alearn.models.networks.chain import Network, images
from alearn.models.pruning.running import outputs
from alearn.models.training.inputs import Pictures

SIDE = 16


class Block(nn.Module):
    """Expand, filter each channel, project; with a shortcut."""

    def __init__(self, width: int, wide: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU6(),
            nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU6(),
            nn.Conv2d(wide, width, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x + self.body(x)
        return found


def small(seed: int = 0) -> Network:
    """Of 24 and 96 channels, and embeddings of 64; its batch norms know its activations."""
    torch.manual_seed(seed)
    stem = nn.Sequential(nn.Conv2d(3, 24, 3, 2, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU())
    top = nn.Sequential(nn.Conv2d(24, 64, 1), nn.BatchNorm2d(64), nn.ReLU())
    stages = [("stem", stem), ("block0", Block(24, 96)), ("block1", Block(24, 96)), ("top", top)]
    chain = images(stages, (0.5,) * 3, (0.25,) * 3)
    chain.train()
    with torch.no_grad():
        for _ in range(20):
            chain(torch.randint(0, 256, (16, SIDE, SIDE, 3), dtype=torch.uint8))
    return Network(chain.eval(), "image", image_inputs(SIDE))


@dataclass(frozen=True)
class Stripes:
    """Noisy pictures whose stripes stand or lie, and a linear head that tells them apart."""

    network: Network
    pixels: NDArray[np.uint8]
    y: NDArray[np.intp]
    x: NDArray[np.float32]
    head: Head

    @property
    def labeled(self) -> Pictures:
        return Pictures(self.pixels)


@pytest.fixture(scope="session")
def stripes() -> Stripes:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 240)
    wave = 40 * np.sin(np.arange(SIDE) * 1.5)
    lying = np.broadcast_to(wave[:, None], (SIDE, SIDE))
    signal = np.where(y[:, None, None] == 1, lying, lying.T)[..., None]
    noise = rng.normal(128, 40, (len(y), SIDE, SIDE, 3))
    pixels = np.clip(signal * rng.uniform(0.2, 1.2, (len(y), 1, 1, 1)) + noise, 0, 255).astype(np.uint8)
    network = small()
    x = outputs(network.chain, Pictures(pixels), np.arange(len(y)))
    return Stripes(network, pixels, y, x, fit_head(x, y, 2, seed=0))
