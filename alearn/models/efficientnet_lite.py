"""EfficientNet-Lite: small image networks without squeeze-and-excitation and with ReLU6, made for CPUs.

Written here because the packages that carry the weights are single files of 2020; only their state dicts are used.
Source: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite (Apache-2.0).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from math import ceil
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class Stage(NamedTuple):
    """Blocks of one shape; the stride is the first one's."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STEM, FEATURES, CLASSES = 32, 1280, 1000
"""The same in every variant."""


class Variant(NamedTuple):
    """How much wider and deeper than Lite0 a network is, and the side of the images it was trained on."""

    width: float
    depth: float
    size: int


VARIANTS: Mapping[str, Variant] = {
    "efficientnet-lite0": Variant(1.0, 1.0, 224),
    "efficientnet-lite1": Variant(1.0, 1.1, 240),
    "efficientnet-lite2": Variant(1.1, 1.2, 260),
}
LITE0 = VARIANTS["efficientnet-lite0"]


def stages(variant: Variant) -> list[Stage]:
    """The stages of a variant: its channels in steps of 8, its first and last stage not repeated more often."""
    last = len(STAGES) - 1
    return [
        stage._replace(
            repeats=stage.repeats if at in {0, last} else ceil(stage.repeats * variant.depth),
            channels=_in_steps(stage.channels * variant.width),
        )
        for at, stage in enumerate(STAGES)
    ]


def _in_steps(channels: float) -> int:
    """The nearest multiple of 8 that is not more than a tenth less."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


class ConvNorm(nn.Module):
    """Convolution padded as TensorFlow pads (`SAME`: the odd pixel goes right and below), batch norm, maybe ReLU6."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, *, groups: int = 1, act: bool = True
    ):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)
        self.act = nn.ReLU6() if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) -> (n, outputs, ceil(h / stride), ceil(w / stride))."""
        kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
        if kernel > 1:
            before, after = zip(*(_same(int(side), kernel, stride) for side in x.shape[2:]), strict=True)
            x = functional.pad(x, (before[1], after[1], before[0], after[0]))
        return self.act(self.bn(self.conv(x)))  # type: ignore[no-any-return]


def _same(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, so that a side of `side` pixels becomes one of ceil(side / stride)."""
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


class Block(nn.Module):
    """Inverted residual: expand, filter each channel, project; with a shortcut where the shapes allow it."""

    def __init__(self, inputs: int, stage: Stage, stride: int):
        super().__init__()
        wide = inputs * stage.expansion
        self.expand = ConvNorm(inputs, wide) if stage.expansion > 1 else nn.Identity()
        self.depthwise = ConvNorm(wide, wide, stage.kernel, stride, groups=wide)
        self.project = ConvNorm(wide, stage.channels, act=False)
        self.shortcut = stride == 1 and inputs == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) -> (n, stage.channels, ceil(h / stride), ceil(w / stride))."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.shortcut else y


class EfficientNetLite(nn.Module):
    """(n, 3, h, w) normalised pixels -> (n, 1000) logits; `features` stops at the pooled (n, 1280).

    Its weights are random, spread so that no signal grows or dies on its way.
    """

    def __init__(self, variant: Variant = LITE0) -> None:
        super().__init__()
        self.stem = ConvNorm(3, STEM, 3, 2)
        self.blocks = nn.Sequential(*_blocks(stages(variant)))
        self.head = ConvNorm(stages(variant)[-1].channels, FEATURES)
        self.classifier = nn.Linear(FEATURES, CLASSES)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                fan_out = layer.weight[:, 0].numel() / layer.groups
                nn.init.normal_(layer.weight, std=(2 / fan_out) ** 0.5)

    def features(self, x: Tensor) -> Tensor:
        """(n, 3, h, w) -> (n, 1280), each in [0, 6]."""
        y: Tensor = self.head(self.blocks(self.stem(x)))
        return y.mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, h, w) -> (n, 1000) logits of the ImageNet classes."""
        logits: Tensor = self.classifier(self.features(x))
        return logits


def _blocks(stages: Iterable[Stage]) -> Iterator[Block]:
    inputs = STEM
    for stage in stages:
        for repeat in range(stage.repeats):
            yield Block(inputs, stage, stage.stride if repeat == 0 else 1)
            inputs = stage.channels


_NAMES = (
    (r"^_conv_stem\.", "stem.conv."),
    (r"^_bn0\.", "stem.bn."),
    (r"^_conv_head\.", "head.conv."),
    (r"^_bn1\.", "head.bn."),
    (r"^_fc\.", "classifier."),
    (r"^_blocks\.", "blocks."),
    (r"\._(expand|depthwise|project)_conv\.", r".\1.conv."),
    (r"\._bn0\.", ".expand.bn."),
    (r"\._bn1\.", ".depthwise.bn."),
    (r"\._bn2\.", ".project.bn."),
)


def load(state: Mapping[str, Tensor], variant: Variant = LITE0) -> EfficientNetLite:
    """The network with the weights of the published state dict, ready for inference.

    Raises:
        RuntimeError: a weight is missing, unknown or of another shape.
    """
    network = EfficientNetLite(variant)
    network.load_state_dict(renamed(state))
    return network.eval()


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published state dict with the names that the parts have here."""
    return {_renamed(name): value for name, value in state.items()}


def _renamed(name: str) -> str:
    for pattern, replacement in _NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def load_file(path: str, variant: Variant = LITE0) -> EfficientNetLite:
    """As `load`, from a file of tensors; a file that holds anything but tensors is refused by torch."""
    return load(torch.load(path, map_location="cpu", weights_only=True), variant)
