"""PyTorch on an NVIDIA GPU: channels_last, large batches, and one piece under way to the GPU while another is computed.

Two threads each have a stream of their own: they copy from pinned memory without waiting, so that one's copies and the
other's network run at the same time. Float32 is float32: TF32, which convolutions use by default, is off.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import sys
import threading
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from alearn.models.engines.engine import Engine, Feed, Precision, lacks_memory

if TYPE_CHECKING:
    from torch import Tensor, nn

PACKAGE = "torch"

_PIECE = 256
_STREAMS = 2


def precisions() -> tuple[Precision, ...]:
    """What it can compute in on this machine; nothing where there is no GPU, which is told without importing torch."""
    if not driver():
        return ()
    import torch

    if not torch.cuda.is_available():
        return ()
    return ("float32", "bfloat16", "float16") if torch.cuda.is_bf16_supported() else ("float32", "float16")


def driver() -> bool:
    """Whether NVIDIA's driver is installed."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def exact() -> None:
    """Turn TF32 off, in which convolutions would round float32 to ten bits, and products of matrices if told to.

    For the whole process, and once: a flag that each thread set and put back would be put back under the other.
    """
    import torch

    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def full(error: BaseException) -> bool:
    """Whether an error says that a memory, the GPU's or the processor's, did not suffice.

    NVIDIA's libraries have words of their own; and without room for its workspace no way to convolve is found at all.
    """
    signs = ("alloc_failed", "unable to find an engine to execute")
    return lacks_memory(error) or (isinstance(error, RuntimeError) and any(one in str(error).lower() for one in signs))


def open_module(module: nn.Module, precision: Precision, dtype: str) -> Engine:
    """An engine for a module of one output, which is given as `dtype`: float32 or float16."""
    import torch

    exact()
    module = module.eval().to("cuda").to(memory_format=torch.channels_last)
    torch.cuda.synchronize()
    streams = threading.local()

    def once(feed: Feed) -> NDArray[Any]:
        if not hasattr(streams, "own"):
            streams.own = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        try:
            with torch.cuda.stream(streams.own):
                found = _computed(module, feed, precision).to(getattr(torch, dtype)).cpu()
            return found.numpy()
        except RuntimeError as error:
            if full(error):
                torch.cuda.empty_cache()
                raise MemoryError(str(error)) from error
            raise

    return Engine(
        "cuda",
        importlib.metadata.version(PACKAGE),
        precision,
        once,
        device=torch.cuda.get_device_name(),
        workers=_STREAMS,
        piece=_PIECE,
    )


def _computed(module: nn.Module, feed: Feed, precision: Precision) -> Tensor:
    """The output, on the GPU; images are uint8 on their way, and channels_last as they come."""
    import torch

    half = torch.float16 if precision == "float16" else torch.bfloat16
    with torch.inference_mode(), torch.autocast("cuda", half, enabled=precision != "float32"):
        given = [torch.from_numpy(value).pin_memory().to("cuda", non_blocking=True) for value in feed.values()]
        found: Tensor = module(*given)
        return found
