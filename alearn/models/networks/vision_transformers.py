"""Vision transformers taken apart: they put tokens together outside of any part, so they cannot be followed."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from alearn.models.networks.bridges import Bridge
from alearn.models.networks.following import Pieces


def transformer_pieces(module: nn.Module) -> Pieces | None:
    """The pieces of a VisionTransformer of torchvision or timm, from the picture to the embedding; None: it is none."""
    for kind in type(module).__mro__:
        if kind.__name__ == "VisionTransformer":
            return _torchvision(module) if kind.__module__.startswith("torchvision.") else _timm(module)
    return None


def _torchvision(vit: nn.Module) -> Pieces:
    encoder = vit.get_submodule("encoder")
    return [
        ("tokens", _Tokens(vit)),
        *((f"block{at}", block) for at, block in enumerate(encoder.get_submodule("layers").children())),
        ("norm", encoder.get_submodule("ln")),
        ("first", Bridge("first token")),
        ("heads", vit.get_submodule("heads")),
    ]


class _Tokens(nn.Module):
    """The picture in patches, as torchvision makes tokens of it, the class token first."""

    def __init__(self, vit: nn.Module) -> None:
        super().__init__()
        self.patches = vit.get_submodule("conv_proj")
        self.first = vit.get_parameter("class_token")
        self.places = vit.get_parameter("encoder.pos_embedding")

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, h, w) -> (n, tokens, dim)."""
        patches: Tensor = self.patches(x).flatten(2).transpose(1, 2)
        return torch.cat([self.first.expand(len(x), -1, -1), patches], dim=1) + self.places


_BEFORE = ("patch_embed", "pos_drop", "patch_drop", "norm_pre")


def _timm(vit: nn.Module) -> Pieces:
    blocks = vit.get_submodule("blocks")
    behind = {name for name, _ in vit.named_children()} - {*_BEFORE, "blocks"}
    return [
        ("tokens", _Opening(_only(vit, _BEFORE))),
        *((f"block{at}", block) for at, block in enumerate(blocks.children())),
        ("closing", _Closing(_only(vit, behind))),
    ]


def _only(vit: nn.Module, kept: Iterable[str]) -> nn.Module:
    """A network that shares these parts with another, and passes through where it has the others."""
    twin = copy.copy(vit)
    twin._modules = {name: part if name in set(kept) else nn.Sequential() for name, part in vit._modules.items()}
    return twin


class _Opening(nn.Module):
    """What timm does before the first block."""

    def __init__(self, vit: nn.Module) -> None:
        super().__init__()
        self.vit = vit

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, h, w) -> (n, tokens, dim)."""
        tokens: Tensor = self.vit.forward_features(x)  # type: ignore[operator]
        return tokens


class _Closing(nn.Module):
    """What timm does behind the last block."""

    def __init__(self, vit: nn.Module) -> None:
        super().__init__()
        vit._parameters = {}
        self.vit = vit

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, tokens, dim) -> (n, dim)."""
        found: Tensor = self.vit.forward_head(self.vit.norm(tokens))  # type: ignore[operator]
        return found
