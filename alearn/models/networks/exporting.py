"""From a network in torch to the one form that alearn runs: an ONNX graph with its preprocessing inside.

A network that cannot be exported is run on torch instead, every time.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from alearn.errors import ModelError
from alearn.models.graphs import OPSET, Exported, Output
from alearn.models.networks.chain import Embedder, Network, Prefix
from alearn.models.serving import Unfit, open_session

_LOG = logging.getLogger(__name__)

TOLERANCE = 1e-3
"""How far an exported embedding may be from torch's, relative to the largest; measured: 2e-6."""


def export(network: Network, folder: Path, taps: Sequence[str] = (), output: Output = "embedding") -> Exported:
    """Write `trunk.onnx`, and `tokenizer.json` for texts, and check the graph against torch on fixed inputs.

    `taps`: behind which stages, none: the last. `output`: embeddings, those of several taps one beside the other; or
    the activation of one tap, float16, for images only. Where there can be no such graph, or it does not give what
    torch gives, none is left: the engine is torch then.

    Raises:
        ModelError: no such tap, the network gives no embeddings, or there is no activation of one shape.
    """
    module, spans = cut(network, taps, output)
    examples = examples_of(network)
    if network.tokenizer is not None:
        (folder / "tokenizer.json").write_text(network.tokenizer, encoding="utf-8")
    wanted = [_given(module, example, output) for example in examples]
    engine = "onnxruntime"
    try:
        write(module, examples[0], folder / "trunk.onnx", output)
        check(folder / "trunk.onnx", examples, wanted)
    except (ModelError, Unfit) as error:
        _LOG.warning("%s It runs on torch, and models that stand on it cannot be exported.", error)
        (folder / "trunk.onnx").unlink(missing_ok=True)
        engine = "torch"
    return Exported(
        shape=wanted[0].shape[1:],
        inputs=network.inputs,
        weights=weights_digest(network.chain),
        parameters=sum(one.numel() for one in _used(module)),
        licence=network.licence,
        engine=engine,
        taps=network.chain.taps,
        spans=spans,
    )


def cut(network: Network, taps: Sequence[str], output: Output) -> tuple[nn.Module, dict[str, tuple[int, int]]]:
    """The trunk up to the last of these taps, and where each tap's embedding is among the numbers it gives."""
    chain = network.chain
    if output == "activation":
        if network.data != "image" or len(taps) != 1:
            raise ModelError("An activation is cached behind one tap of an image network. Name one tap.")
        chain.place(taps[0])
        return Prefix(chain, taps[0]).eval(), {}
    module = Embedder(chain, taps or [chain.last]).eval()
    example = examples_of(network)[0]
    spans, start = {}, 0
    for tap in module.taps:
        width = _run(Embedder(chain, [tap]), example).shape[1] if len(module.taps) > 1 else 0
        spans[tap] = (start, start + width)
        start += width
    return module, spans if len(module.taps) > 1 else {}


def _used(module: nn.Module) -> list[nn.Parameter]:
    """The parameters of what runs: an Embedder holds the whole chain, of which it may run a part."""
    if not isinstance(module, Embedder):
        return list(module.parameters())
    chain = module.chain
    parts = [
        chain.entry,
        *chain.between(None, module.taps[-1]),
        chain.neck if module.taps[-1] == chain.last else chain.pool,
    ]
    return [one for part in parts for one in part.parameters()]


def _run(module: nn.Module, given: Mapping[str, Tensor]) -> NDArray[Any]:
    with torch.inference_mode():
        return np.asarray(module(*given.values()).numpy())


def _given(module: nn.Module, example: Mapping[str, Tensor], output: Output) -> NDArray[Any]:
    """What the trunk gives for an example, looked at."""
    found = _run(module, example)
    if (found.ndim != 2 and output == "embedding") or not np.isfinite(found).all():
        raise ModelError(
            f"A network must give a row of finite numbers for each item. It gives an array of shape {found.shape}"
            f"{'' if np.isfinite(found).all() else ', not finite'}. Name another network."
        )
    return found


def examples_of(network: Network) -> list[dict[str, Tensor]]:
    """Inputs of two shapes to try a network with."""
    rng = np.random.default_rng(0)
    if network.data == "text":
        return [example_tokens(rng, rows, length) for rows, length in ((3, 12), (2, 30))]
    side = network.inputs["size"]
    shapes = ((rows, side, side, 3) for rows in (2, 3))
    return [{"pixels": torch.from_numpy(rng.integers(0, 256, shape, dtype=np.uint8))} for shape in shapes]


def example_tokens(rng: np.random.Generator, rows: int, length: int) -> dict[str, Tensor]:
    """Token numbers and mask, the first text half as long as the others."""
    mask = np.ones((rows, length), dtype=np.int64)
    mask[0, length // 2 :] = 0
    ids = rng.integers(5, 1000, (rows, length)) * mask
    return {"ids": torch.from_numpy(ids), "mask": torch.from_numpy(mask)}


def write(module: nn.Module, example: Mapping[str, Tensor], path: Path, output: str) -> None:
    """Export; batch norms are folded into the convolutions before them on the way.

    Raises:
        ModelError: torch's exporter cannot.
    """
    axes = {name: {0: "n", 1: "length"} if name in {"ids", "mask"} else {0: "n"} for name in example}
    # The exporter prints what it could not export, graph and all.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                module,
                tuple(example.values()),
                str(path),
                input_names=list(example),
                output_names=[output],
                dynamic_axes={**axes, output: {0: "n"}},
                opset_version=OPSET,
                dynamo=False,
            )
        except (RuntimeError, ValueError, TypeError, torch.onnx.errors.OnnxExporterError) as error:
            raise ModelError(
                f"The network cannot be exported to ONNX: {' '.join(str(error).split())[:300].rstrip('.')}."
            ) from error


def check(
    path: Path, examples: Sequence[Mapping[str, Tensor]], wanted: Sequence[NDArray[Any]], tolerance: float = TOLERANCE
) -> None:
    """Raises ModelError where the graph cannot be run, or differs from torch."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    session = open_session(path)
    for example, right in zip(examples, wanted, strict=True):
        try:
            (found,) = session.run(None, {name: value.numpy() for name, value in example.items()})
        except (state.Fail, state.InvalidArgument, state.RuntimeException, state.NotImplemented) as error:
            raise ModelError(f"The exported network cannot be run: {' '.join(str(error).split())[:300]}.") from error
        same = found.shape == right.shape
        off = np.abs(found.astype(np.float32) - right.astype(np.float32)).max() if same else np.inf
        apart = float(off / max(float(np.abs(right).max()), 1e-6))
        if not apart <= tolerance:
            raise ModelError(
                f"The exported network must give what torch gives within {tolerance}. It is {apart:.2g} off."
            )


def weights_digest(module: nn.Module) -> str:
    """A hash of all weights, their names and their shapes."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()
