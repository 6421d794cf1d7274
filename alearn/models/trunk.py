"""The frozen part of a pretrained network, which turns items into embeddings once, on onnxruntime.

Invariant: the fingerprint names everything that an embedding depends on; two trunks with the same fingerprint give the
same embeddings on any machine, within float32 rounding. Torch is imported only where the exported graph is not there.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from alearn.core.keys import fingerprint
from alearn.core.schema import DataKind
from alearn.errors import ModelError
from alearn.models.files import new_folder
from alearn.models.serving import (
    BATCH,
    Prepared,
    Unfit,
    feed,
    file_digest,
    open_session,
    open_tokenizer,
    pixels,
    tokens,
)
from alearn.models.zoo import Pretrained, resolve

if TYPE_CHECKING:
    from PIL import Image

EXPORT = 1
"""To be raised when the graphs that are exported, or how items are prepared for them, change their meaning."""


@dataclass(frozen=True)
class About:
    """What is written beside an exported trunk, and into every model that stands on it.

    `weights` is a hash, `inputs` says how items are prepared, `digest` is the SHA-256 of `trunk.onnx`.
    """

    name: str
    data: DataKind
    licence: str
    source: str
    parameters: int
    weights: str
    tap: str
    dim: int
    inputs: dict[str, Any]
    digest: str
    exported: int = EXPORT


class Trunk(Protocol):
    """What the loop, the cache and the export need of a trunk.

    `dim` is the length of an embedding; `batch` how many items the engine does best at once; `folder` holds
    `trunk.onnx` (and `tokenizer.json`).
    """

    name: str
    data: DataKind
    fingerprint: str
    dim: int
    engine: str
    batch: int
    about: About
    folder: Path

    def prepare(self, raw: Image.Image | str) -> Prepared:
        """What the engine takes of one image or text; may be called from many threads at once."""
        ...

    def embed(self, batch: Sequence[Prepared]) -> NDArray[np.float32]:
        """The embeddings of prepared items, shape (n, dim), float32."""
        ...


class OnnxTrunk:
    """An exported trunk on onnxruntime, float32, on the CPU. Raises ModelError: the folder's files cannot be used."""

    def __init__(self, folder: Path, about: About) -> None:
        self.folder = folder
        self.about = about
        self.name = about.name
        self.data: DataKind = about.data
        self.dim = about.dim
        self.batch = BATCH[about.data]
        version = importlib.metadata.version("onnxruntime")
        self.engine = f"onnxruntime {version} CPU float32"
        self.fingerprint = _fingerprint(about, version.partition(".")[0])
        try:
            self._session = open_session(folder / "trunk.onnx")
            self._tokenizer = open_tokenizer(folder, about.inputs) if about.data == "text" else None
        except Unfit as error:
            raise ModelError(str(error)) from error

    def prepare(self, raw: Image.Image | str) -> Prepared:
        """As `Trunk.prepare`."""
        return tokens(self._tokenizer, str(raw)) if self._tokenizer is not None else pixels(raw, self.about.inputs)

    def embed(self, batch: Sequence[Prepared]) -> NDArray[np.float32]:
        """As `Trunk.embed`."""
        (found,) = self._session.run(["embedding"], feed(self.data, batch))
        return np.asarray(found, dtype=np.float32)


def _fingerprint(about: About, engine_version: str) -> str:
    said = [about.weights, about.tap, about.inputs, about.dim, about.exported]
    return fingerprint([*said, "onnxruntime", engine_version, "cpu", "float32"])


def load_trunk(name: str, data: DataKind, *, size: int | None = None, folder: Path) -> OnnxTrunk:
    """The trunk of a network of the zoo; exported into a subfolder of `folder` unless that is there already.

    `name` is as in `zoo.resolve`; `size` is the side of the square that images are resized to, none: the network's own.

    Raises:
        ModelError: unknown name, wrong kind of data, a missing package, weights that cannot be had, a network that
            cannot be exported, or a size where there is none.
    """
    network = resolve(name, data)
    if data == "text" and size is not None:
        raise ModelError(f"`model.size` is for images. Got {size} for {network.name}. Remove the line.")
    size = size or network.size
    identity = network.identity()
    key = fingerprint([network.name, identity, size, EXPORT])[:16]
    target = folder / f"{re.sub(r'[^a-z0-9]+', '-', network.name.lower()).strip('-')[-40:]}-{key}"
    about = _exported(target) or _export(network, size, target)
    return OnnxTrunk(target, about)


def _exported(folder: Path) -> About | None:
    """What an export left in the folder; None where there is none, or where it is damaged."""
    try:
        about = About(**json.loads((folder / "trunk.json").read_text(encoding="utf-8")))
        sound = file_digest(folder / "trunk.onnx") == about.digest
        return about if sound and (about.data == "image" or (folder / "tokenizer.json").is_file()) else None
    except (OSError, ValueError, TypeError):
        return None


def _export(network: Pretrained, size: int | None, target: Path) -> About:
    with new_folder(target) as aside:
        found = network.export(aside, size)
        about = About(
            name=network.name,
            data=network.data,
            licence=found.licence or network.licence,
            source=network.source,
            parameters=found.parameters,
            weights=found.weights,
            tap="pooled",
            dim=found.dim,
            inputs=dict(found.inputs),
            digest=file_digest(aside / "trunk.onnx"),
        )
        (aside / "trunk.json").write_text(json.dumps(asdict(about), indent=1), encoding="utf-8")
    return about
