"""Small pictures in the page: what can be read, as text, and no larger than needed."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from alearn.config import Config
from alearn.loop.intake import take_in
from alearn.loop.undertaking import opened
from alearn.reporting.pictures import SIDE, as_uri, pictures


def opened_uri(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_a_large_picture_becomes_a_small_jpeg() -> None:
    """Its shape is kept."""
    found = as_uri(Image.new("RGB", (2000, 1000), "teal"))
    assert found.startswith("data:image/jpeg;base64,")
    assert opened_uri(found).size == (SIDE, SIDE // 2)


def test_a_tiny_picture_keeps_its_pixels() -> None:
    """A JPEG would blur them."""
    image = Image.effect_noise((8, 8), 80).convert("RGB")
    found = as_uri(image)
    assert found.startswith("data:image/png;base64,")
    assert opened_uri(found).tobytes() == image.tobytes()


def test_what_cannot_be_read_is_left_out(make: Callable[..., Config], digit_photos: Any, tmp_path: Path) -> None:
    """A file that is gone stops no report."""
    folder = digit_photos(tmp_path / "photos", 12)
    with opened(make(items={"path": str(folder)})) as loop:
        take_in(loop)
        keys = [one.key for one in loop.store.items.candidates()]
        gone = loop.store.items.contents(keys)[keys[0]].uri
        Path(str(gone)).unlink()
        found = pictures(loop, [*keys, "no-such-key"])
    assert set(found) == set(keys[1:])
