"""A lower bound that holds at every size of a growing hold-out at once, for one model.

Mixture of all better shares against each possible one: the bound can be looked at after every label without spending
anything. It holds for a model that stays the same; when the model changes between looks, use `looks`.

Invariant: in [0, share]; for independent items the true share is ever below it with probability at most 1 - confidence.

Source: Robbins 1970; Howard et al., Time-uniform, nonparametric, nonasymptotic confidence sequences, 2021;
Waudby-Smith & Ramdas, Estimating Means of Bounded Random Variables by Betting, 2024.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

STEPS = 40
"""Halvings of the interval in which the bound is looked for."""


def always_valid_bound(right: ArrayLike, n: ArrayLike, *, confidence: float = 0.95) -> NDArray[np.float64]:
    """The lower bound of shares `right` / `n` (any shapes that go together) at one-sided `confidence`; [0, 1].

    0 where nothing was right, or seen.
    """
    hits, total = np.broadcast_arrays(np.asarray(right, dtype=np.float64), np.asarray(n, dtype=np.float64))
    low, high = np.zeros(hits.shape), np.where(total > 0, hits / np.maximum(total, 1), 0.0)
    for _ in range(STEPS):
        middle = (low + high) / 2
        ruled_out = _log_evidence(middle, hits, total) >= -math.log(1 - confidence)
        low, high = np.where(ruled_out, middle, low), np.where(ruled_out, high, middle)
    return low


def _log_evidence(
    share: NDArray[np.float64], right: NDArray[np.float64], n: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How much likelier the answers are under some better share than under this one, as a logarithm.

    Better shares are mixed uniformly, so that this is a martingale if the share is true, and falls if it is too high.
    """
    from scipy.special import betaln
    from scipy.stats import beta

    p = np.clip(share, 1e-12, 1 - 1e-12)
    mixed = betaln(right + 1, n - right + 1) + beta.logsf(p, right + 1, n - right + 1) - np.log1p(-p)
    evidence: NDArray[np.float64] = mixed - right * np.log(p) - (n - right) * np.log1p(-p)
    return evidence
