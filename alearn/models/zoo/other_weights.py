"""A network of the catalogue with other weights than the published ones: those of a local file, or random ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from alearn.errors import ModelError
from alearn.models.serving import file_digest
from alearn.models.zoo.pretrained import Pretrained

if TYPE_CHECKING:
    from alearn.models.networks import Network


def from_file(base: Pretrained, file: str) -> Pretrained:
    """The architecture of `base` with the weights of a file, which is looked at when it is loaded.

    Raises:
        ModelError: there are no other weights for `base`.
    """
    architecture = base.architecture
    if architecture is None or base.data != "image":
        raise ModelError(
            "`model.name` may be NAME@FILE for efficientnet-lite0, torchvision:NAME and timm:NAME. "
            f"Got {base.name}@{file}. For texts, name a folder: sentence-transformers:FOLDER."
        )
    path = Path(file).expanduser()

    def identity() -> str:
        try:
            return file_digest(path)
        except OSError as error:
            raise ModelError(
                f"`model.name` must name a file of weights behind the @. {path} cannot be read: "
                f"{error.strerror or error}. Correct it."
            ) from error

    def network(size: int | None) -> Network:
        return architecture(size, path)

    return replace(
        base,
        name=f"{base.name}@{file}",
        licence="that of the weights",
        source=f"{path.name}, in the architecture of {base.name} ({base.source})",
        identity=identity,
        network=network,
        architecture=None,
        packaged=None,
    )


def at_random(base: Pretrained) -> Pretrained:
    """The architecture of `base` with random weights, the same each time: what a pretrained network must beat.

    Raises:
        ModelError: there are no other weights for `base`.
    """
    architecture = base.architecture
    if architecture is None:
        raise ModelError(f"`model.name` random:NAME needs a network of the catalogue. Got random:{base.name}.")

    def network(size: int | None) -> Network:
        return architecture(size, "random")

    return replace(
        base,
        name=f"random:{base.name}",
        licence="none",
        source=f"random weights, in the architecture of {base.name} ({base.source})",
        identity=lambda: f"random weights of seed 0 in {base.name}, {base.source}",
        network=network,
        architecture=None,
        packaged=None,
    )
