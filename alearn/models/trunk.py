"""The frozen part of a pretrained network, which turns items into embeddings once, on the fastest engine here.

Invariant: the fingerprint names everything that an embedding depends on; two trunks with the same fingerprint give the
same embeddings on any machine and engine, within the rounding of their precision. Torch is imported only where the
exported graph is not there, or where torch is the engine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from alearn.core.keys import fingerprint
from alearn.core.schema import DataKind
from alearn.errors import ModelError
from alearn.models.engines import Engine, Feed, Precision, Runnable, open_network
from alearn.models.files import new_folder
from alearn.models.graphs import Output
from alearn.models.serving import (
    BATCH,
    Prepared,
    Unfit,
    feed,
    file_digest,
    open_tokenizer,
    pixels,
    tokens,
)
from alearn.models.zoo import Pretrained, resolve

if TYPE_CHECKING:
    from PIL import Image
    from torch import nn

EXAMPLE = 8
"""Items that engines are measured with."""

EXPORT = 2
"""To be raised when the graphs that are exported, or how items are prepared for them, change their meaning."""


@dataclass(frozen=True)
class About:
    """What is written beside an exported trunk, and into every model that stands on it.

    `weights` is a hash, `inputs` says how items are prepared, `shape` what an item becomes, `digest` is the SHA-256 of
    `trunk.onnx`; empty where there is none, and `engine` is torch. `tap` is where the network is cut, several joined
    by `+`, and `spans` says where the embedding of each is; `taps` are all that it has, from the first to the last.
    """

    name: str
    data: DataKind
    licence: str
    source: str
    parameters: int
    weights: str
    tap: str
    shape: tuple[int, ...]
    inputs: dict[str, Any]
    digest: str
    exported: int = EXPORT
    engine: str = "onnxruntime"
    output: Output = "embedding"
    taps: tuple[str, ...] = ()
    spans: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def dim(self) -> int:
        """The length of an embedding."""
        return self.shape[0]

    @property
    def dtype(self) -> str:
        """The type of what an item becomes."""
        return "float16" if self.output == "activation" else "float32"


class Trunk(Protocol):
    """What the loop, the cache and the export need of a trunk.

    `fingerprint` is what it means: weights, tap, inputs, output and precision. `cache_key` names what it computed: the
    same, on the same engine of the same version. `dim` is the length of an embedding; `engine` says what it runs on;
    `batch` how many items that does best at once; `folder` holds `trunk.onnx` where the network can be exported (and
    `tokenizer.json` for texts).
    """

    name: str
    data: DataKind
    fingerprint: str
    cache_key: str
    dim: int
    engine: str
    batch: int
    about: About
    folder: Path

    def prepare(self, raw: Image.Image | str) -> Prepared:
        """What the engine takes of one image or text; may be called from many threads at once."""
        ...

    def embed(self, batch: Sequence[Prepared]) -> NDArray[Any]:
        """What prepared items become, (n, *about.shape), of `about.dtype`; may be called from many threads at once.

        Raises:
            ModelError: there is not even memory for one item.
        """
        ...


class FrozenTrunk:
    """A trunk on an engine. Raises ModelError: the folder's tokenizer cannot be used."""

    def __init__(self, folder: Path, about: About, engine: Engine) -> None:
        self.folder = folder
        self.about = about
        self.name = about.name
        self.data: DataKind = about.data
        self.dim = about.dim
        self._engine = engine
        self.engine = str(engine)
        self.batch = max(BATCH[about.data], engine.batch)
        said = [about.weights, about.tap, about.inputs, list(about.shape), about.output, about.exported]
        self.fingerprint = fingerprint([*said, engine.precision])
        version = engine.version.partition("+")[0].split(".")[:2]
        self.cache_key = fingerprint([self.fingerprint, engine.name, version])
        try:
            self._tokenizer = open_tokenizer(folder, about.inputs) if about.data == "text" else None
        except Unfit as error:
            raise ModelError(str(error)) from error

    def prepare(self, raw: Image.Image | str) -> Prepared:
        """As `Trunk.prepare`."""
        return tokens(self._tokenizer, str(raw)) if self._tokenizer is not None else pixels(raw, self.about.inputs)

    def embed(self, batch: Sequence[Prepared]) -> NDArray[Any]:
        """As `Trunk.embed`."""
        return self._engine.run(feed(self.data, batch))


