"""Small image files, whole and damaged."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def encoded() -> Callable[..., bytes]:
    """Bytes of an image of random pixels: encoded("JPEG", (64, 48), mode="CMYK", quality=90)."""

    def make(
        kind: str = "PNG", size: tuple[int, int] = (32, 24), *, mode: str = "RGB", seed: int = 0, **how: object
    ) -> bytes:
        rng = np.random.default_rng(seed)
        image = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).convert(mode)
        file = io.BytesIO()
        image.save(file, format=kind, **how)
        return file.getvalue()

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes | str], Path]:
    """Write a file below tmp_path/source, folders included."""

    def make(name: str, content: bytes | str) -> Path:
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make
