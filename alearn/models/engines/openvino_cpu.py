"""OpenVINO: a graph on the CPU in float32, or in bfloat16 or float16 where the processor has instructions for it.

The precision is always said: left to itself, OpenVINO computes in bfloat16 where it can, and gives other numbers there.
"""

from __future__ import annotations

import importlib.metadata
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.errors import ModelError
from alearn.models.engines.engine import Engine, Feed, Precision, lacks_memory
from alearn.models.serving import threads

PACKAGE = "openvino"

_CAPABILITIES: dict[str, Precision] = {"FP32": "float32", "BF16": "bfloat16", "FP16": "float16"}
_HINTS: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}


def precisions() -> tuple[Precision, ...]:
    """What it can compute in on this machine."""
    able = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return tuple(precision for name, precision in _CAPABILITIES.items() if name in able)


def open_graph(path: Path, precision: Precision) -> Engine:
    """An engine for a graph of one output; raises ModelError: OpenVINO cannot run it."""
    workers = threads()
    how = {
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "NUM_STREAMS": str(workers),
        "INFERENCE_NUM_THREADS": str(workers),
        # The readers, who decode images beside it, take turns with it on the same cores.
        "ENABLE_CPU_PINNING": False,
    }
    try:
        network = _core().compile_model(str(path), "CPU", how)
    except RuntimeError as error:
        raise ModelError(
            f"{path} cannot be run by OpenVINO: {' '.join(str(error).split())[:300]}. Set `model.engine: onnxruntime`."
        ) from error
    requests = threading.local()

    def once(feed: Feed) -> NDArray[Any]:
        if not hasattr(requests, "own"):
            requests.own = network.create_infer_request()
        try:
            # Not `infer`: that one swallows the error where memory does not suffice, and gives an older output again.
            requests.own.start_async(dict(feed), share_inputs=True)
            requests.own.wait()
        except RuntimeError as error:
            del requests.own
            if lacks_memory(error):
                raise MemoryError(" ".join(str(error).split())) from error
            raise
        return np.array(requests.own.get_output_tensor(0).data)

    return Engine(PACKAGE, importlib.metadata.version(PACKAGE), precision, once, workers=workers)


_ONCE = threading.Lock()


def _core() -> Any:
    with _ONCE:
        return _opened()


@cache
def _opened() -> Any:
    import openvino

    # Its bindings look NumPy up at their first use of a type: two threads that do so at once wait for each other.
    openvino.Type.f32.to_dtype()
    return openvino.Core()
