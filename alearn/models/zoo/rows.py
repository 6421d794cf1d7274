"""The networks that need no download, as a literal catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from alearn.models.zoo.packaged import LITE0, LITE1, LITE2, MINILM, Packaged
from alearn.models.zoo.pretrained import Pretrained

if TYPE_CHECKING:
    from alearn.models.networks import Network


def _lite(name: str, packaged: Packaged, size: int, parameters: int) -> Pretrained:
    def network(side: int | None, weights: Path | Literal["random"] | None = None) -> Network:
        from alearn.models import networks

        return networks.lite(name, weights or packaged.path(), side)

    return Pretrained(
        name=name,
        data="image",
        licence="Apache-2.0",
        source="https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite (ImageNet-1k)",
        size=size,
        parameters=parameters,
        identity=packaged.identity,
        network=network,
        architecture=network,
        packaged=packaged,
    )


def _minilm(size: int | None, weights: Path | Literal["random"] | None = None) -> Network:
    from alearn.models import networks

    return networks.HUBS["sentence-transformers"](str(MINILM.path().parent), size, weights or "pretrained")


ZOO: dict[str, Pretrained] = {
    network.name: network
    for network in (
        # Trained at 224; on solar cells 160 is as good and more than twice as fast (benchmarks/embedding.py).
        _lite("efficientnet-lite0", LITE0, 160, 3_371_008),
        _lite("efficientnet-lite1", LITE1, 240, 4_135_680),
        _lite("efficientnet-lite2", LITE2, 260, 4_811_072),
        Pretrained(
            name="minilm",
            data="text",
            licence="Apache-2.0",
            source="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
            size=None,
            parameters=22_565_376,
            identity=MINILM.identity,
            network=_minilm,
            architecture=_minilm,
            packaged=MINILM,
        ),
        Pretrained(
            name="pixels",
            data="image",
            licence="none",
            source="the grey pixels themselves; no network",
            size=16,
            parameters=0,
            identity=lambda: "pixels-1",
            network=None,
        ),
    )
}
"""Networks that need no download."""
