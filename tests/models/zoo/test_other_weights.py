"""NAME@FILE is an architecture with the weights of a file; a file that cannot be used is refused, and never run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision import models

from alearn.errors import ModelError
from alearn.models import load_trunk
from alearn.models.networks import weights_digest
from alearn.models.zoo import LITE1, load_network, resolve

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    """Of a network for 7 classes."""
    torch.manual_seed(3)
    return models.resnet18(num_classes=7).state_dict()


def _embedded(name: str) -> Tensor:
    pixels = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return load_network(name, "image", 32).chain(pixels)


def test_weights_of_every_kind_of_file_are_the_same_network(state: State, tmp_path: Path) -> None:
    """Bare, wrapped or from data parallelism; a classifier of other classes, or none, makes no difference."""
    network = models.resnet18()
    network.load_state_dict({name: value for name, value in state.items() if "fc" not in name}, strict=False)
    network.fc = torch.nn.Identity()
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "b.pt")
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in state.items()}, "epoch": 3}, tmp_path / "c.pth"
    )
    torch.save({"model": network.state_dict()}, tmp_path / "d.pth")
    found = [weights_digest(load_network(f"torchvision:resnet18@{path}", "image", 32).chain) for path in _all(tmp_path)]
    assert len(set(found)) == 1
    x = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        wanted = network.eval()(((x / 255 - mean) / std).permute(0, 3, 1, 2))
    assert torch.allclose(_embedded(f"torchvision:resnet18@{tmp_path / 'b.pt'}"), wanted, atol=1e-4)


def _all(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_the_identity_is_the_files(state: State, tmp_path: Path) -> None:
    """Other weights under the same name are another trunk; the licence is not the library's."""
    file = tmp_path / "mine.safetensors"
    save_file(state, file)
    name = f"torchvision:resnet18@{file}"
    first = load_trunk(name, "image", size=32, folder=tmp_path / "trunks")
    assert first.about.taps[0] == "stem"
    assert "mine.safetensors" in first.about.source
    before = resolve(name, "image").identity()
    save_file({key: value + 1 for key, value in state.items()}, file)
    assert resolve(name, "image").identity() != before


def test_a_network_of_timm_and_efficientnet_lite_take_files_too(tmp_path: Path) -> None:
    """With a classifier of other classes."""
    timm = pytest.importorskip("timm", reason="needs alearn[timm]")
    network = timm.create_model("resnet18", num_classes=3)
    torch.save(network.state_dict(), tmp_path / "timm.pt")
    loaded = load_network(f"timm:resnet18@{tmp_path / 'timm.pt'}", "image", 32).chain.state_dict()
    assert any(torch.equal(value, network.conv1.weight) for value in loaded.values())
    if not LITE1.installed:
        pytest.skip("needs alearn[offline]")
    published = torch.load(LITE1.path(), weights_only=True)
    changed = {name: value.contiguous() for name, value in published.items() if "_fc" not in name} | {
        "_fc.weight": torch.ones(5, 1280)
    }
    save_file(changed, tmp_path / "lite.safetensors")
    name = f"efficientnet-lite1@{tmp_path / 'lite.safetensors'}"
    assert torch.equal(_embedded(name), _embedded("efficientnet-lite1"))


class Evil:
    """What is run when it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.proof),)


def _code(state: State, path: Path) -> None:
    torch.save({**state, "evil": Evil(path.parent / "proof")}, path)


def _cut(state: State, path: Path) -> None:
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[:-5000])


BAD: dict[str, tuple[str, Callable[[State, Path], None], str]] = {
    "absent": ("x.pt", lambda state, path: None, r"x\.pt must be a file of weights\. There is no such file"),
    "another ending": ("x.onnx", lambda state, path: path.write_bytes(b"x") and None, "must be a .safetensors, .pt"),
    "code": ("x.pt", _code, "must hold tensors only.*which is never run"),
    "whole network": ("x.pt", lambda state, path: torch.save(models.resnet18(), path), "must hold tensors only"),
    "cut off": ("x.pt", _cut, "cannot be read"),
    "no tensors file": ("x.safetensors", lambda state, path: path.write_bytes(b"x" * 99) and None, "cannot be read"),
    "text": ("x.pt", lambda state, path: path.write_text("weights") and None, "is damaged, or holds pickled"),
    "empty": ("x.pt", lambda state, path: path.touch(), "cannot be read"),
    "a list": ("x.pt", lambda state, path: torch.save(list(state.values()), path), "must hold a state dict.*Got list"),
    "another network": (
        "x.pt",
        lambda state, path: torch.save(models.resnet34().state_dict(), path),
        r"layer1\.2\.conv1\.weight is unknown.*and \d+ more",
    ),
    "a part": (
        "x.pt",
        lambda state, path: torch.save({key: value for key, value in state.items() if key != "conv1.weight"}, path),
        r"these are not its weights\. conv1\.weight is missing\.",
    ),
    "another shape": (
        "x.safetensors",
        lambda state, path: save_file({**state, "conv1.weight": torch.ones(64, 1, 7, 7)}, path),
        r"conv1\.weight must have the shape \(64, 3, 7, 7\), and has \(64, 1, 7, 7\)",
    ),
    "not finite": (
        "x.safetensors",
        lambda state, path: save_file({**state, "conv1.weight": torch.full((64, 3, 7, 7), torch.nan)}, path),
        "finite numbers",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_cannot_be_used_is_refused_with_the_reason(case: str, state: State, tmp_path: Path) -> None:
    """And what it holds is not run."""
    file, write, message = BAD[case]
    write(state, tmp_path / file)
    with pytest.raises(ModelError, match=message):
        load_network(f"torchvision:resnet18@{tmp_path / file}", "image", 32)
    assert not (tmp_path / "proof").exists()


def test_a_missing_file_is_said_before_torch_is_loaded(tmp_path: Path) -> None:
    """By the identity, which a trunk asks for first."""
    with pytest.raises(ModelError, match=r"must name a file of weights behind the @\. .*No such file"):
        resolve(f"efficientnet-lite0@{tmp_path}/none.pt", "image").identity()


@pytest.mark.parametrize("name", ["minilm@x.pt", "pixels@x.pt", "random:pixels"])
def test_networks_without_other_weights_say_so(name: str) -> None:
    """Texts come as folders."""
    with pytest.raises(ModelError, match=r"NAME@FILE for efficientnet-lite0|random:NAME needs a network"):
        resolve(name, "text" if "minilm" in name else "image")
