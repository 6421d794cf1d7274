"""EfficientNet-Lite0: a small image network without squeeze-and-excitation and with ReLU6, made for CPUs.

Written here because the package that carries the weights is a single file of 2020; only its state dict is used.
Source: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite (Apache-2.0).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
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


class EfficientNetLite0(nn.Module):
    """(n, 3, h, w) normalised pixels -> (n, 1000) logits; `features` stops at the pooled (n, 1280)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvNorm(3, STEM, 3, 2)
        self.blocks = nn.Sequential(*_blocks())
        self.head = ConvNorm(STAGES[-1].channels, FEATURES)
        self.classifier = nn.Linear(FEATURES, CLASSES)

    def features(self, x: Tensor) -> Tensor:
        """(n, 3, h, w) -> (n, 1280), each in [0, 6]."""
        y: Tensor = self.head(self.blocks(self.stem(x)))
        return y.mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, h, w) -> (n, 1000) logits of the ImageNet classes."""
        logits: Tensor = self.classifier(self.features(x))
        return logits


def _blocks() -> Iterator[Block]:
    inputs = STEM
    for stage in STAGES:
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


def load(state: Mapping[str, Tensor]) -> EfficientNetLite0:
    """The network with the weights of the published state dict, ready for inference.

    Raises:
        RuntimeError: a weight is missing, unknown or of another shape.
    """
    network = EfficientNetLite0()
    network.load_state_dict({_renamed(name): value for name, value in state.items()})
    return network.eval()


def _renamed(name: str) -> str:
    for pattern, replacement in _NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def load_file(path: str) -> EfficientNetLite0:
    """As `load`, from a file of tensors; a file that holds anything but tensors is refused by torch."""
    return load(torch.load(path, map_location="cpu", weights_only=True))
