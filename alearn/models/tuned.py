"""A trained tail as plain data: what it takes to build it again on its network, but no code, and no torch.

Invariant: the same tuned tail gives the same bytes, and those bytes the same tail.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from alearn.errors import ModelError

Rung = Literal["blocks", "whole"]
"""What was trained: the last blocks from stored activations, or the whole network."""


@dataclass(frozen=True, eq=False)
class Tuned:
    """A trained tail of the network of the zoo that is named, for images of `size`.

    `tap` is where the network ends, None: it is whole. `start` is the tap that the tail begins behind, None: the input.
    `temperature` divides its logits. `widths` is the pruning plan of its layers, empty: not pruned. `tensors` is its
    state dict, head included.
    """

    rung: Rung
    network: str
    size: int | None
    start: str | None
    temperature: float
    widths: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    tap: str | None = None

    @property
    def classes(self) -> int:
        """The number of columns of its logits."""
        return len(self.tensors["head.bias"])

    def to_bytes(self) -> bytes:
        """A safetensors file."""
        from safetensors.numpy import save

        names = ("rung", "network", "size", "start", "temperature", "widths", "tap")
        facts = json.dumps({name: getattr(self, name) for name in names}, sort_keys=True)
        tensors = {name: np.ascontiguousarray(value) for name, value in sorted(self.tensors.items())}
        # One entry: safetensors writes several in any order, and the same tail must give the same bytes.
        return bytes(save(tensors, metadata={"tuned": facts}))

    @classmethod
    def from_bytes(cls, content: bytes) -> Tuned:
        """What `to_bytes` wrote; raises ModelError: something else, or damaged."""
        from safetensors import SafetensorError
        from safetensors.numpy import load as read

        try:
            length = int.from_bytes(content[:8], "little")
            facts = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["tuned"])
            return cls(**facts, tensors=read(content))
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"A tuned tail must be a safetensors file of alearn. Got one that is damaged: {error!r}."
            ) from error
