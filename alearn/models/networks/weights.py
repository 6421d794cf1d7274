"""Other weights for an architecture: those of a file, or random ones.

Invariant: a file is read as tensors and nothing else; what would run code is refused.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from alearn.errors import ModelError

Weights = Literal["pretrained", "random"] | Path
"""Where an architecture's weights come from: its library, a fixed seed, or a file."""

SEED = 0
"""Of random weights."""

_WRAPPERS = ("state_dict", "model")
"""Keys under which training programs keep the weights beside other things."""


Built = TypeVar("Built")


def seeded(build: Callable[[], Built]) -> Built:
    """What `build` makes, with the same random weights each time; the global generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return build()


def redrawn(module: nn.Module) -> None:
    """Random weights in the place of a network's own, layer by layer, the same each time."""

    def draw() -> None:
        for layer in module.modules():
            if callable(reset := getattr(layer, "reset_parameters", None)):
                reset()

    seeded(draw)


def read_state(path: Path) -> dict[str, Tensor]:
    """The state dict in a .safetensors, .pt or .pth file, unwrapped.

    Raises:
        ModelError: absent, damaged, not only tensors, or no state dict.
    """
    if path.suffix not in {".safetensors", ".pt", ".pth"}:
        raise ModelError(f"Weights must be a .safetensors, .pt or .pth file. Got {path}. Correct `model.name`.")
    if not path.is_file():
        raise ModelError(f"{path} must be a file of weights. There is no such file. Correct `model.name`.")
    return _unwrapped(path, _read(path))


def _read(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} must hold tensors only. It is damaged, or holds pickled Python code, which is never run: "
            f"{_short(error)}. Save `network.state_dict()`, best as .safetensors, and name that file."
        ) from error
    except (OSError, EOFError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be read: {_short(error)}. Copy it again, or name another file.") from error


def _unwrapped(path: Path, found: Any) -> dict[str, Tensor]:
    """The weights themselves; without the prefix that torch's data parallelism gives their names."""
    for key in _WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not (isinstance(found, Mapping) and found and all(isinstance(one, Tensor) for one in found.values())):
        raise ModelError(
            f"{path} must hold a state dict, names with tensors, maybe under {' or '.join(_WRAPPERS)}. "
            f"Got {type(found).__name__}. Save `network.state_dict()` and name that file."
        )
    return {str(name).removeprefix("module."): value for name, value in found.items()}


def fill(module: nn.Module, state: Mapping[str, Tensor], source: str, spare: Sequence[str]) -> None:
    """Load weights into a network whose classifier was cut off; what `spare` begins is the classifier's, and dropped.

    Raises:
        ModelError: a weight is missing, unknown or of another shape.
    """
    mine = module.state_dict()
    given = {name: value for name, value in state.items() if not _under(name, spare)}
    wrong = [
        *(f"{name} is missing" for name in mine if name not in given and not name.endswith("num_batches_tracked")),
        *(f"{name} is unknown" for name in given if name not in mine),
        *(
            f"{name} must have the shape {tuple(mine[name].shape)}, and has {tuple(value.shape)}"
            for name, value in given.items()
            if name in mine and mine[name].shape != value.shape
        ),
    ]
    if wrong:
        rest = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ModelError(
            f"{source}: these are not its weights. {'; '.join(wrong[:3])}{rest}. Name the file's own architecture."
        )
    module.load_state_dict(given, strict=False)


def _under(name: str, prefixes: Sequence[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")
