"""Predict with an exported model folder, alone: needs numpy, onnxruntime, and pillow (images) or tokenizers (texts).

    python predict.py photo.png another.jpg        one line of JSON for each image
    python predict.py "Where is my card?" …        … for each text; `-` reads texts from standard input, one a line

This file is copied into every model folder as `predict.py`, so it may import nothing of alearn. The loop prepares its
items with the same functions, so that a model sees in service what it was trained on.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BATCH = {"image": 32, "text": 64}
FORMAT = 1
Prepared = NDArray[np.uint8] | NDArray[np.int64]


class Unfit(Exception):  # noqa: N818 - the item is unfit, the program is not
    """A model folder or an item cannot be used; the text says why."""


class Model:
    """A model folder, opened.

    `classes` are the columns of every probability matrix; `read` is how an image is read from its path.

    Raises:
        Unfit: the folder is no model, is incomplete or damaged, or a package is missing.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.facts = read_facts(self.folder)
        self.classes: tuple[str, ...] = tuple(self.facts["task"]["classes"])
        self.data: str = self.facts["task"]["data"]
        self._inputs = self.facts["inputs"]
        self.read: Callable[[str], Any] = lambda path: read_image(path, self._inputs["size"])
        self._tokenizer = open_tokenizer(self.folder, self._inputs) if self.data == "text" else None
        self._session = open_session(self.folder / "model.onnx")

    def prepare(self, item: str) -> Prepared:
        """What the network takes of one item: a text, or the path of an image. Raises Unfit: it cannot be read."""
        if self._tokenizer is not None:
            return tokens(self._tokenizer, item)
        return pixels(self.read(item), self._inputs)

    def proba(self, prepared: Sequence[Prepared]) -> NDArray[np.float32]:
        """The probabilities of prepared items, shape (n, C), float32, each row sums to 1."""
        (found,) = self._session.run(["probability"], feed(self.data, prepared))
        return np.asarray(found, dtype=np.float32)


def read_facts(folder: Path) -> dict[str, Any]:
    """What `alearn.json` says, with the model's checksum checked; raises Unfit."""
    try:
        facts = json.loads((folder / "alearn.json").read_text(encoding="utf-8"))
        digest = file_digest(folder / "model.onnx")
    except FileNotFoundError as error:
        raise Unfit(f"{folder} is no model folder: {Path(error.filename).name} is missing. Export it again.") from None
    except (OSError, ValueError) as error:
        raise Unfit(f"{folder} cannot be read: {error}. Export it again.") from error
    if facts.get("format") != FORMAT:
        raise Unfit(f"{folder} has format {facts.get('format')}; this program reads format {FORMAT}. Export it again.")
    if digest != facts["files"]["model.onnx"]:
        raise Unfit(f"{folder / 'model.onnx'} is damaged: its checksum differs from alearn.json's. Export it again.")
    return facts  # type: ignore[no-any-return]


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def threads() -> int:
    """How many threads to compute with: OMP_NUM_THREADS where it is set, else the cores this process may use."""
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_session(path: Path, cores: int | None = None) -> Any:
    """An onnxruntime session in float32 on so many cores, none: on `threads()`; raises Unfit: the file is no graph."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores or threads()
    options.inter_op_num_threads = 1
    # Waiting threads would otherwise spin, and take the cores from those that decode images.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except _onnxruntime_faults() as error:
        raise Unfit(
            f"{path} cannot be opened by onnxruntime: {' '.join(str(error).split())}. Export it again."
        ) from error


def _onnxruntime_faults() -> tuple[type[Exception], ...]:
    """Its errors, which have no class in common."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return (state.Fail, state.InvalidGraph, state.InvalidProtobuf, state.NoSuchFile, state.NotImplemented)


def open_tokenizer(folder: Path, inputs: Mapping[str, Any]) -> Any:
    """The tokenizer of a text network, cutting at the length it was trained for; raises Unfit."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise Unfit("Text models need the package tokenizers. It is missing. Run `pip install tokenizers`.") from None
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(inputs["max_tokens"])
    return tokenizer


def tokens(tokenizer: Any, text: str) -> NDArray[np.int64]:
    """The numbers of a text's tokens, shape (length,), int64."""
    return np.asarray(tokenizer.encode(text).ids, dtype=np.int64)


