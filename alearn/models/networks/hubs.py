"""Image networks of torchvision and timm as chains: with the weights they publish, those of a file, or random ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from alearn.errors import ModelError
from alearn.models.graphs import image_inputs
from alearn.models.networks.chain import Network
from alearn.models.networks.downloads import download
from alearn.models.networks.sentences import sentence_transformer
from alearn.models.networks.stages import chained
from alearn.models.networks.weights import Weights, fill, read_state, seeded


class Hub(Protocol):
    """What builds a network of a library by the name that it has there, for a size of images; None: its own."""

    def __call__(self, name: str, size: int | None, weights: Weights = "pretrained") -> Network:
        """Raises ModelError: unknown, or its weights are not to be had."""
        ...


_BARE: Mapping[str, Mapping[str, Any]] = {
    name: {"transform_input": True, "aux_logits": False, "init_weights": False}
    for name in ("googlenet", "inception_v3")
}
"""How torchvision itself builds an architecture for its weights, where that is not its default."""

_HALF = (0.5, 0.5, 0.5)

_TRAINING_ONLY = ("aux1", "aux2", "AuxLogits")
"""Parts of torchvision's networks that do nothing after training."""


def torchvision(name: str, size: int | None, weights: Weights = "pretrained") -> Network:
    """A torchvision classifier without its last layer; raises ModelError: unknown, or not to be had."""
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise ModelError(
            f"`model.name` must name a classifier of torchvision. Got {name!r}. {_nearest(name, known)} "
            "`alearn models` lists them."
        )
    published = models.get_model_weights(name).DEFAULT
    if weights == "pretrained":
        with download(f"torchvision:{name}", f"{published.url} to {torch.hub.get_dir()}/checkpoints/"):
            module = models.get_model(name, weights=published)
    else:
        module = seeded(partial(models.get_model, name, weights=None, **_BARE.get(name, {})))
    classifier = _drop_classifier(module, name)
    if isinstance(weights, Path):
        fill(module, read_state(weights), f"{weights} for torchvision:{name}", (classifier, *_TRAINING_ONLY))
    recipe = published.transforms()
    side = size or recipe.crop_size[0]
    chain = chained(f"torchvision:{name}", module, side, *_normalisation(module, recipe))
    inputs = image_inputs(side, interpolation=str(recipe.interpolation.value))
    return Network(chain, "image", inputs, str(published.meta.get("license", "BSD-3-Clause")))


def _normalisation(module: Any, recipe: Any) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and deviation; where the network would turn the usual ones into its own first, its own at once."""
    if not getattr(module, "transform_input", False):
        return recipe.mean, recipe.std
    module.transform_input = False
    return _HALF, _HALF


def timm(name: str, size: int | None, weights: Weights = "pretrained") -> Network:
    """A timm network without its classifier; raises ModelError: unknown, or not to be had."""
    import timm as library

    if not library.is_model(name):
        near = _nearest(name, library.list_models())
        raise ModelError(f"`model.name` must name a network of timm. Got {name!r}. {near} `alearn models` lists them.")
    with download(f"timm:{name}", f"the weights of {name} into the cache of huggingface_hub"):
        resized = _resized(library.get_pretrained_cfg(name), size)
        create = partial(library.create_model, name, weights == "pretrained", num_classes=0, **resized)
        module: Any = seeded(create)
    recipe = library.data.resolve_model_data_config(module)
    if isinstance(weights, Path):
        classifier = module.pretrained_cfg.get("classifier") or ()
        spare = (classifier,) if isinstance(classifier, str) else tuple(classifier)
        fill(module, read_state(weights), f"{weights} for timm:{name}", spare)
    side = size or int(recipe["input_size"][1])
    chain = chained(f"timm:{name}", module, side, recipe["mean"], recipe["std"])
    inputs = image_inputs(side, interpolation=recipe["interpolation"])
    return Network(chain, "image", inputs, module.pretrained_cfg.get("license"))


def _resized(published: Any, size: int | None) -> dict[str, int]:
    """What makes a network that is bound to one size of pictures take another."""
    bound = published is not None and published.fixed_input_size and published.input_size[1] != size
    return {"img_size": size} if bound and size is not None else {}


HUBS: Mapping[str, Hub] = {
    "torchvision": torchvision,
    "timm": timm,
    "sentence-transformers": sentence_transformer,
}
"""What builds the network that a hub's name stands for."""


def _nearest(name: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, list(known), n=3)
    return f"Near it: {', '.join(found)}." if found else "Nothing is near it."


def _drop_classifier(module: nn.Module, name: str) -> str:
    """Replace the last linear layer, or where there is none the last convolution, by the identity; its path."""
    layers = list(module.named_modules())
    for kind in (nn.Linear, nn.Conv2d):
        paths: list[str] = [path for path, layer in layers if isinstance(layer, kind)]
        if paths:
            parent, _, last = paths[-1].rpartition(".")
            setattr(module.get_submodule(parent), last, nn.Identity())
            return paths[-1]
    raise ModelError(f"{name} does not end in a layer that can be cut off. Name another network.")
