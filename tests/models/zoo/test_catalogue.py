"""What can be named, and what of it is on this machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from alearn.models.zoo import LITE0, MINILM, ZOO, catalogue, offline_candidates, resolve


@pytest.fixture(autouse=True)
def caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folders that the hubs' libraries download into, empty."""
    for name in ("TORCH_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_every_network_can_be_resolved_and_says_what_it_is() -> None:
    """Packages, torchvision and timm; the names are each once there."""
    rows = catalogue()
    assert len({row.name for row in rows}) == len(rows)
    assert {*ZOO} <= {row.name for row in rows}
    for row in rows:
        assert row.licence
        assert row.source
        assert (row.size is None) == (row.data == "text")
    resnet = next(row for row in rows if row.name == "torchvision:resnet18")
    assert (resnet.parameters, resnet.weights_mb, resnet.checksum, resnet.size) == (11_689_512, 44.7, "f37072fd", 224)
    assert (resnet.offline, resnet.licence) == (False, "BSD-3-Clause")
    assert resolve(resnet.name, "image").name == resnet.name


def test_a_row_says_the_licence_of_the_weights_where_it_is_not_the_librarys() -> None:
    """Some may not be used for money."""
    rows = {row.name: row for row in catalogue("image")}
    assert "SWAG" in rows["torchvision:vit_h_14"].licence
    if timm := rows.get("timm:convnextv2_atto.fcmae_ft_in1k"):
        assert timm.licence == "cc-by-nc-4.0"


def test_the_parameters_of_shipped_networks_are_those_that_are_loaded() -> None:
    """Of the trunk, without the classifier."""
    from alearn.models.zoo import load_network

    for row in catalogue():
        if row.parameters and row.offline:
            chain = load_network(row.name, row.data).chain
            assert sum(one.numel() for one in chain.parameters()) == row.parameters


def test_what_was_downloaded_is_found_where_its_library_keeps_it(caches: Path) -> None:
    """With what its file tells; a folder without weights is none."""
    torchs = caches / "torch/hub/checkpoints"
    torchs.mkdir(parents=True)
    (torchs / "mobilenet_v3_small-047dcff4.pth").touch()
    hub = caches / "huggingface/hub"
    for name, file in (("timm--resnet18.a1_in1k", "model.safetensors"), ("timm--resnet34.a1_in1k", "config.json")):
        folder = hub / f"models--{name}/snapshots/0"
        folder.mkdir(parents=True)
        (folder / file).touch()
    save_file({"w": torch.ones(4, 5), "n": torch.ones(3, dtype=torch.int64)}, hub / "x.safetensors")
    sentences = hub / "models--me--texts/snapshots/0"
    sentences.mkdir(parents=True)
    (hub / "x.safetensors").rename(sentences / "model.safetensors")
    (sentences / "modules.json").write_text("[]")
    (sentences / "README.md").write_text("---\nlicense: mit\n---\n")
    resnet = hub / "models--timm--resnet18.a1_in1k/snapshots/0/model.safetensors"
    save_file({"w": torch.ones(7)}, resnet)

    found = {row.name: row for row in catalogue() if row.offline and row.name not in ZOO}
    wanted = {"torchvision:mobilenet_v3_small", "sentence-transformers:me/texts"}
    if any(row.name.startswith("timm:") for row in catalogue("image")):
        wanted.add("timm:resnet18.a1_in1k")
        assert found["timm:resnet18.a1_in1k"].parameters == 7
    assert set(found) == wanted
    texts = found["sentence-transformers:me/texts"]
    assert (texts.parameters, texts.licence, texts.data) == (20, "mit", "text")
    assert "torchvision:mobilenet_v3_small" in offline_candidates("image")
    assert "sentence-transformers:me/texts" in offline_candidates("text")


def test_candidates_are_told_without_torch_where_nothing_was_downloaded() -> None:
    """So a command that only wants to know is fast."""
    code = (
        "import sys; from alearn.models.zoo import offline_candidates as of; print(*of('image'), *of('text'));"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    wanted = (
        {"pixels"}
        | ({"efficientnet-lite0"} if LITE0.installed else set())
        | ({"minilm"} if MINILM.installed else set())
    )
    assert wanted <= set(done.stdout.split())
