"""EfficientNet-Lite as a chain: `stem`, `block0` … , `head`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from alearn.models.efficientnet_lite import VARIANTS, EfficientNetLite, renamed
from alearn.models.graphs import image_inputs
from alearn.models.networks.chain import Network, images
from alearn.models.networks.weights import fill, read_state, seeded


def lite(name: str, weights: Path | Literal["random"], size: int | None) -> Network:
    """A variant of EfficientNet-Lite up to its pooled features, with the normalisation of its authors.

    Raises:
        ModelError: the file is none of weights, or of another network's.
    """
    variant = VARIANTS[name]
    network = seeded(lambda: EfficientNetLite(variant))
    if isinstance(weights, Path):
        del network.classifier
        fill(network, renamed(read_state(weights)), f"{weights} for {name}", ("classifier",))
    blocks = [(f"block{at}", block) for at, block in enumerate(network.blocks)]
    chain = images([("stem", network.stem), *blocks, ("head", network.head)], (127 / 255,) * 3, (128 / 255,) * 3)
    return Network(chain, "image", image_inputs(size or variant.size))
