"""The tail: what is behind a tap of a network, with a linear head, as a module that is trained.

Invariant: a tail owns its weights; training it leaves the network as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from alearn.models.head import Head
from alearn.models.networks import Chain, Suffix


class Tail(nn.Module):
    """From the activation behind `start` to logits (n, C); `start` None: from what `serving.feed` gives.

    `temperature` divides the logits; it is 1 while training, and no part of the state dict.
    """

    temperature: Tensor

    def __init__(self, chain: Chain, start: str | None, dim: int, classes: int, temperature: float = 1.0) -> None:
        super().__init__()
        self.entry = deepcopy(chain.entry) if start is None else None
        self.suffix = deepcopy(Suffix(chain, start))
        self.head = nn.Linear(dim, classes)
        self.register_buffer("temperature", torch.tensor(temperature), persistent=False)
        self.to(memory_format=torch.channels_last)
        self.eval()

    def embedding(self, *inputs: Tensor) -> Tensor:
        """The embeddings (n, dim) that the head stands on."""
        found: Tensor = self.suffix(
            self.entry(*inputs) if self.entry is not None else inputs[0] if len(inputs) == 1 else inputs
        )
        return found

    def forward(self, *inputs: Tensor) -> Tensor:
        """(n, C)."""
        logits: Tensor = self.head(self.embedding(*inputs)) / self.temperature
        return logits

    def parts(self) -> list[nn.Module]:
        """What has weights of its own, from the head back to the input: each is trained more slowly than the last."""
        entry = [] if self.entry is None else [self.entry]
        return [self.head, self.suffix.neck, *reversed(self.suffix.stages), *entry]

    def wear(self, head: Head) -> None:
        """Take over a linear head of the same embeddings: the tail then gives its logits."""
        dim, classes = head.weights.shape
        self.head = nn.Linear(dim, classes)
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(head.weights.T.copy()))
            self.head.bias.copy_(torch.from_numpy(head.bias))


class Embedding(nn.Module):
    """What a tail's head stands on, (n, dim), from the tail's inputs; it shares the tail's modules."""

    def __init__(self, tail: Tail) -> None:
        super().__init__()
        self.tail = tail

    def forward(self, *inputs: Tensor) -> Tensor:
        """(n, dim)."""
        return self.tail.embedding(*inputs)


class Front(nn.Module):
    """What is before a tap: from what `serving.feed` gives to the activation as a tail takes it, rounded as stored.

    It shares the network's modules. A tuple of one tensor; for texts, of the hidden states and their mask.
    """

    def __init__(self, chain: Chain, tap: str) -> None:
        super().__init__()
        self.entry = chain.entry
        self.stages = nn.Sequential(*chain.between(None, tap))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Float32 numbers that float16 can say."""
        found = self.stages(self.entry(*inputs))
        activation, *mask = found if isinstance(found, tuple) else (found,)
        return activation.half().float(), *mask


def arrays(module: nn.Module) -> dict[str, NDArray[Any]]:
    """The state dict in numpy, copied."""
    return {name: value.detach().cpu().contiguous().numpy().copy() for name, value in module.state_dict().items()}


def load(module: nn.Module, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Put a state dict of `arrays` back; raises RuntimeError: other names or shapes."""
    module.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()})
