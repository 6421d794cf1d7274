"""ONNX Runtime: a graph on the CPU in float32, and the engine that every other is measured against."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from alearn.errors import ModelError
from alearn.models.engines.engine import Engine, Feed, Precision, lacks_memory
from alearn.models.serving import Unfit, open_session, threads

PACKAGE = "onnxruntime"


def precisions() -> tuple[Precision, ...]:
    """What it can compute in on this machine."""
    return ("float32",)


def open_graph(path: Path, precision: Precision) -> Engine:
    """An engine for a graph of one output; raises ModelError: the file is no graph."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    try:
        session = open_session(path, cores=1)
    except Unfit as error:
        raise ModelError(str(error)) from error

    def once(feed: Feed) -> NDArray[Any]:
        try:
            (found,) = session.run(None, dict(feed))
        except (state.RuntimeException, state.Fail) as error:
            if lacks_memory(error):
                raise MemoryError(" ".join(str(error).split())) from error
            raise
        return found  # type: ignore[no-any-return]

    return Engine(PACKAGE, importlib.metadata.version(PACKAGE), precision, once, workers=threads())
