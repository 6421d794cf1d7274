"""A thinned network learns to answer as the unpruned one does, which needs no labels: the pool teaches it, too.

Two things are imitated: the probabilities of the classes, which two classes and few items say little with, and where
an item lies among others: its likeness to the embeddings of some of them, the anchors. Both are the targets of one
cross-entropy. Invariant: teacher and student see the same view of an item.
Sources: Hinton et al., Distilling the Knowledge in a Neural Network, 2015; Fang et al., SEED, ICLR 2021 (likeness to
anchors); Beyer et al., Knowledge Distillation: A Good Teacher Is Patient and Consistent, CVPR 2022 (the same view).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from alearn.models.pruning.running import outputs
from alearn.models.training.inputs import Inputs, Rows
from alearn.models.training.tail import Tail

ANCHORS = 64
CLASS_SHARE = 0.5
"""The share of the loss that is about the classes; the rest is about the anchors."""
SPREAD = 2.0
"""The standard deviation of an item's likenesses, as logits: a few anchors are likely, the others not impossible."""


class Gallery:
    """Every view of every item of several inputs, as items of their own: row `view * items + item`."""

    views = 1

    def __init__(self, *inputs: Inputs) -> None:
        self._inputs = inputs
        self._ends = np.cumsum([len(one) for one in inputs])
        self.items = int(self._ends[-1])
        self._views = min(one.views for one in inputs)

    def __len__(self) -> int:
        return self.items * self._views

    def rows_of(self, items: Rows) -> Rows:
        """The rows of all views of these items."""
        return np.concatenate([items + view * self.items for view in range(self._views)])

    def take(self, rows: Rows, views: Rows | None = None) -> tuple[Tensor, ...]:
        """As `Inputs.take`; there is one view of each row."""
        items, seen = rows % self.items, rows // self.items
        part = np.searchsorted(self._ends, items, side="right")
        first = self._ends - [len(one) for one in self._inputs]
        taken = [
            self._inputs[one].take(items[part == one] - first[one], seen[part == one]) for one in np.unique(part)
        ]
        back = np.argsort(np.argsort(part, kind="stable"), kind="stable")
        return tuple(torch.cat(of_parts)[back] for of_parts in zip(*taken, strict=True))


class Imitation(nn.Module):
    """The head while a network imitates: embeddings -> log probabilities (n, C + anchors), whose exponentials sum to 1.

    The first C columns are those of the classes, scaled by CLASS_SHARE; the others those of the anchors.
    """

    def __init__(self, classes: nn.Linear, anchors: nn.Linear) -> None:
        super().__init__()
        self.classes, self.anchors = classes, anchors

    def forward(self, embedding: Tensor) -> Tensor:
        """(n, D) -> (n, C + anchors)."""
        return torch.cat(
            [
                self.classes(embedding).log_softmax(1) + math.log(CLASS_SHARE),
                self.anchors(embedding).log_softmax(1) + math.log(1 - CLASS_SHARE),
            ],
            dim=1,
        )


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a teacher says of all rows of a gallery, of which `rows` may be learned from.

    `logits` (N, C + anchors), float32, are calibrated; `anchors` is what gives the last of them.
    """

    gallery: Gallery
    rows: Rows
    logits: NDArray[np.float32]
    anchors: nn.Linear

    @property
    def targets(self) -> NDArray[np.float32]:
        """The probabilities (N, C + anchors) that `Imitation` learns, rows sum to 1."""
        parts = torch.from_numpy(self.logits).split([self.logits.shape[1] - ANCHORS, ANCHORS], dim=1)
        shares = (CLASS_SHARE, 1 - CLASS_SHARE)
        return torch.cat([share * part.softmax(1) for share, part in zip(shares, parts, strict=True)], dim=1).numpy()


def lesson(teacher: Tail, gallery: Gallery, items: Rows, seed: int) -> Lesson:
    """What a whole tail teaches with these items of a gallery.

    Raises:
        ModelError: the tail cannot be exported.
    """
    rows = gallery.rows_of(items)
    with torch.no_grad():
        embeddings = outputs(_Embedding(teacher), gallery, np.arange(len(gallery)))
        anchors = _likeness(embeddings[rows], np.random.default_rng(seed).choice(len(rows), ANCHORS))
        given = torch.from_numpy(embeddings)
        logits = torch.cat([teacher.head(given) / teacher.temperature, anchors(given)], dim=1)
    return Lesson(gallery, rows, logits.numpy(), anchors)


class _Embedding(nn.Module):
    def __init__(self, tail: Tail) -> None:
        super().__init__()
        self.tail = tail

    def forward(self, pixels: Tensor) -> Tensor:
        return self.tail.embedding(pixels)


def _likeness(embeddings: NDArray[np.float32], of: Rows) -> nn.Linear:
    """A layer that gives the likeness of embeddings (n, D) to those of the rows `of`, as logits.

    It is the product of standardised embeddings, scaled to SPREAD.
    """
    mean, scale = embeddings.mean(0), np.maximum(embeddings.std(0), 1e-3)
    weights = (embeddings[of] - mean) / scale**2
    logits = (embeddings - mean) @ weights.T
    weights *= SPREAD / max(float(logits.std(axis=1).mean()), 1e-6)
    layer = nn.Linear(embeddings.shape[1], len(of))
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights.astype(np.float32)))
        layer.bias.copy_(torch.from_numpy(-(weights @ mean).astype(np.float32)))
    return layer
