"""Everything that can be named, and what of it is here now."""

from __future__ import annotations

from collections.abc import Iterator

from alearn.core.schema import DataKind
from alearn.models.zoo import local, registries
from alearn.models.zoo.hubs import installed
from alearn.models.zoo.listed import Listed
from alearn.models.zoo.pretrained import Pretrained
from alearn.models.zoo.rows import ZOO


def catalogue(data: DataKind | None = None) -> list[Listed]:
    """All networks for one kind of data, or for any; for images the registries are read, which imports torch."""
    return [row for row in [*shipped(), *_text_hubs(), *_image_hubs(data)] if data in {None, row.data}]


def shipped() -> list[Listed]:
    """The networks whose weights come as packages, and the pixels; nothing is imported for it."""
    return [_listed(network) for network in ZOO.values()]


def offline(data: DataKind) -> list[Listed]:
    """The networks for `data` that work on this machine now, without a download.

    The registries are read, which imports torch, only where a library has downloaded something for images.
    """
    downloaded = data == "image" and (local.torch_files() or local.hugging_face_repositories())
    rows = [*shipped(), *_text_hubs(), *(_image_hubs(data) if downloaded else ())]
    return [row for row in rows if row.offline and row.data == data]


def offline_candidates(data: DataKind) -> list[str]:
    """The names of the networks for `data` that work on this machine now, the smallest first; the pixels among them."""
    return [row.name for row in sorted(offline(data), key=lambda row: row.parameters)]


def _listed(network: Pretrained) -> Listed:
    file = network.packaged
    return Listed(
        name=network.name,
        data=network.data,
        parameters=network.parameters,
        weights_mb=file.megabytes if file else 0.0,
        licence=network.licence,
        source=network.source,
        checksum=file.checksum if file else None,
        size=network.size,
        offline=file is None or file.installed,
    )


def _text_hubs() -> Iterator[Listed]:
    if installed("sentence-transformers"):
        yield from registries.sentence_transformers()


def _image_hubs(data: DataKind | None) -> Iterator[Listed]:
    if data == "text":
        return
    yield from registries.torchvision()
    if installed("timm"):
        yield from registries.timm()
