"""How unsure a model is, from its class probabilities; whichever the measure, higher = ask first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Proba = NDArray[np.floating[Any]]
Scores = NDArray[np.float64]
Measure = Callable[[Proba], Scores]


def margin(proba: Proba) -> Scores:
    """One minus the difference between the two largest probabilities.

    (N, C) -> (N,) float64 in [0, 1]; higher = ask first: 1 = the two likeliest classes are equally likely.
    Source: Scheffer, Decomain & Wrobel 2001.
    """
    if proba.shape[1] < 2:
        return np.zeros(len(proba))
    top = np.partition(proba, -2, axis=1)[:, -2:].astype(np.float64)
    scores: Scores = 1 - (top[:, 1] - top[:, 0])
    return scores


def entropy(proba: Proba) -> Scores:
    """The entropy of the class distribution, in nats.

    (N, C) -> (N,) float64 in [0, ln C]; higher = ask first: ln C = all classes are equally likely.
    Source: Shannon 1948; Settles & Craven 2008.
    """
    p = proba.astype(np.float64)
    scores: Scores = -np.sum(p * np.log(p, out=np.zeros_like(p), where=p > 0), axis=1)
    return np.maximum(scores, 0, out=scores)


def least_confidence(proba: Proba) -> Scores:
    """One minus the largest probability.

    (N, C) -> (N,) float64 in [0, 1 - 1/C]; higher = ask first: 1 - 1/C = all classes are equally likely.
    Source: Lewis & Gale 1994; Culotta & McCallum 2005.
    """
    scores: Scores = 1 - proba.max(axis=1).astype(np.float64)
    return scores


def tempered(proba: Proba, temperature: float) -> Proba:
    """The probabilities that the same logits give at another temperature: above 1 less sure, below 1 more sure.

    (N, C) -> (N, C), rows sum to 1, the order within a row is kept. Source: Guo et al., ICML 2017.
    """
    if temperature == 1:
        return proba
    tiny = np.finfo(proba.dtype).tiny
    logits = np.log(np.maximum(proba, tiny)) / temperature
    p: Proba = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return p
