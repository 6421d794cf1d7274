"""Eager PyTorch on the CPU: several times slower than a graph, for networks that cannot be exported as one."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from alearn.models.engines import cpu
from alearn.models.engines.engine import Engine, Feed, Precision, lacks_memory
from alearn.models.serving import threads

if TYPE_CHECKING:
    from torch import nn

PACKAGE = "torch"

_BATCH = 64


def precisions() -> tuple[Precision, ...]:
    """What it can compute in on this machine; bfloat16 without instructions for it would be slower than float32."""
    return ("float32", "bfloat16") if cpu.flags() & cpu.BFLOAT16 else ("float32",)


def open_module(module: nn.Module, precision: Precision, dtype: str) -> Engine:
    """An engine for a module of one output, which is given as `dtype`: float32 or float16."""
    import torch

    torch.set_num_threads(threads())
    module.eval()

    def once(feed: Feed) -> NDArray[Any]:
        try:
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                found = module(*(torch.from_numpy(value) for value in feed.values()))
            return found.to(getattr(torch, dtype)).numpy()  # type: ignore[no-any-return]
        except RuntimeError as error:
            if lacks_memory(error):
                raise MemoryError(str(error)) from error
            raise

    return Engine(PACKAGE, importlib.metadata.version(PACKAGE), precision, once, piece=_BATCH)
