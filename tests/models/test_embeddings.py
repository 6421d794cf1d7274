"""Embedding many items: decoding beside the engine, resuming after a kill, going on over bad items."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from alearn.core.keys import content_key
from alearn.data import read_image
from alearn.errors import Unreachable
from alearn.models import ActivationCache, Trunk, embed_items, load_trunk, serving
from alearn.models.embeddings import SHARD_ROWS
from alearn.models.graphs import image_inputs
from alearn.models.serving import Prepared
from alearn.models.serving import pixels as pixels_of

Entries = list[tuple[str, str | None, str | None]]


def _images(folder: Path, count: int, side: int = 24) -> Entries:
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    found: Entries = []
    for at in range(count):
        path = folder / f"{at}.png"
        Image.fromarray(rng.integers(0, 256, (side, side), dtype=np.uint8)).save(path, compress_level=0)
        found.append((content_key(path.read_bytes()), str(path), None))
    return found


class Counting:
    """A real trunk, and a memory of how many items it embedded, and in which batches."""

    def __init__(self, trunk: Trunk) -> None:
        self._trunk = trunk
        self.batches: list[list[int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trunk, name)

    def embed(self, batch: Sequence[Prepared]) -> NDArray[Any]:
        self.batches.append([len(one) for one in batch])
        return self._trunk.embed(batch)


def test_every_item_is_embedded_once_and_progress_is_told(pixels: Trunk, tmp_path: Path) -> None:
    """Whatever the order, doubled items included; a second call has nothing to do."""
    items = _images(tmp_path / "images", 700)
    cache = ActivationCache(tmp_path / "cache", pixels.about.shape)
    told: list[tuple[int, int]] = []
    trunk = Counting(pixels)
    assert embed_items(trunk, cache, items[:600] + items[::-1], report=lambda *at: told.append(at)) == {}
    assert sum(map(len, trunk.batches)) == 700
    assert told[-1] == (1300, 1300)
    assert told == sorted(told)
    assert len(list((tmp_path / "cache").iterdir())) == 2
    wanted = np.stack([np.asarray(Image.open(str(uri)).resize((16, 16), 2)).ravel() / 255 for _, uri, _ in items[:9]])
    assert cache.rows([key for key, _, _ in items[:9]]) == pytest.approx(wanted, abs=1e-6)
    told.clear()
    assert embed_items(trunk, cache, items, report=lambda *at: told.append(at)) == {}
    assert told == [(700, 700)]
    assert sum(map(len, trunk.batches)) == 700


def test_unreadable_items_are_returned_with_their_reasons(pixels: Trunk, tmp_path: Path) -> None:
    """And the others are embedded."""
    items = _images(tmp_path / "images", 40)
    Path(str(items[3][1])).write_bytes(b"no image")
    Path(str(items[4][1])).unlink()
    Path(str(items[5][1])).write_bytes(Path(str(items[6][1])).read_bytes()[:200])
    items.append(("0" * 32, None, None))
    cache = ActivationCache(tmp_path / "cache", pixels.about.shape)
    bad = embed_items(pixels, cache, items)
    assert set(bad) == {items[at][0] for at in (3, 4, 5, 40)}
    assert "known format" in bad[items[3][0]]
    assert "neither" in bad["0" * 32]
    assert cache.missing([key for key, _, _ in items]) == [items[at][0] for at in (3, 4, 5, 40)]


def test_all_unreadable_is_no_error(pixels: Trunk, tmp_path: Path) -> None:
    """The loop quarantines them."""
    cache = ActivationCache(tmp_path / "cache", pixels.about.shape)
    assert set(embed_items(pixels, cache, [("a" * 32, str(tmp_path / "none.png"), None)])) == {"a" * 32}
    assert embed_items(pixels, cache, []) == {}


def test_an_unmounted_drive_is_no_fault_of_its_items(pixels: Trunk, tmp_path: Path) -> None:
    """The outage stops it; what was embedded is kept, none is called unreadable, and the rest follows later."""
    items = _images(tmp_path / "here", 64) + _images(tmp_path / "drive", 64, side=25)
    (tmp_path / "drive").rename(tmp_path / "away")
    cache, trunk = ActivationCache(tmp_path / "cache", pixels.about.shape), Counting(pixels)
    with pytest.raises(Unreachable, match="mounted"):
        embed_items(trunk, cache, items)
    assert cache.missing([key for key, _, _ in items]) == [key for key, _, _ in items[64:]]
    (tmp_path / "away").rename(tmp_path / "drive")
    assert embed_items(trunk, cache, items) == {}
    assert sum(map(len, trunk.batches)) == 128


def test_the_configured_number_of_pixels_counts(pixels: Trunk, tmp_path: Path) -> None:
    """An image above it is unreadable, whatever the default is."""
    items = _images(tmp_path / "small", 1) + _images(tmp_path / "large", 1, side=25)
    cache = ActivationCache(tmp_path / "cache", pixels.about.shape)
    bad = embed_items(pixels, cache, items, max_pixels=24 * 24)
    assert list(bad) == [items[1][0]]
    assert "max_pixels" in bad[items[1][0]]
    assert embed_items(pixels, cache, items, max_pixels=25 * 25) == {}


def test_texts_are_batched_by_length(minilm: Trunk, tmp_path: Path) -> None:
    """A batch is as slow as its longest text; the embeddings are those of the texts all the same."""
    rng = np.random.default_rng(0)
    texts = ["word " * int(length) for length in rng.integers(1, 30, 200)]
    texts = [f"{text}{at}" for at, text in enumerate(texts)]
    items: Entries = [(content_key(text.encode()), None, text) for text in texts]
    cache, trunk = ActivationCache(tmp_path, minilm.about.shape), Counting(minilm)
    assert embed_items(trunk, cache, items) == {}
    assert len(trunk.batches) == -(-200 // trunk.batch)
    assert [length for batch in trunk.batches for length in batch] == sorted(
        length for batch in trunk.batches for length in batch
    )
    found = cache.rows([items[at][0] for at in (0, 199)])
    assert found == pytest.approx(minilm.embed([minilm.prepare(texts[at]) for at in (0, 199)]), abs=1e-5)


def test_images_are_prepared_as_the_exported_program_does(tmp_path: Path) -> None:
    """Pixel for pixel, though grey ones stay grey until they are resized."""
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (90, 120, 3), dtype=np.uint8))
    for mode in ("L", "1", "LA", "P", "RGB", "RGBA", "CMYK"):
        colour.convert(mode).save(tmp_path / f"{mode}.tiff")
    colour.convert("L").resize((900, 700)).save(tmp_path / "grey.jpg")
    Image.fromarray(rng.integers(0, 65536, (50, 40), dtype=np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(rng.normal(size=(50, 40)).astype(np.float32)).save(tmp_path / "real.tiff")
    Image.new("L", (1, 1), 77).save(tmp_path / "pixel.png")
    for mode in ("RGB", "L"):
        inputs = image_inputs(64, mode)
        for path in sorted(tmp_path.iterdir()):
            ours = pixels_of(read_image(str(path), size=64, grey=True), inputs)
            assert np.array_equal(ours, pixels_of(serving.read_image(str(path), 64), inputs)), path.name
            assert ours.shape == (64, 64, len(mode) if mode == "RGB" else 1)


def test_activations_are_cached_as_they_come(lite0: Trunk, trunks: Path, tmp_path: Path) -> None:
    """Maps in half precision, behind an earlier tap."""
    items = _images(tmp_path / "images", 5)
    trunk = load_trunk("efficientnet-lite0", "image", size=96, taps=["block9"], output="activation", folder=trunks)
    cache = ActivationCache(tmp_path / "cache", trunk.about.shape, trunk.about.dtype)
    assert embed_items(trunk, cache, items) == {}
    wanted = trunk.embed([trunk.prepare(Image.open(str(uri))) for _, uri, _ in items])
    assert cache.rows([key for key, _, _ in items]).astype(float) == pytest.approx(wanted.astype(float), abs=2e-2)


SLOW = """
import sys, time
from pathlib import Path
from alearn.core.keys import content_key
from alearn.models import ActivationCache, embed_items, load_trunk

