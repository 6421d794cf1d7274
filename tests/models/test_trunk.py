"""Trunks: exported once, the same afterwards, and quick to start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from alearn.errors import ModelError
from alearn.models import Trunk, load_trunk
from alearn.models.serving import threads
from alearn.models.zoo import LITE0


def _noise(seed: int = 0, side: int = 200) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8))


def test_an_exported_trunk_gives_what_torch_gives(lite0: Trunk) -> None:
    """Resizing, normalisation and network, on one image."""
    import torch

    from alearn.models import efficientnet_lite

    image = _noise().resize((96, 96), Image.Resampling.BICUBIC)
    x = (torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() - 127) / 128
    with torch.inference_mode():
        wanted = efficientnet_lite.load_file(str(LITE0.path())).features(x)[0].numpy()
    found = lite0.embed([lite0.prepare(_noise())])
    assert found.shape == (1, lite0.dim) == (1, 1280)
    assert found.dtype == np.float32
    assert found[0] == pytest.approx(wanted, abs=1e-4)


def test_batch_norms_are_folded_into_the_convolutions(lite0: Trunk) -> None:
    """None is left to be computed."""
    kinds = {node.op_type for node in onnx.load(lite0.folder / "trunk.onnx").graph.node}
    assert "Conv" in kinds
    assert "BatchNormalization" not in kinds


def test_an_embedding_does_not_depend_on_its_batch(lite0: Trunk, minilm: Trunk) -> None:
    """Within float32 rounding, padding included."""
    images = [lite0.prepare(_noise(seed)) for seed in range(5)]
    assert lite0.embed(images)[3] == pytest.approx(lite0.embed([images[3]])[0], abs=1e-4)
    texts = [minilm.prepare(text) for text in ("short", "a much longer text " * 30, "")]
    assert minilm.embed(texts)[0] == pytest.approx(minilm.embed([texts[0]])[0], abs=1e-5)


def test_texts_get_the_embeddings_of_sentence_transformers(minilm: Trunk) -> None:
    """The library that the network was trained with; the long text is cut at the same place."""
    library = pytest.importorskip("sentence_transformers")
    from alearn.models.zoo import MINILM

    texts = ["Where is my card?", "Übermäßig – ça va? 你好", "word " * 600, ""]
    model = library.SentenceTransformer(str(MINILM.path().parent), device="cpu")
    found = minilm.embed([minilm.prepare(text) for text in texts])
    assert found == pytest.approx(model.encode(texts), abs=1e-5)


def test_the_second_start_does_not_import_torch(lite0: Trunk, minilm: Trunk, trunks: Path) -> None:
    """A later process with the exported files works where torch and transformers cannot be imported at all."""
    code = (
        "import sys\n"
        "for name in ('torch', 'torchvision', 'transformers', 'sentence_transformers', 'sklearn', 'onnx'):\n"
        "    sys.modules[name] = None\n"
        "from pathlib import Path\n"
        "from alearn.models import load_trunk\n"
        "folder = Path(sys.argv[1])\n"
        "print(load_trunk('auto', 'image', size=96, folder=folder).fingerprint)\n"
        "trunk = load_trunk('auto', 'text', folder=folder)\n"
        "assert trunk.embed([trunk.prepare('a text')]).shape == (1, 384)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(trunks)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == lite0.fingerprint


def test_importing_the_package_imports_nothing_heavy() -> None:
    """`alearn --help` must be quick."""
    heavy = ("torch", "sklearn", "scipy", "onnxruntime", "openvino", "onnx", "tokenizers", "transformers")
    code = f"import sys, alearn.models; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_fingerprint_covers_network_and_size(pixels: Trunk, lite0: Trunk, minilm: Trunk, tmp_path: Path) -> None:
    """Embeddings of different trunks never share a cache."""
    small = load_trunk("pixels", "image", size=8, folder=tmp_path)
    assert len({one.fingerprint for one in (pixels, lite0, minilm, small)}) == 4
    assert small.dim == 64
    assert load_trunk("pixels", "image", size=8, folder=tmp_path / "elsewhere").fingerprint == small.fingerprint


@pytest.mark.parametrize("damage", ["cut", "no manifest", "old manifest"])
def test_a_damaged_export_is_made_again(tmp_path: Path, damage: str) -> None:
    """And gives the same embeddings."""
    first = load_trunk("pixels", "image", folder=tmp_path)
    wanted = first.embed([first.prepare(_noise())])
    path = first.folder / "trunk.onnx"
    manifest = first.folder / "trunk.json"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-10])
    elif damage == "no manifest":
        manifest.unlink()
    else:
        manifest.write_text(json.dumps({"name": "pixels"}))
    again = load_trunk("pixels", "image", folder=tmp_path)
    assert np.array_equal(again.embed([again.prepare(_noise())]), wanted)
    assert [path.name for path in tmp_path.iterdir()] == [first.folder.name]


def test_pixels_are_the_grey_image(pixels: Trunk) -> None:
    """In [0, 1], row by row."""
    black_and_white = Image.new("RGB", (160, 160), "white")
    black_and_white.paste("black", (0, 0, 160, 80))
    found = pixels.embed([pixels.prepare(black_and_white)])[0].reshape(16, 16)
    assert found[:7] == pytest.approx(0.0)
    assert found[-7:] == pytest.approx(1.0)


def test_a_size_for_texts_is_refused(tmp_path: Path) -> None:
    """It would mean nothing."""
    with pytest.raises(ModelError, match=r"`model\.size` is for images"):
        load_trunk("minilm", "text", size=224, folder=tmp_path)


def test_the_number_of_threads_follows_omp_num_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the cores that this process may use."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "nonsense")
    assert threads() >= 1
