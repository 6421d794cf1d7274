"""A tuned network at work: exported once, and run on the fastest engine as a trunk is; what it gives are probabilities.

Torch is imported only for the export.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from alearn.core.keys import fingerprint
from alearn.models.engines import Engine, Precision, Runnable, open_network
from alearn.models.files import new_folder
from alearn.models.serving import file_digest
from alearn.models.trunk import FrozenTrunk, Trunk, example_of
from alearn.models.tuned import Tuned
from alearn.models.zoo import load_network

if TYPE_CHECKING:
    from torch import nn

GRAPH, DIGEST = "model.onnx", "model.sha256"


class TunedTail:
    """A tail that runs on the stored activations of images: (n, …) float16 -> probabilities (n, C), float32."""

    def __init__(self, engine: Engine, weights: str, classes: int) -> None:
        self._engine = engine
        self.classes = classes
        self.cache_key = fingerprint([weights, engine.name, engine.version])

    def proba(self, activation: NDArray[np.float16]) -> NDArray[np.float32]:
        """The probabilities, (n, C), float32."""
        return self._engine.run({"activation": activation})


def open_whole(
    tuned: Tuned, weights: str, base: Trunk, folder: Path, *, engine: str = "auto", precision: Precision = "float32"
) -> Trunk:
    """From items to probabilities: a trunk whose `about.shape` is (C,). `weights` names the tuned weights' bytes.

    `base` is the trunk of the same network, which says how items are prepared; `folder` is where the export is kept.

    Raises:
        ModelError: it cannot be exported, or run.
    """
    target = _exported(tuned, base, folder / f"{weights[:24]}-whole", whole=True)
    runnable = Runnable(target / GRAPH, lambda: _module(tuned, base, whole=True))
    opened = open_network(runnable, engine=engine, precision=precision, example=example_of(base.about), folder=target)
    about = replace(
        base.about, weights=weights, tap="probability", shape=(tuned.classes,), digest="", output="embedding", spans={}
    )
    return FrozenTrunk(target, about, opened)


def open_tail(
    tuned: Tuned, weights: str, base: Trunk, shape: tuple[int, ...], folder: Path, *, engine: str = "auto"
) -> TunedTail:
    """From activations of this shape, behind `tuned.start`, to probabilities; as `open_whole`, in float32."""
    target = _exported(tuned, base, folder / f"{weights[:24]}-tail", whole=False)
    example = {"activation": np.random.default_rng(0).random((16, *shape)).astype(np.float16)}
    opened = open_network(
        Runnable(target / GRAPH, lambda: _module(tuned, base, whole=False)),
        engine=engine,
        precision="float32",
        example=example,
        folder=target,
    )
    return TunedTail(opened, weights, tuned.classes)


def _module(tuned: Tuned, base: Trunk, *, whole: bool) -> nn.Module:
    """The same as a module of torch, for the engines that run these."""
    from alearn.models.training.tuned import probability

    return probability(tuned, load_network(tuned.network, base.data, tuned.size).upto(tuned.tap), whole=whole)


def _sound(folder: Path) -> bool:
    """Whether the graph is there, and is what was written."""
    try:
        return file_digest(folder / GRAPH) == (folder / DIGEST).read_text(encoding="utf-8")
    except OSError:
        return False


def _exported(tuned: Tuned, base: Trunk, target: Path, *, whole: bool) -> Path:
    if _sound(target):
        return target
    from alearn.models.training.tuned import export_tuned

    with new_folder(target) as aside:
        network = load_network(tuned.network, base.data, tuned.size).upto(tuned.tap)
        graph = export_tuned(tuned, network, aside, whole=whole)
        (aside / DIGEST).write_text(file_digest(graph), encoding="utf-8")
        if base.data == "text":
            shutil.copyfile(base.folder / "tokenizer.json", aside / "tokenizer.json")
    return target