def pixels(image: Any, inputs: Mapping[str, Any]) -> NDArray[np.uint8]:
    """A Pillow image squeezed to the network's square, shape (size, size, channels), uint8."""
    from PIL import Image

    how = Image.Resampling[inputs["interpolation"].upper()]
    side = (inputs["size"], inputs["size"])
    # A grey image is resized before it gets three channels: the same pixels for a third of the work.
    image = image if image.mode == "L" else image.convert(inputs["mode"])
    found = np.asarray(image.resize(side, how).convert(inputs["mode"]), dtype=np.uint8)
    return found.reshape(*side, -1)


def feed(data: str, prepared: Sequence[Prepared]) -> dict[str, NDArray[Any]]:
    """The arrays that the graph takes: stacked pixels, or token numbers padded to the longest, and which are real."""
    if data == "image":
        return {"pixels": np.stack(prepared)}
    ids = np.zeros((len(prepared), max(len(one) for one in prepared)), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, one in enumerate(prepared):
        ids[row, : len(one)] = one
        mask[row, : len(one)] = 1
    return {"ids": ids, "mask": mask}


def read_image(path: str, size: int | None = None) -> Any:
    """An image file as alearn reads it: upright, RGB, first frame, transparency on white; raises Unfit."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            if size is not None:
                image.draft(None, (2 * size, 2 * size))
            image.load()
            return _rgb(ImageOps.exif_transpose(image))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise Unfit(f"{path} is not a sound image: {error}") from error


def _rgb(image: Any) -> Any:
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_grey(np.asarray(image))).convert("RGB")
    if "transparency" in image.info or image.mode in {"RGBA", "LA", "PA", "La", "RGBa"}:
        layer = image.convert("RGBA")
        page = Image.new("RGBA", layer.size, "white")
        page.alpha_composite(layer)
        return page.convert("RGB")
    return image.convert("RGB")


def _grey(grey: NDArray[Any]) -> NDArray[np.uint8]:
    """16-bit grey scaled from [0, 65535]; other ranges, and floating point, stretched between their extremes."""
    if grey.dtype.kind != "f" and grey.min() >= 0 and grey.max() <= 65535:
        return np.asarray(grey.astype(np.int64) // 257, dtype=np.uint8)
    grey = np.nan_to_num(grey.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(grey.min()), float(grey.max())
    return np.asarray((grey - low) * (255 / (high - low)) if high > low else np.zeros_like(grey), dtype=np.uint8)


def predict_each(model: Model, items: Iterable[str]) -> Iterator[tuple[str, NDArray[np.float32] | str]]:
    """(item, probabilities of shape (C,), float32) in the order given; for an unreadable one (item, reason)."""
    source = iter(items)
    while block := list(islice(source, BATCH[model.data])):
        ready: dict[int, Prepared] = {}
        found: dict[int, NDArray[np.float32] | str] = {}
        for at, item in enumerate(block):
            try:
                ready[at] = model.prepare(item)
            except Unfit as error:
                found[at] = str(error)
        if ready:
            found.update(zip(ready, model.proba(list(ready.values())), strict=True))
        yield from ((item, found[at]) for at, item in enumerate(block))


def _line(model: Model, item: str, found: NDArray[np.float32] | str) -> dict[str, Any]:
    if isinstance(found, str):
        return {"item": item, "error": found}
    best = int(found.argmax())
    every = {name: round(float(p), 6) for name, p in zip(model.classes, found, strict=True)}
    return {"item": item, "label": model.classes[best], "probability": every[model.classes[best]], "all": every}


def main(items: Sequence[str]) -> int:
    """Print one line of JSON per item; returns the exit code: 1, an item cannot be read; 2, the model cannot."""
    if not items:
        print(__doc__)
        return 2
    try:
        model = Model(Path(__file__).resolve().parent)
    except Unfit as error:
        print(error, file=sys.stderr)
        return 2
    given = (line.rstrip("\n") for line in sys.stdin) if list(items) == ["-"] else items
    failed = 0
    for item, found in predict_each(model, given):
        failed |= isinstance(found, str)
        print(json.dumps(_line(model, item, found), ensure_ascii=False), flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
