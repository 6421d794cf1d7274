"""ONNX graphs that are put together without torch: the grey pixels' trunk, and a head behind any trunk.

Every trunk takes `pixels` (n, size, size, channels) uint8, or `ids` and `mask` (n, length) int64, and gives `embedding`
(n, dim) float32. Normalisation is part of the graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

OPSET = 17


Output = Literal["embedding", "activation"]
"""What a trunk gives of an item: a row of float32, or the activation behind its tap as it is, float16."""


@dataclass(frozen=True)
class Exported:
    """What an export wrote: the shape of what an item becomes, how items are prepared, a hash of the weights.

    `parameters` counts what runs. `engine` is what the trunk runs on: torch where there is no graph, because the
    network cannot be exported. `taps` are all that the network has; `spans` says where the embedding of each is where
    several were asked for.
    """

    shape: tuple[int, ...]
    inputs: Mapping[str, Any]
    weights: str
    parameters: int
    licence: str | None = None
    engine: str = "onnxruntime"
    taps: tuple[str, ...] = ("network",)
    spans: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def image_inputs(size: int, mode: str = "RGB", interpolation: str = "bicubic") -> dict[str, Any]:
    """How `serving.pixels` prepares an image."""
    return {"kind": "image", "size": size, "mode": mode, "interpolation": interpolation}


def export_pixels(folder: Path, size: int) -> Exported:
    """Write the trunk whose embedding is the image's grey pixels in [0, 1], row by row."""
    import onnx
    from onnx import TensorProto, helper

    dim = size * size
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["pixels"], ["real"], to=TensorProto.FLOAT),
            helper.make_node("Flatten", ["real"], ["flat"], axis=1),
            helper.make_node("Div", ["flat", "white"], ["embedding"]),
        ],
        "pixels",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", size, size, 1])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", dim])],
        [helper.make_tensor("white", TensorProto.FLOAT, [], [255.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.save(model, str(folder / "trunk.onnx"))
    return Exported((dim,), image_inputs(size, "L", "bilinear"), "pixels-1", 0)


def add_head(trunk: Path, weights: NDArray[np.float32], bias: NDArray[np.float32], target: Path) -> None:
    """Write a trunk's graph with softmax(embedding @ weights + bias) behind it as its one output, `probability`.

    `weights` has shape (dim, C), `bias` (C,), both float32.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(trunk))
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(weights, "head.weights"))
    graph.initializer.append(numpy_helper.from_array(bias, "head.bias"))
    graph.node.append(helper.make_node("Gemm", ["embedding", "head.weights", "head.bias"], ["head.logits"]))
    graph.node.append(helper.make_node("Softmax", ["head.logits"], ["probability"], axis=-1))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["n", len(bias)]))
    onnx.save(model, str(target))
