"""Which network a name in a config stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alearn.core.schema import DataKind
from alearn.errors import ModelError
from alearn.models.zoo.hubs import HUBS, of_hub
from alearn.models.zoo.other_weights import at_random, from_file
from alearn.models.zoo.packaged import LITE0, MINILM
from alearn.models.zoo.pretrained import Pretrained
from alearn.models.zoo.rows import ZOO

if TYPE_CHECKING:
    from alearn.models.networks import Network


def resolve(name: str, data: DataKind) -> Pretrained:
    """The network of that name; `auto` is the one for `data` whose weights are installed, else one that is downloaded.

    NAME@FILE is the architecture NAME with the weights of a local file, random:NAME with random ones.

    Raises:
        ModelError: no such name, not for this kind of data, or the library of a hub's name is not installed.
    """
    found = _found(_auto(data) if name == "auto" else name, name)
    if found.data != data:
        raise ModelError(f"`model.name` must name a network for {data}s. Got {name!r}, for {found.data}s. Use auto.")
    return found


def load_network(name: str, data: DataKind, size: int | None = None) -> Network:
    """The network of that name in torch, for images of a size; None: its own, as in the catalogue.

    Raises:
        ModelError: as `resolve`; it is none that torch runs, or its weights cannot be had.
    """
    found = resolve(name, data)
    if found.network is None:
        raise ModelError(f"{found.name} is no network, so nothing of it can be trained. Name another in `model.name`.")
    return found.network(size or found.size)


def size_for(name: str, size: int | None) -> int | None:
    """The size of images to ask a network for: `size`, but the pixels' own, whose embedding would grow with it."""
    return None if name == "pixels" else size


def _found(name: str, given: str) -> Pretrained:
    if name.startswith("random:"):
        return at_random(_found(name.removeprefix("random:"), given))
    architecture, at, file = name.partition("@")
    if at and file:
        return from_file(_found(architecture, given), file)
    hub, _, rest = name.partition(":")
    if name in ZOO:
        return ZOO[name]
    if hub not in HUBS or not rest:
        raise ModelError(
            f"`model.name` must be auto, {', '.join(ZOO)}, {', '.join(f'{hub}:NAME' for hub in HUBS)}, NAME@FILE or "
            f"random:NAME. Got {given!r}. Correct it."
        )
    return of_hub(hub, rest)


def _auto(data: DataKind) -> str:
    if data == "image":
        return "efficientnet-lite0" if LITE0.installed else "torchvision:mobilenet_v3_large"
    return "minilm" if MINILM.installed else "sentence-transformers:sentence-transformers/all-MiniLM-L6-v2"
