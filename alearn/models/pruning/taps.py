"""Which blocks at a network's end a linear head does as well without: the earliest tap whose head is as good.

Invariant: no head is judged on a label that it saw, nor on one of a group of which it saw another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from alearn.core.metrics import METRICS
from alearn.models.folds import Groups
from alearn.models.networks import Network
from alearn.models.networks.exporting import cut
from alearn.models.pruning.gate import Comparison, Gate, Verdict, shortest_tap
from alearn.models.pruning.running import outputs
from alearn.models.training import device
from alearn.models.training.inputs import Inputs
from alearn.models.training.validation import lesson

FOLDS = 5

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Probed:
    """A tap, how a head behind it compares with one behind the whole network, and whether it may take its place."""

    tap: str
    found: Comparison
    verdict: Verdict


def embedded(
    network: Network, taps: Sequence[str], labeled: Inputs, where: torch.device = device.CPU
) -> dict[str, Floats]:
    """{tap: the embeddings (n, D) of the items behind it}, in the order of the network, which runs once for all taps.

    Raises:
        ModelError: there is no such tap, or the network cannot be exported.
    """
    module, spans = cut(network, taps, "embedding")
    x = outputs(module, labeled, np.arange(len(labeled)), where)
    return {tap: x[:, start:stop] for tap, (start, stop) in (spans or {taps[0]: (0, x.shape[1])}).items()}


def probe(
    behind: Mapping[str, Floats],
    y: NDArray[np.intp],
    classes: int,
    gate: Gate,
    *,
    groups: Groups = None,
    strength: float | None = None,
    seed: int,
) -> Probed:
    """The shortest tap, by cross-validated linear heads; or, where none is short and good enough, the best of them.

    `behind` are the embeddings (n, D) of the labels `y` (n,), class numbers, behind two taps or more, in the order of
    the network; the last is the whole one, and no candidate. `strength` is that of the heads, as in `fit_head`.
    """
    proba = {
        tap: lesson(x, y, classes, groups=groups, folds=FOLDS, seed=seed, strength=strength).linear()
        for tap, x in behind.items()
    }
    rule = METRICS[gate.metric]
    sign = 1 if rule.higher_is_better else -1
    scores = {tap: sign * rule.compute(y, one, gate.positive) for tap, one in proba.items()}
    *earlier, last = scores
    tap = shortest_tap(scores, gate.tolerance)
    if tap is None or tap == last:
        tap = max(earlier, key=lambda one: -math.inf if math.isnan(scores[one]) else scores[one])
    return Probed(tap, *gate.judge(y, proba[last], proba[tap], groups))
