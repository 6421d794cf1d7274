"""Where training happens: on an NVIDIA GPU where there is one, else on the processor.

Invariant: what goes in and what comes out is on the CPU, weights, checkpoints, logits and activations alike, so that
nothing outside training knows where it was, and a run that was begun on one goes on on the other. What is computed is
float32 in both: TF32 is off, and there is no autocast. On another machine or the other device the same arguments give
the same numbers within rounding, and other dropout. On the same machine with the same torch they give the same to the
bit; on a GPU as far as torch has kernels for that, for which it is asked while it trains: of a layer that has none it
warns (the backward of max pooling, say).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from alearn.data.ahead import ahead
from alearn.errors import ModelError
from alearn.models.engines import cpu, cuda
from alearn.models.engines.cuda import full
from alearn.models.serving import threads

__all__ = [
    "CPU", "described", "deterministic", "device", "early", "free", "full", "home", "lent", "moved", "pinned", "placed",
    "steady",
]  # fmt: skip

CPU = torch.device("cpu")

ENGINES = frozenset({"auto", "cuda"})
"""The values of `model.engine` by which a GPU trains; who names an engine of the CPU keeps the GPU free."""

T = TypeVar("T")
R = TypeVar("R")
Module = TypeVar("Module", bound=nn.Module)


def device(engine: str = "auto") -> torch.device:
    """Where a loop of this `model.engine` trains."""
    if engine not in ENGINES or not cuda.precisions():
        return CPU
    cuda.exact()
    return torch.device("cuda", torch.cuda.current_device())


def described(where: torch.device) -> str:
    """For a person: the GPU's name, or the processor's and how many threads it trains with."""
    if where.type == "cuda":
        return torch.cuda.get_device_name(where)
    count = threads()
    return f"this CPU, {cpu.name()} ({count} thread{'s' if count > 1 else ''})"


def home(module: nn.Module) -> torch.device:
    """Where a module is."""
    first = next(chain(module.parameters(), module.buffers()), None)
    return CPU if first is None else first.device


@contextmanager
def lent(module: nn.Module, where: torch.device) -> Iterator[None]:
    """The module itself on a device, and back where it was at the end, however it ends.

    Raises:
        ModelError: the device has not the memory for it, or, meanwhile, for what grows with it.
    """
    before = home(module)
    try:
        with _room():
            module.to(where)
            yield
    finally:
        module.to(before)


def placed(module: Module, where: torch.device) -> Module:
    """The module where it is there already, else a copy on the device: others may be using it meanwhile.

    Raises:
        ModelError: the device has not the memory for it.
    """
    if home(module) == where:
        return module
    with _room():
        return deepcopy(module).to(where)


@contextmanager
def _room() -> Iterator[None]:
    """Say what can be done about a memory that is full, where there is nothing to take fewer of."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not full(error):
            raise
        raise ModelError(
            "What is trained must fit into the memory of the GPU, or of this machine. It does not: "
            f"{' '.join(str(error).split())[:200]}. End other programs that use it; or train on the CPU, by "
            "`model.engine: onnxruntime`."
        ) from error


def pinned(given: Sequence[Tensor], where: torch.device) -> tuple[Tensor, ...]:
    """The tensors as they leave for a device without anybody waiting for them; as they are for the CPU."""
    return tuple(given) if where.type == "cpu" else tuple(one.pin_memory() for one in given)


def moved(given: Sequence[Tensor], where: torch.device) -> tuple[Tensor, ...]:
    """The tensors on a device, in the type that they have: pixels travel as bytes."""
    return tuple(one.to(where, non_blocking=True) for one in given)


def early(work: Callable[[T], R], things: Iterable[T], where: torch.device) -> Iterator[R]:
    """`work` over `things`, in order; the next while a GPU computes, which leaves the processor free for it."""
    return map(work, things) if where.type == "cpu" else ahead(work, things, workers=1, waiting=2)


def free(where: torch.device) -> None:
    """Give a GPU's memory back that nothing holds any more; to be called when the error that it was full is gone."""
    if where.type == "cuda":
        torch.cuda.empty_cache()


@contextmanager
def steady(where: torch.device, seed: int) -> Iterator[None]:
    """What is drawn and computed on a device follows from the seed; torch's generators are given back as they were."""
    with torch.random.fork_rng(devices=[where] if where.type == "cuda" else []):
        torch.manual_seed(seed)
        with deterministic(where):
            yield


@contextmanager
def deterministic(where: torch.device) -> Iterator[None]:
    """Ask torch for kernels on the GPU that give the same every time; those of the CPU do."""
    if where.type == "cpu":
        yield
        return
    # Read by cuBLAS, whose kernels are otherwise free to differ between streams.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    asked, warned = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    settings: Any = torch.utils.deterministic
    filled = settings.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    # No result depends on memory that was never written; to fill it would take time.
    settings.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(asked, warn_only=warned)
        settings.fill_uninitialized_memory = filled
