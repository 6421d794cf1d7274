"""EfficientNet-Lite as a chain: `stem`, `block0` … , `head`."""

from __future__ import annotations

from pathlib import Path

from alearn.models import efficientnet_lite
from alearn.models.graphs import image_inputs
from alearn.models.networks.chain import Network, images


def lite0(weights: Path, size: int | None) -> Network:
    """EfficientNet-Lite0 up to its pooled features, with the normalisation of its authors."""
    network = efficientnet_lite.load_file(str(weights))
    blocks = [(f"block{at}", block) for at, block in enumerate(network.blocks)]
    chain = images([("stem", network.stem), *blocks, ("head", network.head)], (127 / 255,) * 3, (128 / 255,) * 3)
    return Network(chain, "image", image_inputs(size or 224))
