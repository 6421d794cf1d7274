"""The frozen part of a pretrained network, which turns items into embeddings once: on onnxruntime, or where the network
cannot be exported, on torch.

Invariant: the fingerprint names everything that an embedding depends on; two trunks with the same fingerprint give the
same embeddings on any machine, within float32 rounding. Torch is imported only where the exported graph is not there.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from alearn.core.keys import fingerprint
from alearn.core.schema import DataKind
from alearn.errors import ModelError
from alearn.models.files import new_folder
from alearn.models.graphs import Output
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

EXPORT = 2
"""To be raised when the graphs that are exported, or how items are prepared for them, change their meaning."""


@dataclass(frozen=True)
class About:
    """What is written beside an exported trunk, and into every model that stands on it.

    `weights` is a hash, `inputs` says how items are prepared, `shape` what an item becomes, `digest` is the SHA-256 of
    `trunk.onnx`; empty where the `engine` is torch and there is none. `tap` is where the network is cut, several joined
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


class Trunk(Protocol):
    """What the loop, the cache and the export need of a trunk.

    `dim` is the length of an embedding; `batch` how many items the engine does best at once; `folder` holds
    `trunk.onnx` where `about.engine` is onnxruntime (and `tokenizer.json` for texts).
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


class _Frozen:
    """What both engines share: what a trunk is, and how its items are prepared."""

    def __init__(self, folder: Path, about: About) -> None:
        self.folder = folder
        self.about = about
        self.name = about.name
        self.data: DataKind = about.data
        self.dim = about.dim
        self.batch = BATCH[about.data]
        version = importlib.metadata.version(about.engine)
        self.engine = f"{about.engine} {version} CPU float32"
        said = [about.weights, about.tap, about.inputs, list(about.shape), about.output, about.exported]
        self.fingerprint = fingerprint([*said, about.engine, version.partition(".")[0], "cpu", "float32"])
        try:
            self._tokenizer = open_tokenizer(folder, about.inputs) if about.data == "text" else None
        except Unfit as error:
            raise ModelError(str(error)) from error

    def prepare(self, raw: Image.Image | str) -> Prepared:
        """As `Trunk.prepare`."""
        return tokens(self._tokenizer, str(raw)) if self._tokenizer is not None else pixels(raw, self.about.inputs)


class OnnxTrunk(_Frozen):
    """An exported trunk on onnxruntime, float32, on the CPU. Raises ModelError: the folder's files cannot be used."""

    def __init__(self, folder: Path, about: About) -> None:
        super().__init__(folder, about)
        try:
            self._session = open_session(folder / "trunk.onnx")
        except Unfit as error:
            raise ModelError(str(error)) from error

    def embed(self, batch: Sequence[Prepared]) -> NDArray[np.float32]:
        """As `Trunk.embed`."""
        (found,) = self._session.run(None, feed(self.data, batch))
        return np.asarray(found)


class TorchTrunk(_Frozen):
    """A trunk that cannot be exported, on torch, float32, on the CPU; `run` embeds what `serving.feed` makes."""

    def __init__(self, folder: Path, about: About, run: Callable[[Mapping[str, NDArray[Any]]], NDArray[Any]]) -> None:
        super().__init__(folder, about)
        self._run = run

    def embed(self, batch: Sequence[Prepared]) -> NDArray[np.float32]:
        """As `Trunk.embed`."""
        return self._run(feed(self.data, batch))


def load_trunk(
    name: str,
    data: DataKind,
    *,
    size: int | None = None,
    taps: Sequence[str] = (),
    output: Output = "embedding",
    folder: Path,
) -> Trunk:
    """The trunk of a network of the zoo; exported into a subfolder of `folder` unless that is there already.

    Its engine is onnxruntime; torch, with a warning in the log, where the network cannot be exported.

    `name` is as in `zoo.resolve`; `size` is the side of the square that images are resized to, none: the network's own.
    `taps`: behind which stages it is cut, none: the last; the embeddings of several come one beside the other, in the
    order of the network, as `about.spans` says. `output` "activation": what is behind the one tap, not pooled, float16.

    Raises:
        ModelError: unknown name or tap, wrong kind of data, a missing package, weights that cannot be had, a network
            that gives no embeddings, or a size where there is none.
    """
    network = resolve(name, data)
    if data == "text" and size is not None:
        raise ModelError(f"`model.size` is for images. Got {size} for {network.name}. Remove the line.")
    wanted = _Cut(network, size or network.size, tuple(dict.fromkeys(taps)), output)
    target = folder / wanted.name
    about = _exported(target) or _export(wanted, target)
    return OnnxTrunk(target, about) if about.engine == "onnxruntime" else _on_torch(wanted, target, about)


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


def _on_torch(wanted: _Cut, folder: Path, about: About) -> TorchTrunk:
    from alearn.models import networks

    assert wanted.network.network is not None, "the pixels are always exported"
    loaded = wanted.network.network(wanted.size)
    # What was loaded now counts: a hub's weights may have changed since.
    run = networks.runner(loaded, wanted.taps, wanted.output)
    return TorchTrunk(folder, replace(about, weights=networks.weights_digest(loaded.chain)), run)


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
