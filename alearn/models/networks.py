"""From a library's pretrained network to the one form that alearn runs: an ONNX graph with its preprocessing inside.

The only module that imports torch; it runs once per network and size, and never again while the exported file is there.
A network that cannot be exported is run here instead, every time.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from alearn.errors import ModelError
from alearn.models import efficientnet_lite
from alearn.models.graphs import OPSET, Exported, image_inputs
from alearn.models.serving import Unfit, open_session, threads

_LOG = logging.getLogger(__name__)

TOLERANCE = 1e-3
"""How far an exported embedding may be from torch's, relative to the largest; measured: 2e-6."""


@dataclass(frozen=True)
class ImageNetwork:
    """`module` maps (n, 3, size, size) normalised pixels to embeddings (n, dim). `mean` and `std` are for [0, 1]."""

    module: nn.Module
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    licence: str | None = None


@dataclass(frozen=True)
class TextNetwork:
    """`module` maps token numbers and mask (n, length) to embeddings (n, dim); `tokenizer`: a tokenizer.json's text."""

    module: nn.Module
    tokenizer: str
    max_tokens: int
    licence: str | None = None


def lite0(weights: Path) -> ImageNetwork:
    """EfficientNet-Lite0 up to its pooled features, with the normalisation of its authors."""
    network = efficientnet_lite.load_file(str(weights))
    network.classifier = nn.Identity()  # type: ignore[assignment]
    return ImageNetwork(network, 224, (127 / 255,) * 3, (128 / 255,) * 3, "bicubic")


def torchvision(name: str) -> ImageNetwork:
    """A torchvision classifier without its last linear layer; raises ModelError: unknown, or not to be had."""
    from torchvision import models

    try:
        weights = models.get_model_weights(name).DEFAULT
    except ValueError as error:
        raise ModelError(f"`model.name` must name a classifier of torchvision. Got {name!r}: {error}.") from error
    with _download(f"torchvision:{name}", f"{weights.url} to {torch.hub.get_dir()}/checkpoints/"):
        module = models.get_model(name, weights=weights)
    recipe = weights.transforms()
    if not hasattr(recipe, "crop_size"):
        raise ModelError(f"`model.name` must name an image classifier of torchvision. Got {name!r}. Use resnet18.")
    _drop_classifier(module, name)
    how = str(recipe.interpolation.value)
    return ImageNetwork(module.eval(), recipe.crop_size[0], tuple(recipe.mean), tuple(recipe.std), how, "BSD-3-Clause")


def timm(name: str) -> ImageNetwork:
    """A timm network without its classifier; raises ModelError: unknown, or not to be had."""
    import timm as library

    with _download(f"timm:{name}", f"the weights of {name} into the cache of huggingface_hub"):
        module = library.create_model(name, pretrained=True, num_classes=0)
    recipe = library.data.resolve_model_data_config(module)
    licence = getattr(module, "pretrained_cfg", {}).get("license")
    size = int(recipe["input_size"][1])
    return ImageNetwork(module.eval(), size, recipe["mean"], recipe["std"], recipe["interpolation"], licence)


def sentence_transformer(name: str) -> TextNetwork:
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
    with _download(name, f"the model's folder, and name it: sentence-transformers:FOLDER instead of {name}"):
        model = SentenceTransformer(name, device="cpu", model_kwargs={"attn_implementation": "eager"})
    if not getattr(model.tokenizer, "is_fast", False):
        raise ModelError(f"{name} has no tokenizer.json, which alearn needs. Name another network in `model.name`.")
    tokenizer = model.tokenizer.backend_tokenizer.to_str()
    return TextNetwork(_Sentences(model).eval(), tokenizer, int(model.max_seq_length or 512))


HUBS: Mapping[str, Callable[[str], ImageNetwork | TextNetwork]] = {
    "torchvision": torchvision,
    "timm": timm,
    "sentence-transformers": sentence_transformer,
}
"""What builds the network that a hub's name stands for."""


class _download:  # noqa: N801 - reads as a verb
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


