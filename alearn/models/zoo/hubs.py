"""The libraries whose networks can be named, and what is known of such a network before it is loaded."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from alearn.core.schema import DataKind
from alearn.errors import ModelError
from alearn.models.serving import file_digest
from alearn.models.zoo.pretrained import Pretrained

if TYPE_CHECKING:
    from alearn.models.networks import Network


class Hub(NamedTuple):
    """What a library's networks are for, and what installs it."""

    data: DataKind
    requirement: str


HUBS: Mapping[str, Hub] = {
    "torchvision": Hub("image", "alearn"),
    "timm": Hub("image", "alearn[timm]"),
    "sentence-transformers": Hub("text", "alearn[text]"),
}
"""The name of a library is what is before the colon."""


def installed(hub: str) -> str | None:
    """The version of a library; None where it is not there."""
    try:
        return importlib.metadata.version(hub)
    except importlib.metadata.PackageNotFoundError:
        return None


def of_hub(hub: str, name: str) -> Pretrained:
    """The network that a library has under a name, which is not looked up; raises ModelError: no such library here."""
    version = installed(hub)
    if version is None:
        raise ModelError(
            f"The network {hub}:{name} needs the package {hub}. It is not installed. "
            f"Run `pip install '{HUBS[hub].requirement}'`."
        )
    return Pretrained(
        name=f"{hub}:{name}",
        data=HUBS[hub].data,
        licence="see the source",
        source=f"{hub} {version}, {name}",
        size=None,
        parameters=0,
        identity=partial(_identity, hub, version, name),
        network=partial(_network, hub, name),
        architecture=partial(_network, hub, name),
    )


def _identity(hub: str, version: str, name: str) -> str:
    """A local folder by its weights, a name by its library's version, which fixes what it downloads."""
    weights = Path(name).expanduser() / "model.safetensors"
    return file_digest(weights) if weights.is_file() else f"{hub} {version} {name}"


def _network(
    hub: str, name: str, size: int | None, weights: Path | Literal["pretrained", "random"] = "pretrained"
) -> Network:
    from alearn.models import networks

    return networks.HUBS[hub](name, size, weights)
