"""A network taken apart into what it does one after the other, by following a picture through it.

As far as each part takes what the part before gave, a network is a plain sequence. A part is opened where it is a
sequence itself, a row of blocks for instance; what has a shortcut inside stays whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from alearn.models.networks.bridges import bridge

Pieces = list[tuple[str, nn.Module]]
"""Named parts; each takes what the one before gives."""


@dataclass(frozen=True, eq=False)
class _Seen:
    """A tensor at one moment: what is done to it in place makes another of it."""

    tensor: Tensor
    version: int
    value: Tensor

    @classmethod
    def of(cls, tensor: Tensor) -> _Seen:
        return cls(tensor, tensor._version, tensor.clone())

    def is_(self, other: _Seen) -> bool:
        """Whether it is the same tensor, unchanged."""
        return self.tensor is other.tensor and self.version == other.version


@dataclass(eq=False)
class _Call:
    """One run of a part; `gave` is None until it is done, or where it took or gave more than one tensor."""

    name: str
    module: nn.Module
    given: _Seen | None
    gave: _Seen | None = None
    calls: list[_Call] = field(default_factory=list)


def followed(module: nn.Module, picture: Tensor) -> Pieces | None:
    """The pieces of a network, from the picture to what it gives; None where it is no sequence of at least two."""
    root = _recorded(module, picture)
    found = _between(root.calls, root.given, root.gave)
    return found if found and len(found) > 1 else None


def _between(calls: Sequence[_Call], start: _Seen | None, end: _Seen | None) -> Pieces | None:
    """The pieces that lead from one tensor to another; None where they do not."""
    pieces: Pieces = []
    at = start
    for call in calls:
        joint = _joint(at, call.given, call.name)
        if joint is None or call.gave is None:
            return None
        inner = _between(call.calls, call.given, call.gave) if call.calls else None
        pieces += joint + (inner or [(call.name, call.module)])
        at = call.gave
    joint = _joint(at, end, "end")
    return None if joint is None else pieces + joint


def _joint(at: _Seen | None, to: _Seen | None, name: str) -> Pieces | None:
    """What is between a tensor and the next one: nothing, or a bridge; None where it is not known."""
    if at is None or to is None:
        return None
    if at.is_(to):
        return []
    found = bridge(at.value, to.value)
    return None if found is None else [(f"{name}-bridge", found)]


def _recorded(module: nn.Module, picture: Tensor) -> _Call:
    """The calls of all parts that can be pieces, in their order."""
    root = _Call("", module, None)
    stack = [root]

    def before(name: str) -> Callable[..., None]:
        def enter(part: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            plain = len(args) == 1 and isinstance(args[0], Tensor) and all(one is None for one in kwargs.values())
            call = root if part is module else _Call(name, part, None)
            call.given = _Seen.of(args[0]) if plain else None
            if call is not root:
                stack[-1].calls.append(call)
                stack.append(call)

        return enter

    def after(part: nn.Module, _: tuple[Any, ...], result: object) -> None:
        call = root if part is module else stack.pop()
        call.gave = _Seen.of(result) if call.given is not None and isinstance(result, Tensor) else None

    hooks = []
    for name, part in _openable(module):
        hooks.append(part.register_forward_pre_hook(before(name), with_kwargs=True))
        hooks.append(part.register_forward_hook(after))
    try:
        with torch.no_grad():
            module(picture)
    finally:
        for hook in hooks:
            hook.remove()
    return root


def _openable(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The network, its parts, and the parts of those that only hold others, each with its path."""
    yield "", module
    for name, part in module.named_children():
        if type(part) is nn.ModuleList or _holds(part):
            yield from ((f"{name}.{path}".rstrip("."), inner) for path, inner in _openable(part))
        else:
            yield name, part


def _holds(part: nn.Module) -> bool:
    """Whether it may be a row of blocks: torchvision and timm name those that are no `Sequential` so."""
    return type(part) is nn.Sequential or type(part).__name__.endswith("Stage")