class _Pixels(nn.Module):
    """(n, size, size, 3) uint8 -> embeddings (n, dim)."""

    scale: Tensor
    shift: Tensor

    def __init__(self, network: ImageNetwork) -> None:
        super().__init__()
        self.network = network.module
        std = torch.tensor(network.std)
        self.register_buffer("scale", (1 / (255 * std)).view(1, 3, 1, 1))
        self.register_buffer("shift", (-torch.tensor(network.mean) / std).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        found: Tensor = self.network(pixels.permute(0, 3, 1, 2).float() * self.scale + self.shift)
        return found.flatten(1)


class _Sentences(nn.Module):
    """(n, length) token numbers and mask, int64 -> embeddings (n, dim)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        found: Tensor = self.model({"input_ids": ids, "attention_mask": mask})["sentence_embedding"]
        return found


def export(network: ImageNetwork | TextNetwork, folder: Path, size: int | None) -> Exported:
    """Write `trunk.onnx`, and `tokenizer.json` for texts, and check the graph against torch on fixed inputs.

    Where there can be no such graph, or it does not give what torch gives, none is left: the engine is torch then.

    Raises:
        ModelError: the network gives no embeddings.
    """
    module, examples, inputs = _wrapped(network, size)
    if isinstance(network, TextNetwork):
        (folder / "tokenizer.json").write_text(network.tokenizer, encoding="utf-8")
    wanted = [_given(module, example) for example in examples]
    engine = "onnxruntime"
    try:
        _write(module, examples[0], folder / "trunk.onnx", images=isinstance(network, ImageNetwork))
        _check(folder / "trunk.onnx", examples, wanted)
    except (ModelError, Unfit) as error:
        _LOG.warning("%s It runs on torch, and models that stand on it cannot be exported.", error)
        (folder / "trunk.onnx").unlink(missing_ok=True)
        engine = "torch"
    parameters = sum(one.numel() for one in module.parameters())
    return Exported(wanted[0].shape[1], inputs, weights_digest(network), parameters, network.licence, engine)


def runner(
    network: ImageNetwork | TextNetwork, size: int | None
) -> Callable[[Mapping[str, NDArray[Any]]], NDArray[Any]]:
    """What embeds on torch that which `serving.feed` makes."""
    module, _, _ = _wrapped(network, size)
    torch.set_num_threads(threads())
    return lambda given: _run(module, {name: torch.from_numpy(value) for name, value in given.items()})


def _run(module: nn.Module, given: Mapping[str, Tensor]) -> NDArray[Any]:
    with torch.inference_mode():
        return np.asarray(module(*given.values()).numpy())


def _given(module: nn.Module, example: Mapping[str, Tensor]) -> NDArray[Any]:
    """The embeddings of an example, looked at."""
    found = _run(module, example)
    if found.ndim != 2 or not np.isfinite(found).all():
        raise ModelError(
            f"A network must give a row of finite numbers for each item. It gives an array of shape {found.shape}"
            f"{'' if np.isfinite(found).all() else ', not finite'}. Name another network."
        )
    return found


def _wrapped(
    network: ImageNetwork | TextNetwork, size: int | None
) -> tuple[nn.Module, list[dict[str, Tensor]], Mapping[str, Any]]:
    """The module to export, inputs of two shapes to try it with, and how items are prepared for it."""
    rng = np.random.default_rng(0)
    if isinstance(network, TextNetwork):
        examples = [_example_tokens(rng, rows, length) for rows, length in ((3, 12), (2, 30))]
        return network.module, examples, {"kind": "text", "max_tokens": network.max_tokens}
    side = size or network.size
    shapes = ((rows, side, side, 3) for rows in (2, 3))
    examples = [{"pixels": torch.from_numpy(rng.integers(0, 256, shape, dtype=np.uint8))} for shape in shapes]
    return _Pixels(network).eval(), examples, image_inputs(side, interpolation=network.interpolation)


def _example_tokens(rng: np.random.Generator, rows: int, length: int) -> dict[str, Tensor]:
    mask = np.ones((rows, length), dtype=np.int64)
    mask[0, length // 2 :] = 0
    ids = rng.integers(5, 1000, (rows, length)) * mask
    return {"ids": torch.from_numpy(ids), "mask": torch.from_numpy(mask)}


def _write(module: nn.Module, example: Mapping[str, Tensor], path: Path, *, images: bool) -> None:
    """Export; batch norms are folded into the convolutions before them on the way."""
    axes = {name: {0: "n"} if images else {0: "n", 1: "length"} for name in example}
    # The exporter prints what it could not export, graph and all.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                module,
                tuple(example.values()),
                str(path),
                input_names=list(example),
                output_names=["embedding"],
                dynamic_axes={**axes, "embedding": {0: "n"}},
                opset_version=OPSET,
                dynamo=False,
            )
        except (RuntimeError, ValueError, TypeError, torch.onnx.errors.OnnxExporterError) as error:
            raise ModelError(
                f"The network cannot be exported to ONNX: {' '.join(str(error).split())[:300].rstrip('.')}."
            ) from error


def _check(path: Path, examples: Sequence[Mapping[str, Tensor]], wanted: Sequence[NDArray[Any]]) -> None:
    """Raises ModelError where the graph cannot be run, or differs from torch."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    session = open_session(path)
    for example, right in zip(examples, wanted, strict=True):
        try:
            (found,) = session.run(None, {name: value.numpy() for name, value in example.items()})
        except (state.Fail, state.InvalidArgument, state.RuntimeException, state.NotImplemented) as error:
            raise ModelError(f"The exported network cannot be run: {' '.join(str(error).split())[:300]}.") from error
        same = found.shape == right.shape
        apart = float(np.abs(found - right).max() / max(float(np.abs(right).max()), 1e-6)) if same else np.inf
        if not apart <= TOLERANCE:
            raise ModelError(
                f"The exported network must give what torch gives within {TOLERANCE}. It is {apart:.2g} off."
            )


def weights_digest(network: ImageNetwork | TextNetwork) -> str:
    """A hash of all weights, their names and their shapes."""
    digest = hashlib.sha256()
    for name, value in sorted(network.module.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()
