"""Data sets that come inside installed packages.

Invariant: their images are files that annotators' browsers can show, and they are the same on every machine.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from alearn.errors import DataError

Package = Literal["elpv", "digits"]
ROWS: dict[Package, int] = {"elpv": 2624, "digits": 1797}
"""How many images each has."""


def package_files(package: Package, folder: Path) -> Iterator[tuple[str, str]]:
    """The (path of an image, its known answer) of a data set; `folder` is where one that must be rendered is written.

    `elpv`: 300 × 300 grey electroluminescence images of solar cells, `defective` where the experts' probability of a
    defect is above one half, else `ok`. Source: https://github.com/zae-bayern/elpv-dataset, CC BY-NC-SA 4.0.
    `digits`: handwritten digits, `0` to `9`, 8 × 8 enlarged to 64 × 64. Source: scikit-learn's load_digits, BSD.

    Raises:
        DataError: the package is not installed, or is incomplete.
    """
    return _elpv() if package == "elpv" else _digits(folder / "digits")


def _elpv() -> Iterator[tuple[str, str]]:
    # Its own loader decodes every image into one array: the files are all that is wanted.
    found = importlib.util.find_spec("elpv_dataset")
    if found is None or not found.submodule_search_locations:
        raise DataError(
            "`items.package: elpv` needs elpv-dataset. It is not installed. Run pip install 'alearn[offline]'."
        )
    data = Path(found.submodule_search_locations[0]) / "data"
    try:
        lines = (data / "labels.csv").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(
            f"elpv-dataset must hold {data / 'labels.csv'}. It cannot be read: {error}. Reinstall it."
        ) from error
    for line in lines:
        name, probability, _type = line.split()
        yield str(data / name), "defective" if float(probability) > 0.5 else "ok"


def _digits(folder: Path) -> Iterator[tuple[str, str]]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    folder.mkdir(parents=True, exist_ok=True)
    for number, (pixels, target) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = folder / f"{number:04d}.png"
        if not path.exists():
            _render(pixels, path)
        yield str(path.absolute()), str(target)


def _render(pixels: object, path: Path) -> None:
    """Write one digit, aside first; uncompressed, so that its bytes do not depend on the version of zlib."""
    import numpy as np
    from PIL import Image

    grey = (np.asarray(pixels) * 255 / 16).round().astype(np.uint8)
    aside = path.with_suffix(f".{os.getpid()}.part")
    Image.fromarray(grey).resize((64, 64), Image.Resampling.BICUBIC).save(aside, format="PNG", compress_level=0)
    aside.replace(path)
