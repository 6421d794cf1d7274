"""A pretrained network as a chain of named stages, so that it can be cut at any of them.

The cut is the tap: what is before it is the trunk, which is frozen and runs once per item; what is behind it is the
tail, which is trained. Invariant: a part that is taken of a chain shares its modules, and so its weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from alearn.core.schema import DataKind
from alearn.errors import ModelError

Activation = Tensor | tuple[Tensor, Tensor]
"""What flows from stage to stage: a tensor, its first axis the items; for texts the hidden states (n, length, dim) with
their mask (n, length), int64."""


class Chain(nn.Module):
    """`entry` makes an activation of what `serving.feed` gives, `stages` turn an activation into the next one.

    `pool` makes an embedding (n, dim) of the activation behind any stage but the last, whose pooling is `neck`. A tap
    is named after the stage that it is behind.
    """

    def __init__(self, entry: nn.Module, stages: Sequence[tuple[str, nn.Module]], pool: nn.Module, neck: nn.Module):
        super().__init__()
        self.entry = entry
        self.stages = nn.ModuleDict(dict(stages))
        self.pool = pool
        self.neck = neck

    @property
    def taps(self) -> tuple[str, ...]:
        """The names of the taps, from the first stage to the last."""
        return tuple(self.stages)

    @property
    def last(self) -> str:
        """The tap behind the whole network."""
        return self.taps[-1]

    def between(self, after: str | None, upto: str) -> list[nn.Module]:
        """The stages behind the tap `after`, none: behind the entry, up to and with the tap `upto`."""
        taps = self.taps
        first = 0 if after is None else self.place(after) + 1
        return [self.stages[name] for name in taps[first : self.place(upto) + 1]]

    def place(self, tap: str) -> int:
        """The number of a tap, from 0; raises ModelError: there is none of that name."""
        if tap not in self.stages:
            raise ModelError(f"`model.tap` must be one of {', '.join(self.taps)}. Got {tap!r}. Correct it.")
        return self.taps.index(tap)

    def pooled(self, activation: Activation, tap: str) -> Tensor:
        """The embeddings (n, dim) of the activation behind a tap."""
        found: Tensor = (self.neck if tap == self.last else self.pool)(activation)
        return found.flatten(1)

    def forward(self, *inputs: Tensor) -> Tensor:
        """What `serving.feed` gives -> the embeddings (n, dim) of the whole network."""
        activation = self.entry(*inputs)
        for stage in self.stages.values():
            activation = stage(activation)
        return self.pooled(activation, self.last)


class Embedder(nn.Module):
    """From what `serving.feed` gives to the embeddings behind one tap or several, one beside the other, (n, dim)."""

    def __init__(self, chain: Chain, taps: Sequence[str]) -> None:
        super().__init__()
        self.taps = sorted(set(taps), key=chain.place)
        self.chain = chain

    def forward(self, *inputs: Tensor) -> Tensor:
        """The embeddings, in the order of the network."""
        activation, found = self.chain.entry(*inputs), []
        for name in self.chain.taps[: self.chain.place(self.taps[-1]) + 1]:
            activation = self.chain.stages[name](activation)
            if name in self.taps:
                found.append(self.chain.pooled(activation, name))
        return torch.cat(found, dim=1) if len(found) > 1 else found[0]


class Prefix(nn.Module):
    """The trunk: from what `serving.feed` gives to the activation behind a tap; images only, as float16."""

    def __init__(self, chain: Chain, tap: str) -> None:
        super().__init__()
        self.entry = chain.entry
        self.stages = nn.Sequential(*chain.between(None, tap))

    def forward(self, *inputs: Tensor) -> Tensor:
        """The activation, each item of one shape."""
        found: Tensor = self.stages(self.entry(*inputs))
        return found.half()


class Suffix(nn.Module):
    """The tail without its head: from the activation behind a tap to the embeddings of the whole network."""

    def __init__(self, chain: Chain, tap: str | None) -> None:
        super().__init__()
        self.stages = nn.ModuleList(chain.between(tap, chain.last))
        self.neck = chain.neck

    def forward(self, activation: Activation) -> Tensor:
        """(n, dim)."""
        for stage in self.stages:
            activation = stage(activation)
        found: Tensor = self.neck(activation)
        return found.flatten(1)


@dataclass(frozen=True)
class Network:
    """A chain in inference mode, with how items are prepared for it (`inputs`, as in `serving`).

    `tokenizer` is the text of a tokenizer.json, for texts. `licence`: None where the library does not say.
    """

    chain: Chain
    data: DataKind
    inputs: Mapping[str, Any]
    licence: str | None = None
    tokenizer: str | None = None

    def upto(self, tap: str | None) -> Network:
        """The network without what is behind a tap (None: all of it), where it is pooled; it shares the weights.

        Raises:
            ModelError: there is no such tap.
        """
        chain = self.chain
        if tap is None or chain.place(tap) == len(chain.taps) - 1:
            return self
        stages = [(name, chain.stages[name]) for name in chain.taps[: chain.place(tap) + 1]]
        return replace(self, chain=Chain(chain.entry, stages, chain.pool, chain.pool).eval())


class Pixels(nn.Module):
    """The entry of image networks: uint8 pixels, normalised; `mean` and `std` are for [0, 1]."""

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        deviation = torch.tensor(tuple(std), dtype=torch.float32)
        self.register_buffer("scale", (1 / (255 * deviation)).view(1, 3, 1, 1))
        self.register_buffer("shift", (-torch.tensor(tuple(mean)) / deviation).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, size, size, 3) uint8 -> (n, 3, size, size) float32."""
        return pixels.permute(0, 3, 1, 2).float() * self.scale + self.shift


class GlobalMean(nn.Module):
    """The mean over the axes of the picture, or of the tokens, -> (n, channels)."""

    def __init__(self, over: tuple[int, ...] = (2, 3)) -> None:
        super().__init__()
        self.over = over

    def forward(self, x: Tensor) -> Tensor:
        """By default of (n, channels, h, w)."""
        return x.mean(self.over)


def images(
    stages: Sequence[tuple[str, nn.Module]],
    mean: Sequence[float],
    std: Sequence[float],
    *,
    pool: nn.Module | None = None,
    neck: nn.Module | None = None,
) -> Chain:
    """The chain of an image network in inference mode; by default pooled by the mean over the picture."""
    return Chain(Pixels(mean, std), stages, pool or GlobalMean(), neck or pool or GlobalMean()).eval()
