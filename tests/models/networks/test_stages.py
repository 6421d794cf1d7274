"""Networks of torchvision and timm are cut at taps and still give what their libraries give."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from alearn.errors import ModelError
from alearn.models.networks import Network, Prefix, Suffix, export, weights_digest
from alearn.models.networks.stages import chained
from alearn.models.zoo import load_network

SIDE = 64
NETWORKS = {
    "torchvision:resnet18": ("stem", "layer1-0", "layer4-1"),
    "torchvision:mobilenet_v3_small": ("stem", "features-1", "features-12"),
    "torchvision:swin_t": ("stem", "features-1-0", "features-7-1"),
    "torchvision:googlenet": ("stem", "conv2", "inception5b"),
    "timm:vit_tiny_patch16_224": ("tokens", "block0", "block11"),
    "timm:convnext_atto": ("stem", "stages-0-blocks-0", "stages-3-blocks-1"),
    "timm:levit_128s": ("network", "network", "network"),
}
"""Its first, second and last tap; the last of these is not a sequence."""


@functools.cache
def _network(name: str) -> Network:
    """Loaded once for all tests, which only look at it."""
    if name.startswith("timm:"):
        pytest.importorskip("timm", reason="needs alearn[timm]")
    return load_network(f"random:{name}", "image", _side(name))


def _side(name: str) -> int:
    return 224 if "levit" in name else SIDE


def _pictures(side: int = SIDE, count: int = 3) -> Tensor:
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def _normalised(pixels: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    deviation = torch.tensor(std).view(1, 3, 1, 1)
    return (pixels.permute(0, 3, 1, 2) / 255 - torch.tensor(mean).view(1, 3, 1, 1)) / deviation


def _library(name: str, side: int) -> nn.Module:
    """The library's own network with the same random weights, up to its classifier."""
    hub, _, name = name.partition(":")
    torch.manual_seed(0)
    if hub == "timm":
        import timm

        size = {"img_size": side} if timm.get_pretrained_cfg(name).fixed_input_size else {}
        return timm.create_model(name, num_classes=0, **size).eval()
    from torchvision import models

    bare = {"aux_logits": False, "init_weights": False, "transform_input": True} if name == "googlenet" else {}
    network = models.get_model(name, **bare).eval()
    kind = nn.Conv2d if name.startswith("squeezenet") else nn.Linear
    path = [path for path, layer in network.named_modules() if isinstance(layer, kind)][-1]
    parent, _, last = path.rpartition(".")
    setattr(network.get_submodule(parent), last, nn.Identity())
    return network


