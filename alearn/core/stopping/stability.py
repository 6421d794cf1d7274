"""Whether the model has stopped changing its mind: rules that need no hold-out.

They compare what successive models answer about the same unlabeled items, so they say that more labels change little,
not that the model is good.

Invariant: fewer rounds than a rule looks back over are never stable; what cannot be computed is never stable.

Source: Bloodgood & Vijay-Shanker, A Method for Stopping Active Learning Based on Stabilizing Predictions, CoNLL 2009;
Zhu, Wang & Hovy, Multi-Criteria-Based Strategy to Stop Active Learning for Data Annotation, COLING 2008.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from alearn.core.stopping.decision import Decision

KAPPA, WINDOW = 0.99, 3
"""Bloodgood and Vijay-Shanker's: the mean agreement of so many successive pairs of models."""


def kappa(before: ArrayLike, now: ArrayLike) -> float:
    """Cohen's kappa of two models' classes for the same items, (m,) and (m,): 1 = the same, 0 = as by chance.

    NaN without an item. Where both name one and the same class throughout it is 1.
    """
    first, second = np.asarray(before), np.asarray(now)
    if not len(first):
        return math.nan
    agreed = float(np.mean(first == second))
    names = np.union1d(first, second)
    shares = [(one[:, None] == names).mean(axis=0) for one in (first, second)]
    chance = float(shares[0] @ shares[1])
    return 1.0 if chance >= 1 else (agreed - chance) / (1 - chance)


def changed(before: ArrayLike, now: ArrayLike) -> float:
    """The share of items that two models put into different classes, (m,) and (m,); [0, 1], NaN without an item."""
    first, second = np.asarray(before), np.asarray(now)
    return float(np.mean(first != second)) if len(first) else math.nan


def stable(kappas: Sequence[float], *, level: float = KAPPA, window: int = WINDOW) -> Decision:
    """Stop when the mean of the last `window` kappas, each of a model and the one before, is at least `level`."""
    mean = _mean_of_last(kappas, window)
    if mean is None:
        return _too_few("agreement of successive models", window)
    told = f"successive models agree with kappa {mean:.3f} over {window} rounds"
    return _decision(mean >= level, told, f"at least {level:g}")


def unchanged(changes: Sequence[float], *, most: float = 0.0, window: int = 1) -> Decision:
    """Stop when the mean share of changed classes over the last `window` rounds is at most `most`."""
    mean = _mean_of_last(changes, window)
    if mean is None:
        return _too_few("changed answers", window)
    return _decision(mean <= most, f"{mean:.1%} of the answers changed over {window} rounds", f"at most {most:.1%}")


def sure(uncertainties: Sequence[float], *, most: float, window: int = 1) -> Decision:
    """Stop when the mean uncertainty over what is left of the pool, a number each round, is at most `most`.

    In the units of the uncertainty that is handed in; Zhu et al. take entropy.
    """
    mean = _mean_of_last(uncertainties, window)
    if mean is None:
        return _too_few("uncertainty", window)
    told = f"the mean uncertainty over the pool is {mean:.3f} over {window} rounds"
    return _decision(mean <= most, told, f"at most {most:g}")


def _mean_of_last(values: Sequence[float], window: int) -> float | None:
    """None where there are too few, or one is NaN."""
    last = list(values[-window:])
    if len(last) < window or any(math.isnan(one) for one in last):
        return None
    return math.fsum(last) / window


def _decision(stop: bool, told: str, limit: str) -> Decision:
    return Decision(True, "stability", f"{told}, {limit}") if stop else Decision(False, "go", told)


def _too_few(what: str, window: int) -> Decision:
    return Decision(False, "go", f"the {what} is not known over {window} rounds yet")