images, folder, trunks = map(Path, sys.argv[1:])
trunk = load_trunk("pixels", "image", folder=trunks)
items = [(content_key(path.read_bytes()), str(path), None) for path in sorted(images.iterdir())]
embed_items(trunk, ActivationCache(folder, trunk.about.shape), items, report=lambda done, total: time.sleep(0.01))
"""


def test_a_killed_run_is_resumed_where_it_was(pixels: Trunk, trunks: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle: whole shards are kept, the rest is computed, and nothing is computed twice."""
    count = 4 * SHARD_ROWS
    items = _images(tmp_path / "images", count)
    folder = tmp_path / "cache"
    folder.mkdir()
    arguments = [str(tmp_path / "images"), str(folder), str(trunks)]
    process = subprocess.Popen([sys.executable, "-c", SLOW, *arguments])
    deadline = time.monotonic() + 60
    while not any(path.suffix == ".safetensors" for path in folder.iterdir()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    cache, trunk = ActivationCache(folder, pixels.about.shape), Counting(pixels)
    kept = count - len(cache.missing([key for key, _, _ in items]))
    assert SHARD_ROWS <= kept < count
    assert embed_items(trunk, cache, items) == {}
    assert sum(map(len, trunk.batches)) == count - kept
    whole = ActivationCache(tmp_path / "whole", pixels.about.shape)
    embed_items(pixels, whole, items)
    keys = [key for key, _, _ in items]
    assert np.array_equal(cache.rows(keys), whole.rows(keys))
