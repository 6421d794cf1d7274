"""What a tail is trained on, taken a batch at a time: stored activations, pictures, or texts.

Invariant: row i is the same item whatever view of it is taken, and taking the same rows twice gives the same tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alearn.models.serving import feed

Rows = NDArray[np.intp]

VIEWS: tuple[tuple[int, ...], ...] = ((), (2,), (1,), (1, 2))
"""The axes of pictures (n, height, width, 3) that are flipped in each view: none; mirrored; upside down; both."""


class Inputs(Protocol):
    """Items that a module takes: `module(*inputs.take(rows))`.

    `views` counts the ways in which an item can be seen; view 0 is the item as it is, and the one it is scored by.
    """

    views: int

    def __len__(self) -> int: ...

    def take(self, rows: Rows, views: Rows | None = None) -> tuple[Tensor, ...]:
        """The tensors of these items, their first axis the rows; `views` (rows,) says how each is seen, none: as is."""
        ...


class Stored:
    """Activations of images, kept in one array or more: the activations of view 0, then of view 1, …

    Each is (n, …), any float type, may be memory-mapped; only the rows of a batch are read, as float32.
    """

    def __init__(self, *views: NDArray[np.floating[Any]]) -> None:
        self._arrays = views
        self.views = len(views)

    def __len__(self) -> int:
        return len(self._arrays[0])

    def take(self, rows: Rows, views: Rows | None = None) -> tuple[Tensor]:
        """One tensor (rows, …), float32."""
        found = np.array(self._arrays[0][rows])
        if views is not None:
            for view in np.unique(views[views > 0]):
                found[views == view] = self._arrays[view][rows[views == view]]
        tensor = torch.from_numpy(found).float()
        return (tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor,)


class Pictures:
    """Prepared images (n, size, size, 3), uint8, may be memory-mapped; in the first `views` of VIEWS."""

    def __init__(self, pixels: NDArray[np.uint8], views: int = 1) -> None:
        self._pixels = pixels
        self.views = views

    def __len__(self) -> int:
        return len(self._pixels)

    def take(self, rows: Rows, views: Rows | None = None) -> tuple[Tensor]:
        """One tensor (rows, size, size, 3), uint8."""
        found = np.array(self._pixels[rows])
        if views is not None:
            for view in np.unique(views[views > 0]):
                found[views == view] = np.flip(found[views == view], VIEWS[view])
        return (torch.from_numpy(found),)


class Texts:
    """The token numbers of texts, each (length,), int64."""

    views = 1

    def __init__(self, tokens: Sequence[NDArray[np.int64]]) -> None:
        self._tokens = tokens

    def __len__(self) -> int:
        return len(self._tokens)

    def take(self, rows: Rows, views: Rows | None = None) -> tuple[Tensor, Tensor]:
        """Numbers and mask (rows, length of the longest), int64."""
        given = feed("text", [self._tokens[row] for row in rows])
        return torch.from_numpy(given["ids"]), torch.from_numpy(given["mask"])


class Hidden:
    """The hidden states of texts behind an encoder layer, each (length, dim), any float type."""

    views = 1

    def __init__(self, states: Sequence[NDArray[np.floating[Any]]]) -> None:
        self._states = states

    def __len__(self) -> int:
        return len(self._states)

    def take(self, rows: Rows, views: Rows | None = None) -> tuple[Tensor, Tensor]:
        """States (rows, length of the longest, dim), float32, zero behind a text's end, and mask, int64."""
        taken = [torch.from_numpy(self._states[row]).float() for row in rows]
        mask = [torch.ones(len(one), dtype=torch.int64) for one in taken]
        pad = torch.nn.utils.rnn.pad_sequence
        return pad(taken, batch_first=True), pad(mask, batch_first=True)
