"""Networks of torchvision, timm and sentence-transformers, with their downloaded weights, as chains."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from alearn.errors import ModelError
from alearn.models.graphs import image_inputs
from alearn.models.networks.chain import Chain, Network, images


def torchvision(name: str, size: int | None) -> Network:
    """A torchvision classifier without its last linear layer; raises ModelError: unknown, or not to be had."""
    from torchvision import models

    try:
        weights = models.get_model_weights(name).DEFAULT
    except ValueError as error:
        raise ModelError(f"`model.name` must name a classifier of torchvision. Got {name!r}: {error}.") from error
    with download(f"torchvision:{name}", f"{weights.url} to {torch.hub.get_dir()}/checkpoints/"):
        module = models.get_model(name, weights=weights)
    recipe = weights.transforms()
    if not hasattr(recipe, "crop_size"):
        raise ModelError(f"`model.name` must name an image classifier of torchvision. Got {name!r}. Use resnet18.")
    _drop_classifier(module, name)
    inputs = image_inputs(size or recipe.crop_size[0], interpolation=str(recipe.interpolation.value))
    chain = images([("network", module)], recipe.mean, recipe.std, neck=nn.Identity())
    return Network(chain, "image", inputs, "BSD-3-Clause")


def timm(name: str, size: int | None) -> Network:
    """A timm network without its classifier; raises ModelError: unknown, or not to be had."""
    import timm as library

    with download(f"timm:{name}", f"the weights of {name} into the cache of huggingface_hub"):
        module = library.create_model(name, pretrained=True, num_classes=0)
    recipe = library.data.resolve_model_data_config(module)
    inputs = image_inputs(size or int(recipe["input_size"][1]), interpolation=recipe["interpolation"])
    chain = images([("network", module)], recipe["mean"], recipe["std"], neck=nn.Identity())
    return Network(chain, "image", inputs, getattr(module, "pretrained_cfg", {}).get("license"))


def sentence_transformer(name: str, size: int | None = None) -> Network:
    """A sentence-transformers network, from a folder or by name; raises ModelError: unknown, or not to be had."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging as transformers_logging
    except ImportError:
        raise ModelError(
            "Text networks need the package sentence-transformers. It is not installed. "
            "Run `pip install 'alearn[text]'`."
        ) from None
    transformers_logging.disable_progress_bar()
    with download(name, f"the model's folder, and name it: sentence-transformers:FOLDER instead of {name}"):
        model = SentenceTransformer(name, device="cpu", model_kwargs={"attn_implementation": "eager"})
    if not getattr(model.tokenizer, "is_fast", False):
        raise ModelError(f"{name} has no tokenizer.json, which alearn needs. Name another network in `model.name`.")
    inputs = {"kind": "text", "max_tokens": int(model.max_seq_length or 512)}
    chain = Chain(Together(), [("network", _Sentences(model))], nn.Identity(), nn.Identity()).eval()
    return Network(chain, "text", inputs, tokenizer=model.tokenizer.backend_tokenizer.to_str())


HUBS: Mapping[str, Callable[[str, int | None], Network]] = {
    "torchvision": torchvision,
    "timm": timm,
    "sentence-transformers": sentence_transformer,
}
"""What builds the network that a hub's name stands for."""


class download:  # noqa: N801 - reads as a verb
    """Turn the many errors of a failed download into one that says what to do."""

    def __init__(self, name: str, what: str) -> None:
        self._name, self._what = name, what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # Every library's own error for a failed download, or for an unknown name, is one of these.
        if isinstance(error, (OSError, ValueError, RuntimeError, EOFError)):
            raise ModelError(
                f"The weights of {self._name} cannot be loaded: {' '.join(str(error).split())[:300]}. "
                f"Without a network, copy {self._what}; or use `model.name: auto` with `pip install 'alearn[offline]'`."
            ) from error


def _drop_classifier(module: nn.Module, name: str) -> None:
    """Replace the last linear layer by the identity."""
    path = next((at for at, layer in reversed(list(module.named_modules())) if isinstance(layer, nn.Linear)), None)
    if path is None:
        raise ModelError(f"{name} does not end in a linear layer that can be cut off. Name another network.")
    parent, _, last = path.rpartition(".")
    setattr(module.get_submodule(parent), last, nn.Identity())


class Together(nn.Module):
    """The entry of text networks that cannot be cut: token numbers and mask go in as they are."""

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(n, length) and (n, length), int64."""
        return ids, mask


class _Sentences(nn.Module):
    """Token numbers and mask (n, length), int64 -> embeddings (n, dim)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, given: tuple[Tensor, Tensor]) -> Tensor:
        ids, mask = given
        found: Tensor = self.model({"input_ids": ids, "attention_mask": mask})["sentence_embedding"]
        return found
