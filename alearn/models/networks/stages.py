"""A network of another library as a chain: its pieces put together into stages that are worth a tap.

Invariant: a chain that is handed out gives what the network gives, tried on a picture; where none does, the network is
one stage.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from alearn.errors import ModelError
from alearn.models.networks.chain import Chain, GlobalMean, images
from alearn.models.networks.following import Pieces, followed
from alearn.models.networks.vision_transformers import transformer_pieces

_LOG = logging.getLogger(__name__)

EXACT = 1e-5
"""How far a chain may be from its network, relative to the largest number: rounding."""


def chained(name: str, module: nn.Module, size: int, mean: Sequence[float], std: Sequence[float]) -> Chain:
    """A network from normalised pixels (n, 3, size, size) to embeddings, as a chain with as many taps as it can have.

    `name` is for messages, `mean` and `std` are for pixels in [0, 1].

    Raises:
        ModelError: it cannot take pictures of that size, or does not give a row of finite numbers for each.
    """
    module.eval()
    picture = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    wanted = _given(name, module, picture)
    pieces = transformer_pieces(module) or followed(module, picture[:1])
    chain = _chain(pieces, picture[:1], mean, std) if pieces else None
    if chain is not None and _agree(chain, picture, wanted):
        return chain
    _LOG.info("%s cannot be cut at a tap. It is used as a whole.", name)
    return images([("network", module)], mean, std, neck=nn.Identity())


def _given(name: str, module: nn.Module, picture: Tensor) -> Tensor:
    """What the network gives, looked at."""
    side = picture.shape[-1]
    try:
        with torch.no_grad():
            found = module(picture)
    # What libraries raise for pictures whose size does not fit.
    except (RuntimeError, ValueError, AssertionError, IndexError) as error:
        raise ModelError(
            f"{name} cannot take pictures of {side} px: {' '.join(str(error).split())[:200].rstrip('.!')}. "
            "Remove `model.size` for the network's own size, or name another network."
        ) from error
    if not isinstance(found, Tensor) or found.ndim != 2 or not found.isfinite().all():
        what = f"an array of shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        finite = "" if not isinstance(found, Tensor) or found.isfinite().all() else ", not finite: damaged weights"
        raise ModelError(
            f"{name} must give a row of finite numbers for each picture. It gives {what}{finite}. Name another network."
        )
    return found


@dataclass(frozen=True)
class _Part:
    """A piece, with the shapes of what it took and gave."""

    name: str
    module: nn.Module
    took: torch.Size
    gave: torch.Size

    @property
    def matrices(self) -> int:
        """How many convolutions and linear layers it holds."""
        return sum(one.ndim > 1 for one in self.module.parameters())

    @property
    def block(self) -> bool:
        """Whether it is a stage of its own."""
        return self.matrices > 1

    @property
    def pools(self) -> bool:
        """Whether it only makes the picture smaller."""
        return not self.matrices and prod(self.gave) < prod(self.took)


def _chain(pieces: Pieces, picture: Tensor, mean: Sequence[float], std: Sequence[float]) -> Chain | None:
    """The chain of a network's pieces; None where there is no one way to pool the activations of its stages.

    The neck is what is behind the last convolution, or layer on tokens.
    """
    parts = list(_run(pieces, picture))
    ends = [at for at, part in enumerate(parts, 1) if part.matrices and len(part.gave) > 2]
    if not ends:
        return None
    body, neck = parts[: ends[-1]], parts[ends[-1] :]
    stages = _grouped(body)
    over = _pooled_over([group[-1].gave for group in stages])
    if over is None:
        return None
    return images(
        [(_named(group, first=at == 0), _joined(group)) for at, group in enumerate(stages)],
        mean,
        std,
        pool=GlobalMean(over),
        neck=_joined(neck),
    )


def _run(pieces: Pieces, picture: Tensor) -> Iterator[_Part]:
    at = picture
    for name, module in pieces:
        with torch.no_grad():
            after: Tensor = module(at.clone())
        yield _Part(name, module, at.shape, after.shape)
        at = after


def _grouped(body: Sequence[_Part]) -> list[list[_Part]]:
    """The parts of each stage: a block with what prepares its input; before the first block, the stem."""
    groups: list[list[_Part]] = [[]]
    for part in body:
        if part.block and len(groups) == 1 and groups[0]:
            groups.append([])
        groups[-1].append(part)
        if part.block or part.pools:
            groups.append([])
    return _with_weights([group for group in groups if group])


def _with_weights(groups: Sequence[list[_Part]]) -> list[list[_Part]]:
    """The same, where a group without weights belongs to the one before."""
    found: list[list[_Part]] = []
    for group in groups:
        if found and not any(part.matrices for part in group):
            found[-1] += group
        else:
            found.append(group)
    return found


def _named(group: Sequence[_Part], *, first: bool) -> str:
    """A stage's name: the path of its largest part, without the dots that torch does not allow."""
    largest = max(group, key=lambda part: part.matrices)
    return "stem" if first and not largest.block else largest.name.replace(".", "-")


def _joined(group: Sequence[_Part]) -> nn.Module:
    return group[0].module if len(group) == 1 else nn.Sequential(*(part.module for part in group))


def _pooled_over(shapes: Sequence[torch.Size]) -> tuple[int, ...] | None:
    """The axes that are not channels, of square pictures or of tokens; None where the stages differ in that."""
    if {len(shape) for shape in shapes} == {3}:
        return (1,)
    if {len(shape) for shape in shapes} != {4}:
        return None
    for axes in ((2, 3), (1, 2)):
        if all(shape[axes[0]] == shape[axes[1]] for shape in shapes):
            return axes
    return None


def _agree(chain: Chain, picture: Tensor, wanted: Tensor) -> bool:
    """Whether a chain gives what its network gives of a normalised picture."""
    with torch.no_grad():
        at = picture.clone()
        for stage in chain.stages.values():
            at = stage(at)
        found = chain.pooled(at, chain.last)
    return found.shape == wanted.shape and bool((found - wanted).abs().max() <= EXACT * wanted.abs().max())
