"""Where the last blocks begin, and what comes out in front of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from alearn.models.networks import Network
from alearn.models.training import device
from alearn.models.training.answers import answers
from alearn.models.training.inputs import Hidden, Inputs, Stored
from alearn.models.training.tail import Front

SHARES = (0.2, 0.4)
"""How much of an image network's arithmetic its last blocks may be, the cheaper ones first.

Early layers take more time than their arithmetic says, because they are large and thin: an epoch of the first is about
a tenth of an epoch of the network, of the second about a quarter (benchmarks/ladder.py).
"""

LAYERS = 2
"""How many encoder layers of a text network are its last blocks."""


def starts(network: Network) -> tuple[str, ...]:
    """The taps behind which last blocks may begin, from the last to the first; none: the network cannot be cut.

    For images the first tap with at most each of SHARES of the arithmetic behind it, for texts that before the last
    LAYERS.
    """
    taps = network.chain.taps
    if len(taps) < 2:
        return ()
    if network.data == "text":
        return (taps[max(len(taps) - 1 - LAYERS, 0)],)
    costs = np.array(list(_costs(network)))
    behind_tap = (costs.sum() - costs.cumsum())[:-1] / costs.sum()
    first = [int(np.argmax(behind_tap <= share)) for share in SHARES if behind_tap[-1] <= share]
    return tuple(taps[at] for at in dict.fromkeys(first)) or taps[-2:-1]


def default_start(network: Network) -> str | None:
    """The tap behind which the cheapest last blocks begin; None: the network cannot be cut."""
    return next(iter(starts(network)), None)


def _costs(network: Network) -> Iterator[int]:
    """The multiplications in each stage's convolutions and linear layers, for one image.

    Torch's own counter would count all, but takes seconds to be imported.
    """
    done = []

    def count(layer: nn.Module, _: object, out: Tensor) -> None:
        done.append(out.numel() * next(layer.parameters())[0].numel())

    chain, side = network.chain, network.inputs["size"]
    layers = [one for one in chain.modules() if isinstance(one, nn.Conv2d | nn.Linear)]
    hooks = [one.register_forward_hook(count) for one in layers]
    with torch.inference_mode():
        activation = chain.entry(torch.zeros((1, side, side, 3), dtype=torch.uint8))
        for stage in chain.stages.values():
            done.clear()
            activation = stage(activation)
            yield sum(done)
    for hook in hooks:
        hook.remove()


def behind(network: Network, inputs: Inputs, tap: str, batch: int = 32, where: torch.device = device.CPU) -> Inputs:
    """The activations of items behind a tap, every view of them, computed by torch on a device.

    They are held in memory as float16.

    Raises:
        ModelError: there is no such tap, or not even one item fits into the device's memory.
    """
    front = device.placed(Front(network.chain, tap).eval(), where)
    rows = np.arange(len(inputs))
    found = [
        list(answers(front, inputs, rows, np.full(len(rows), view), where=where, batch=batch))
        for view in range(inputs.views)
    ]
    if network.data == "text":
        return Hidden([one for states, mask in found[0] for one in _unpadded(states, mask)])
    return Stored(*(np.concatenate([activation.half().numpy() for (activation,) in view]) for view in found))


def _unpadded(states: Tensor, mask: Tensor) -> Iterator[NDArray[np.float16]]:
    for one, real in zip(states, mask, strict=True):
        yield one[: int(real.sum())].half().numpy()
