"""Networks that cannot be exported run on torch instead, and say so."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from alearn.core.schema import LabelSchema
from alearn.errors import ModelError
from alearn.models import ActivationCache, Trunk, embed_items, export_model, fit_head, load_trunk
from alearn.models.graphs import image_inputs
from alearn.models.networks import Network
from alearn.models.networks.chain import images as chain_of
from alearn.models.zoo import ZOO, Pretrained


class Bessel(nn.Module):
    """ONNX has no such function."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(1, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.special.i1e(x.mean((2, 3)) * self.scale)


class ByBatch(nn.Module):
    """What the exporter takes for the same at every length of a batch, and is not."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)) * float(x.shape[0])


class Maps(nn.Module):
    """Gives numbers that are none."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)).log() - torch.inf


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Callable[[nn.Module], str]:
    """Put a network into the catalogue; its name."""

    def add(module: nn.Module) -> str:
        chain = chain_of([("network", module)], (0.5,) * 3, (0.5,) * 3, neck=nn.Identity())
        network = Network(chain, "image", image_inputs(8))
        entry = Pretrained("odd", "image", "none", "here", 8, 0, lambda: type(module).__name__, lambda _: network)
        monkeypatch.setitem(ZOO, "odd", entry)
        return entry.name

    return add


def _noise(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8))


@pytest.mark.parametrize("module", [Bessel, ByBatch])
def test_a_network_that_cannot_be_exported_runs_on_torch(
    odd: Callable[[nn.Module], str], tmp_path: Path, caplog: pytest.LogCaptureFixture, module: type[nn.Module]
) -> None:
    """With a warning; also where the graph can be written and gives something else. The embeddings are torch's."""
    with caplog.at_level(logging.WARNING):
        trunk = load_trunk(odd(module()), "image", folder=tmp_path)
    assert "runs on torch" in caplog.text
    assert trunk.engine.startswith("torch ")
    assert not (trunk.folder / "trunk.onnx").exists()
    images = [_noise(seed) for seed in range(4)]
    x = torch.from_numpy(np.stack([np.array(image) for image in images])).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        wanted = module()((x - 0.5) / 0.5).numpy()
    assert trunk.embed([trunk.prepare(image) for image in images]) == pytest.approx(wanted, abs=1e-5)


def test_a_later_start_gives_the_same_trunk_and_other_weights_another(
    odd: Callable[[nn.Module], str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not tried again; the fingerprint names the weights that were really loaded."""
    first = load_trunk(odd(Bessel()), "image", folder=tmp_path)
    caplog.clear()
    assert load_trunk("odd", "image", folder=tmp_path).fingerprint == first.fingerprint
    assert caplog.text == ""
    changed = Bessel()
    changed.scale.data += 1
    assert load_trunk(odd(changed), "image", folder=tmp_path).fingerprint != first.fingerprint


def test_items_are_embedded_on_torch_and_a_model_folder_is_refused(
    odd: Callable[[nn.Module], str], tmp_path: Path
) -> None:
    """A loop works; only its model cannot leave it, and the message says why."""
    trunk: Trunk = load_trunk(odd(Bessel()), "image", folder=tmp_path / "trunks")
    items = []
    for seed in range(40):
        _noise(seed).save(tmp_path / f"{seed}.png")
        items.append((f"{seed:032x}", str(tmp_path / f"{seed}.png"), None))
    cache = ActivationCache(tmp_path / "cache", trunk.about.shape)
    assert embed_items(trunk, cache, items) == {}
    x = cache.rows([key for key, _, _ in items])
    head = fit_head(x, np.arange(40) % 2, 2, seed=0)
    with pytest.raises(ModelError, match=r"odd cannot be exported for it, and runs on torch .*`model\.name`"):
        export_model(tmp_path / "model", trunk, head, LabelSchema(("a", "b")))
    assert not (tmp_path / "model").exists()


def test_a_network_that_gives_no_embeddings_is_refused(odd: Callable[[nn.Module], str], tmp_path: Path) -> None:
    """On no engine."""
    with pytest.raises(ModelError, match="not finite"):
        load_trunk(odd(Maps()), "image", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
