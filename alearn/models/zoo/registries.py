"""The networks that torchvision and timm publish weights of, as rows of the catalogue.

Reading a registry imports its library, and torch with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

from alearn.models.zoo.listed import Listed
from alearn.models.zoo.local import hugging_face_repositories, torch_files


def torchvision() -> Iterator[Listed]:
    """The classifiers of torchvision with the weights that it takes by default."""
    from torchvision import models

    here = torch_files()
    for name in models.list_models(module=models):
        weights = models.get_model_weights(name).DEFAULT
        file = Path(weights.url).name
        yield Listed(
            name=f"torchvision:{name}",
            data="image",
            parameters=weights.meta["num_params"],
            weights_mb=round(weights.meta["_file_size"], 1),
            licence=str(weights.meta.get("license", "BSD-3-Clause")),
            source=weights.url,
            checksum=_checksum(file),
            size=weights.transforms().crop_size[0],
            offline=file in here,
        )


def timm() -> Iterator[Listed]:
    """The networks that timm has weights for; how large they are is known of those that are here."""
    import timm as library

    repositories, files = hugging_face_repositories(), torch_files()
    for name in library.list_pretrained():
        published = library.get_pretrained_cfg(name)
        source = f"https://huggingface.co/{published.hf_hub_id}" if published.hf_hub_id else published.url
        here = repositories.get(published.hf_hub_id) or files.get(Path(published.url or "").name)
        yield Listed(
            name=f"timm:{name}",
            data="image",
            parameters=_parameters(here) if here else 0,
            weights_mb=_megabytes(here) if here else 0.0,
            licence=published.license or "unknown",
            source=source or "timm",
            checksum=None if published.hf_hub_id else _checksum(Path(published.url or "").name),
            size=int(published.input_size[-1]),
            offline=here is not None,
        )


def sentence_transformers() -> Iterator[Listed]:
    """The text networks in the cache of huggingface_hub; the library keeps no registry."""
    for name, weights in hugging_face_repositories().items():
        if not (weights.parent / "modules.json").is_file():
            continue
        yield Listed(
            name=f"sentence-transformers:{name}",
            data="text",
            parameters=_parameters(weights),
            weights_mb=_megabytes(weights),
            licence=_licence(weights.parent / "README.md"),
            source=f"https://huggingface.co/{name}",
            checksum=None,
            size=None,
            offline=True,
        )


def _checksum(file: str) -> str | None:
    """The beginning of the SHA-256 that a published file carries in its name."""
    found = re.search(r"-([0-9a-f]{8,})\.", file)
    return found[1] if found else None


def _megabytes(weights: Path) -> float:
    return round(weights.stat().st_size / 1e6, 1)


def _parameters(weights: Path) -> int:
    """How many floating-point numbers a .safetensors file says that it holds; 0 for other files."""
    if weights.suffix != ".safetensors":
        return 0
    with weights.open("rb") as file:
        head: Mapping[str, Any] = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(prod(one["shape"]) for name, one in head.items() if name != "__metadata__" and "F" in one["dtype"])


def _licence(card: Path) -> str:
    """What the head of a model card says."""
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    found = re.search(r"^license:\s*(\S+)", text, re.MULTILINE)
    return found[1] if found else "unknown"
