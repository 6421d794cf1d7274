"""Several linear heads that the same labels allow; where they disagree, a label would tell which of them is right.

They stand on cached embeddings, so that a committee costs as much as a few heads, and its votes one matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from alearn.models.head import Head, fit_head

Floats = NDArray[np.float32]

MEMBERS = 8
_BLOCK = 1 << 22
"""Numbers in the votes computed at once."""


@dataclass(frozen=True, eq=False)
class Committee:
    """Heads of the same embeddings and classes."""

    members: Sequence[Head]

    def votes(self, x: Floats, out: Floats | None = None) -> Floats:
        """What each member says, (members, n, C), float32, each row sums to 1.

        `x` (n, D) may be mapped, it is read in blocks, once; so may `out`, which is filled and returned.
        """
        weights = np.concatenate([one.scaled()[0] for one in self.members], axis=1)
        bias = np.concatenate([one.scaled()[1] for one in self.members])
        shape = len(self.members), len(x), len(self.members[0].bias)
        found = np.empty(shape, np.float32) if out is None else out
        size = max(1, _BLOCK // max(len(bias), x.shape[1]))
        for start in range(0, len(x), size):
            logits = (x[start : start + size] @ weights + bias).reshape(-1, shape[0], shape[2])
            logits -= logits.max(axis=2, keepdims=True)
            np.exp(logits, out=logits)
            logits /= logits.sum(axis=2, keepdims=True)
            found[:, start : start + size] = logits.swapaxes(0, 1)
        return found


def fit_committee(
    x: Floats, y: NDArray[np.intp], classes: int, *, members: int = MEMBERS, seed: int, strength: float | None = None
) -> Committee:
    """Heads that are each trained on labels drawn with replacement; arguments as in `fit_head`.

    The strength and the temperature are those of the head of all labels. Source: Breiman, Bagging Predictors, 1996;
    Abe & Mamitsuka, Query Learning Strategies Using Boosting and Bagging, ICML 1998.
    """
    y = np.asarray(y, np.intp)
    whole = fit_head(x, y, classes, seed=seed, strength=strength)
    if not len(y):
        return Committee([whole] * members)
    rng, found = np.random.default_rng([seed, len(y)]), []
    for _ in range(members):
        rows = np.sort(rng.integers(0, len(y), len(y)))
        found.append(
            fit_head(x[rows], y[rows], classes, seed=seed, strength=whole.strength, temperature=whole.temperature)
        )
    return Committee(found)


def drop_out(head: Head, x: Floats, *, members: int = MEMBERS, rate: float = 0.5, seed: int) -> Committee:
    """Copies of a head that each do without some of the features: dropout, one draw per member for all items.

    A feature that is dropped counts as its mean over the labeled embeddings `x` (n, D). `rate` in (0, 1) is the share
    that is dropped. Costs nothing to train. Sources: Gal & Ghahramani, ICML 2016; one draw for all items: Kirsch et
    al., BatchBALD, NeurIPS 2019.
    """
    rng, mean = np.random.default_rng([seed, members]), x.mean(axis=0)
    found = []
    for _ in range(members):
        kept = (rng.random(len(head.weights)) >= rate).astype(np.float32) / np.float32(1 - rate)
        weights = head.weights * kept[:, None]
        found.append(replace(head, weights=weights, bias=head.bias + mean @ (head.weights - weights)))
    return Committee(found)
