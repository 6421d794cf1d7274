"""What a module that is only asked says of items, on the device where that goes fastest.

Invariant: answers come in the order of the rows and on the CPU; how many items are asked about at once changes only
rounding.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from alearn.errors import ModelError
from alearn.models.training import device
from alearn.models.training.inputs import Inputs, Rows

AT_ONCE = 256
"""Items that a GPU is asked about at once: fewer would leave it waiting for the processor."""

_LOG = logging.getLogger(__name__)


def answers(
    module: nn.Module,
    inputs: Inputs,
    rows: Rows,
    views: Rows | None = None,
    *,
    where: torch.device = device.CPU,
    batch: int = 64,
) -> Iterator[tuple[Tensor, ...]]:
    """What `module(*inputs.take(rows, views))` gives, a batch at a time; one tensor counts as a tuple of one.

    The module is asked as it is, in training mode or not. `batch` is for the CPU.

    Raises:
        ModelError: not even one item fits into the device's memory.
    """
    asked = device.placed(module, where)
    together = batch if where.type == "cpu" else AT_ONCE
    parts = [slice(at, at + together) for at in range(0, len(rows), together)]

    def taken(part: slice) -> tuple[Tensor, ...]:
        return device.pinned(inputs.take(rows[part], None if views is None else views[part]), where)

    for given in device.early(taken, parts, where):
        at = 0
        while at < len(given[0]):
            some = tuple(one[at : at + together] for one in given)
            found = _asked(asked, some, where)
            if found is None:
                together = _fewer(len(some[0]), where)
            else:
                at += len(some[0])
                yield found


def _asked(module: nn.Module, given: tuple[Tensor, ...], where: torch.device) -> tuple[Tensor, ...] | None:
    """The answers; None: the memory was full."""
    try:
        with torch.inference_mode():
            found = module(*device.moved(given, where))
            return tuple(one.cpu() for one in (found if isinstance(found, tuple) else (found,)))
    except (MemoryError, RuntimeError) as error:
        if not device.full(error):
            raise
    return None


def _fewer(count: int, where: torch.device) -> int:
    """Half as many, with the memory cleared."""
    if count == 1:
        raise ModelError(
            "A network must have the memory to compute one item. It has not. Choose a smaller `model.size`, or another "
            "network."
        )
    device.free(where)
    half = math.ceil(count / 2)
    _LOG.warning("There is no memory for %d items at once; it goes on with %d.", count, half)
    return half
