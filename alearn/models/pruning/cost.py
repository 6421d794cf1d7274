"""What a network costs: parameters, multiply-accumulates, megabytes, and how many items it does in a second.

Torch-Pruning's own counter misses subclasses of Conv2d (20 instead of 384 million for EfficientNet-Lite0), so that
torch's is used. Speeds depend on what else the machine does: those that are compared are measured in turns.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from alearn.models.engines import items_per_second, open_graph
from alearn.models.networks.exporting import write

ROUNDS = 2
"""How often each network's speed is measured; the fastest counts, for other work only ever slows one down."""


@dataclass(frozen=True)
class Cost:
    """Of a network with its head: `macs` are per item, `megabytes` (10^6) of the exported file, `engine` ran it."""

    parameters: int
    macs: int
    megabytes: float
    items_per_second: float
    engine: str

    @property
    def latency_ms(self) -> float:
        """Milliseconds per item in a full batch."""
        return 1000 / self.items_per_second


def costs(modules: Sequence[nn.Module], example: Mapping[str, Tensor]) -> list[Cost]:
    """What each costs, on the engine that is the fastest for the first of them; `example` is a batch of items.

    Raises:
        ModelError: one cannot be exported, or no engine can run it.
    """
    feed = {name: value.numpy() for name, value in example.items()}
    with tempfile.TemporaryDirectory() as folder:
        paths = [_written(module, example, Path(folder) / str(at)) for at, module in enumerate(modules)]
        first = open_graph(paths[0], example=feed)
        opened = [first, *(open_graph(path, engine=first.name) for path in paths[1:])]
        rounds = [[items_per_second(one, feed) for one in opened] for _ in range(ROUNDS)]
        return [
            Cost(parameters(module), macs(module, example), path.stat().st_size / 1e6, max(rates), str(one))
            for module, path, one, rates in zip(modules, paths, opened, zip(*rounds, strict=True), strict=True)
        ]


def parameters(module: nn.Module) -> int:
    """The number of weights that are trained; not the statistics of batch norms."""
    return sum(one.numel() for one in module.parameters())


def macs(module: nn.Module, example: Mapping[str, Tensor]) -> int:
    """Multiply-accumulates per item of the example."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(*example.values())
    return int(counter.get_total_flops()) // 2 // len(next(iter(example.values())))


def _written(module: nn.Module, example: Mapping[str, Tensor], folder: Path) -> Path:
    """In a folder of its own, where its engine's choice is kept."""
    folder.mkdir()
    with torch.no_grad():
        write(module, example, folder / "model.onnx", "logits")
    return folder / "model.onnx"