def load_trunk(
    name: str,
    data: DataKind,
    *,
    size: int | None = None,
    taps: Sequence[str] = (),
    output: Output = "embedding",
    engine: str = "auto",
    precision: Precision = "float32",
    folder: Path,
) -> Trunk:
    """The trunk of a network of the zoo; exported into a subfolder of `folder` unless that is there already.

    `name` is as in `zoo.resolve`; `size` is the side of the square that images are resized to, none: the network's own.
    `taps`: behind which stages it is cut, none: the last; the embeddings of several come one beside the other, in the
    order of the network, as `about.spans` says. `output` "activation": what is behind the one tap, not pooled, float16.
    `engine`: cuda, openvino, onnxruntime or torch; "auto" is the fastest here, measured at the first start. A network
    that cannot be exported runs on torch, with a warning in the log.

    Raises:
        ModelError: unknown name or tap, wrong kind of data, a missing package, weights that cannot be had, a network
            that gives no embeddings, a size where there is none, or an engine or a precision that is not to be had.
    """
    network = resolve(name, data)
    if data == "text" and size is not None:
        raise ModelError(f"`model.size` is for images. Got {size} for {network.name}. Remove the line.")
    wanted = _Cut(network, size or network.size, tuple(dict.fromkeys(taps)), output)
    target = folder / wanted.name
    about = _exported(target) or _export(wanted, target)
    loaded: list[str] = []
    runnable = Runnable(
        target / "trunk.onnx" if about.engine == "onnxruntime" else None,
        None if network.network is None else lambda: _module(wanted, loaded),
        about.dtype,
    )
    opened = open_network(runnable, engine=engine, precision=precision, example=example_of(about), folder=target)
    # The weights that were loaded count, where torch loaded them now: a hub's may have changed since the export.
    return FrozenTrunk(target, replace(about, weights=loaded[-1]) if loaded else about, opened)


def example_of(about: About) -> Feed:
    """Some items to measure engines with: noise, or texts of a sentence's length."""
    rng = np.random.default_rng(0)
    if about.data == "text":
        ids = rng.integers(5, 1000, (EXAMPLE, 24))
        return {"ids": ids, "mask": np.ones_like(ids)}
    side, channels = about.inputs["size"], 1 if about.inputs["mode"] == "L" else 3
    return {"pixels": rng.integers(0, 256, (EXAMPLE, side, side, channels), dtype=np.uint8)}


@dataclass(frozen=True)
class _Cut:
    """A network, for a size of images, cut at taps."""

    network: Pretrained
    size: int | None
    taps: tuple[str, ...]
    output: Output

    @property
    def name(self) -> str:
        """Of its folder: the same for the same weights, cut in the same way."""
        network = self.network
        key = fingerprint([network.name, network.identity(), self.size, sorted(self.taps), self.output, EXPORT])[:16]
        return f"{re.sub(r'[^a-z0-9]+', '-', network.name.lower()).strip('-')[-40:]}-{key}"


def _module(wanted: _Cut, loaded: list[str]) -> nn.Module:
    """The trunk as a module of torch; a hash of the weights that it was loaded with is added to `loaded`."""
    from alearn.models import networks

    assert wanted.network.network is not None, "there is none of the pixels"
    network = wanted.network.network(wanted.size)
    loaded.append(networks.weights_digest(network.chain))
    return networks.cut(network, wanted.taps, wanted.output)[0]


def _exported(folder: Path) -> About | None:
    """What an export left in the folder; None where there is none, or where it is damaged."""
    try:
        said = json.loads((folder / "trunk.json").read_text(encoding="utf-8"))
        about = About(**{**said, "shape": tuple(said["shape"]), "taps": tuple(said["taps"])})
        sound = about.engine == "torch" or file_digest(folder / "trunk.onnx") == about.digest
        return about if sound and (about.data == "image" or (folder / "tokenizer.json").is_file()) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _export(wanted: _Cut, target: Path) -> About:
    network = wanted.network
    with new_folder(target) as aside:
        found = network.export(aside, wanted.size, wanted.taps, wanted.output)
        about = About(
            name=network.name,
            data=network.data,
            licence=found.licence or network.licence,
            source=network.source,
            parameters=found.parameters,
            weights=found.weights,
            tap="+".join(found.spans or wanted.taps or found.taps[-1:]),
            shape=found.shape,
            inputs=dict(found.inputs),
            digest=file_digest(aside / "trunk.onnx") if found.engine == "onnxruntime" else "",
            engine=found.engine,
            output=wanted.output,
            taps=found.taps,
            spans=found.spans,
        )
        (aside / "trunk.json").write_text(json.dumps(asdict(about), indent=1), encoding="utf-8")
    return about
