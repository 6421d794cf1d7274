"""Opens a network on an engine: the one that is named, or the fastest of those that can compute as is wanted."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from alearn.errors import ModelError
from alearn.models.engines import calibration, cpu, cuda, onnxruntime_cpu, openvino_cpu, torch_cpu
from alearn.models.engines.engine import Engine, Feed, Precision

if TYPE_CHECKING:
    from torch import nn

ENGINES: Mapping[str, ModuleType] = {
    "cuda": cuda,
    "openvino": openvino_cpu,
    "onnxruntime": onnxruntime_cpu,
    "torch": torch_cpu,
}
"""By name; of equally fast ones, the first is taken."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Runnable:
    """What an engine can open: an ONNX file, what loads the same network as a module of torch, or both.

    `dtype` is what it gives: float32 or float16.
    """

    graph: Path | None = None
    module: Callable[[], nn.Module] | None = None
    dtype: str = "float32"

    def suits(self, name: str) -> bool:
        """Whether there is what an engine needs."""
        return (self.module if name in {"cuda", "torch"} else self.graph) is not None

    def open(self, name: str, precision: Precision) -> Engine:
        """On the engine of that name; raises ModelError: it cannot be."""
        kind = ENGINES[name]
        opened: Engine
        if name in {"cuda", "torch"}:
            assert self.module is not None
            opened = kind.open_module(self.module(), precision, self.dtype)
        else:
            opened = kind.open_graph(self.graph, precision)
        return opened


def available(precision: Precision) -> tuple[str, ...]:
    """The names of the engines that are installed and can compute in a precision on this machine."""
    return tuple(name for name in _installed() if precision in ENGINES[name].precisions())


def open_graph(
    path: Path, *, engine: str = "auto", precision: Precision = "float32", example: Feed | None = None
) -> Engine:
    """An engine for an ONNX file of one output; `example` and errors as in `open_network`."""
    return open_network(Runnable(path), engine=engine, precision=precision, example=example, folder=path.parent)


def open_network(
    network: Runnable, *, engine: str, precision: Precision, example: Feed | None = None, folder: Path
) -> Engine:
    """A network on the engine that is named, or on the fastest (`auto`).

    What is the fastest is measured once, on `example`, a few items, and kept in `folder`; without an example it is the
    first of `available` that can open it.

    Raises:
        ModelError: no such engine, it is not installed or cannot run the network, or nothing here can compute in the
            precision that is wanted; the text says what is possible.
    """
    if engine != "auto":
        return _named(network, engine, precision)
    names = [name for name in _installed() if network.suits(name)]
    rivals = [name for name in names if name != "torch" or network.graph is None]
    choice = calibration.Choice(folder, {name: _version(name) for name in rivals}, precision)
    kept = choice.recalled() if example is not None else None
    if kept is not None:
        return network.open(kept, precision)
    able = [name for name in names if precision in ENGINES[name].precisions()]
    if not able:
        raise ModelError(_impossible(names, precision))
    opened = _opened(network, able, precision, first=example is None)
    if len(opened) == 1 or example is None:
        return opened[0]
    rates = calibration.measured(opened, example)
    name = choice.keep(calibration.fastest(rates), rates)
    _LOG.info("%s: %s is used, of %s items per second.", folder.name, name, rates)
    return next((one for one in opened if one.name == name), opened[0])


def _named(network: Runnable, name: str, precision: Precision) -> Engine:
    if name not in ENGINES:
        raise ModelError(f"`model.engine` must be one of auto, {', '.join(ENGINES)}. Got {name!r}. Use auto.")
    if name not in _installed():
        raise ModelError(
            f"`model.engine` must be installed, and its hardware be there. {name} is not. {_remedy(name)} "
            "Or use `model.engine: auto`."
        )
    if not network.suits(name):
        raise ModelError(
            f"{name} runs {'networks of torch' if name in {'cuda', 'torch'} else 'exported graphs'}. This one is none. "
            "Use `model.engine: auto`."
        )
    if precision not in ENGINES[name].precisions():
        raise ModelError(_impossible([name], precision))
    return network.open(name, precision)


def _opened(network: Runnable, names: Sequence[str], precision: Precision, first: bool) -> list[Engine]:
    """On every engine that can, or the first; torch on the CPU, which is the slowest, only where no other can."""
    opened: list[Engine] = []
    why = ""
    for name in names:
        if opened and (first or name == "torch"):
            break
        try:
            opened.append(network.open(name, precision))
        except ModelError as error:
            _LOG.warning("%s", error)
            why = str(error)
    if not opened:
        raise ModelError(why)
    return opened


def _impossible(names: Iterable[str], precision: Precision) -> str:
    """That none of these engines can compute in a precision, why, and in which they can."""
    able = "; ".join(f"{name}: {', '.join(ENGINES[name].precisions()) or 'nothing'}" for name in names)
    why = ""
    if precision == "bfloat16" and not cpu.flags() & cpu.BFLOAT16:
        why = f" This processor, {cpu.name()}, has no instructions for bfloat16."
    elif "openvino" not in _installed():
        why = f" OpenVINO may be able to. {_remedy('openvino')}"
    return (
        f"`model.precision` must be one that `model.engine` can compute in here ({able}). Got {precision}.{why} "
        "Remove the line for the default, float32."
    )


def _remedy(name: str) -> str:
    """How an engine comes to be there."""
    if name == "cuda":
        return "It needs an NVIDIA GPU with its driver, and a build of torch for it."
    return "Run `pip install 'alearn[openvino]'`." if name == "openvino" else f"Run `pip install {name}`."


def _version(name: str) -> str:
    return importlib.metadata.version(ENGINES[name].PACKAGE)


def _installed() -> list[str]:
    """The names of the engines whose packages, and drivers, are there; nothing is imported to tell."""
    found = [name for name, kind in ENGINES.items() if importlib.util.find_spec(kind.PACKAGE) is not None]
    return [name for name in found if name != "cuda" or cuda.driver()]