@pytest.mark.parametrize("name", NETWORKS)
def test_the_embeddings_are_the_librarys_and_every_tap_has_its_own(name: str) -> None:
    """Wherever it is cut, trunk and tail give what the whole gives; taps are named after the library's parts."""
    side = _side(name)
    chain, pixels = _network(name).chain, _pictures(side)
    mean, std = ((0.5,) * 3,) * 2 if "vit_tiny" in name else ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    with torch.no_grad():
        wanted = _library(name, side)(_normalised(pixels, mean, std))
        whole = chain(pixels)
        assert torch.allclose(whole, wanted, rtol=1e-4, atol=1e-5)
        for tap in chain.taps[:: max(1, len(chain.taps) // 3)]:
            activation = nn.Sequential(*chain.between(None, tap))(chain.entry(pixels))
            assert torch.equal(Suffix(chain, tap)(activation), whole)
            assert Prefix(chain, tap)(pixels).dtype == torch.float16
            assert chain.pooled(activation, tap).ndim == 2
    assert (chain.taps[0], chain.taps[min(1, len(chain.taps) - 1)], chain.last) == NETWORKS[name]


@pytest.mark.parametrize(("name", "dim"), [("torchvision:swin_t", 192), ("timm:vit_tiny_patch16_224", 192)])
def test_an_inner_tap_is_pooled_over_the_picture_whatever_the_layout(name: str, dim: int) -> None:
    """Channels last, or tokens: as many numbers as there are channels."""
    chain = _network(name).chain
    tap = chain.taps[3]
    with torch.no_grad():
        activation = nn.Sequential(*chain.between(None, tap))(chain.entry(_pictures()))
        found = chain.pooled(activation, tap)
    assert found.shape == (3, dim)
    assert torch.allclose(found, activation.flatten(1, -2).mean(1), atol=1e-5)


@pytest.mark.parametrize("name", ["torchvision:resnet18", "timm:vit_tiny_patch16_224"])
def test_what_was_cut_can_be_exported(name: str, tmp_path: Path) -> None:
    """Several taps in one graph, and the activation of one, checked against torch by the export itself."""
    network = _network(name)
    taps = network.chain.taps
    found = export(network, tmp_path, (taps[1], taps[-1]))
    assert (found.engine, found.taps) == ("onnxruntime", taps)
    session = onnxruntime.InferenceSession(str(tmp_path / "trunk.onnx"))
    (embeddings,) = session.run(None, {"pixels": _pictures().numpy()})
    start, end = found.spans[taps[-1]]
    with torch.no_grad():
        assert embeddings[:, start:end] == pytest.approx(network.chain(_pictures()).numpy(), abs=1e-3)
    assert export(network, tmp_path, (taps[1],), "activation").engine == "onnxruntime"


class Skips(nn.Module):
    """A shortcut around everything, with an operation in place to hide it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        z = self.second(y)
        z += y
        return self.act(z).mean((2, 3))


class Plain(Skips):
    """The same without it."""

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.second(self.act(self.first(x)))).mean((2, 3))


class Pool(nn.Module):
    """Pools in the way of densenet: in place and outside of any part."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8))
        self.classifier = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(nn.functional.relu(self.features(x), inplace=True).mean((2, 3)))


@pytest.mark.parametrize(
    ("module", "taps"), [(Skips(), ("network",)), (Plain(), ("stem",)), (Pool(), ("stem", "features-2"))]
)
def test_a_network_is_cut_only_where_one_thing_goes_through(module: nn.Module, taps: tuple[str, ...]) -> None:
    """A shortcut is not overlooked; the result is the network's in any case."""
    chain = chained("mine", module, 16, (0.0,) * 3, (1.0,) * 3)
    assert chain.taps == taps
    pixels = _pictures(16)
    with torch.no_grad():
        assert torch.allclose(chain(pixels), module(_normalised(pixels, (0.0,) * 3, (1.0,) * 3)), atol=1e-6)


def test_a_size_that_a_network_cannot_take_is_said() -> None:
    """With what the library says of it."""
    with pytest.raises(ModelError, match=r"vit_b_32 cannot take pictures of 64 px: Wrong image .*`model\.size`"):
        load_network("random:torchvision:vit_b_32", "image", 64)


class Words(nn.Module):
    """Gives no tensor."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"boxes": x}


def test_what_gives_no_embeddings_is_refused() -> None:
    """Neither maps, nor anything else, nor numbers that are none."""
    for module, what in ((nn.Identity(), r"shape \(2, 3, 8, 8\)"), (Words(), "dict"), (NoNumber(), "not finite")):
        with pytest.raises(ModelError, match=f"mine must give a row of finite numbers.*{what}"):
            chained("mine", module, 8, (0.0,) * 3, (1.0,) * 3)


class NoNumber(nn.Module):
    """Gives numbers that are none."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)) * np.nan


@pytest.mark.parametrize("name", ["torchvision:resnet19", "timm:resnet19"])
def test_an_unknown_network_is_answered_with_those_near_it(name: str) -> None:
    """A typing mistake costs no search."""
    if name.startswith("timm:"):
        pytest.importorskip("timm", reason="needs alearn[timm]")
    with pytest.raises(ModelError, match=r"Got 'resnet19'\. Near it: resnet18"):
        load_network(name, "image")


def test_random_weights_are_the_same_each_time_and_leave_the_generator_alone() -> None:
    """So their trunk is exported once."""
    torch.manual_seed(7)
    wanted = torch.rand(1)
    torch.manual_seed(7)
    first = load_network("random:torchvision:squeezenet1_1", "image", SIDE)
    assert torch.equal(torch.rand(1), wanted)
    second = load_network("random:torchvision:squeezenet1_1", "image", SIDE)
    assert weights_digest(first.chain) == weights_digest(second.chain)
