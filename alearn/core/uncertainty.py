"""How unsure a model is, from its class probabilities, and how much a committee disagrees, from those of its members.

Whichever the measure, higher = ask first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Proba = NDArray[np.floating[Any]]
Scores = NDArray[np.float64]
Measure = Callable[[Proba], Scores]
"""Of class probabilities (N, C), or of a committee's (members, N, C), to (N,)."""


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


def vote_entropy(votes: Proba) -> Scores:
    """The entropy of the members' answers, each member voting for its likeliest class, in nats.

    (members, N, C) -> (N,) float64 in [0, ln min(members, C)]; higher = ask first: 0 = all members answer the same.
    Source: Dagan & Engelson, ICML 1995.
    """
    answers = votes.argmax(axis=2)
    shares = np.zeros(votes.shape[1:])
    rows = np.arange(votes.shape[1])
    for answer in answers:
        shares[rows, answer] += 1 / len(answers)
    return entropy(shares)


def consensus_entropy(votes: Proba) -> Scores:
    """The entropy of the mean of the members' class distributions, in nats.

    (members, N, C) -> (N,) float64 in [0, ln C]; higher = ask first: the committee as a whole is unsure, whether its
    members agree or not. Source: Settles, Active Learning Literature Survey, 2009 (soft votes).
    """
    return entropy(_consensus(votes))


def max_disagreement(votes: Proba) -> Scores:
    """The divergence (Kullback-Leibler) from the mean of the member that is furthest from it, in nats.

    (members, N, C) -> (N,) float64 in [0, ln members]; higher = ask first: 0 = all members say the same.
    Source: McCallum & Nigam, ICML 1998, who take the mean over members, which is `bald`; the maximum is modAL's.
    """
    mean = _consensus(votes)
    log_mean = np.log(mean, out=np.zeros_like(mean), where=mean > 0)
    furthest = np.zeros(len(mean))
    for p in votes:
        cross = -np.einsum("nc,nc->n", p, log_mean)
        np.maximum(furthest, cross - entropy(p), out=furthest)
    return furthest


def bald(votes: Proba) -> Scores:
    """How much an answer would tell of which member is right: the entropy of the mean less the mean entropy, in nats.

    (members, N, C) -> (N,) float64 in [0, ln min(members, C)]; higher = ask first: 0 = all members say the same.
    Source: Houlsby et al., Bayesian Active Learning by Disagreement, 2011; Gal, Islam & Ghahramani, ICML 2017.
    """
    own = sum((entropy(p) for p in votes), np.zeros(votes.shape[1])) / len(votes)
    return np.maximum(entropy(_consensus(votes)) - own, 0)


def _consensus(votes: Proba) -> Scores:
    """The mean over members, (N, C)."""
    mean: Scores = votes.mean(axis=0, dtype=np.float64)
    return mean


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
