"""How far annotators and a model are to be trusted, and what is then to be believed of an item (CROWDLAB).

An annotator is judged by how often they agree with others about the same items, the model by how often it agrees with
the consensus; the measure for both is the error of whoever names the likeliest class every time. `core/consensus.py`
makes the labels of a loop; this tells how sure they are. Of items in training, `proba` must come from a model that has
not seen them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.core import uncertainty
from alearn.core.uncertainty import Proba, Scores

Answers = NDArray[np.integer[Any]]
Labels = NDArray[np.intp]

LEAST = 1e-6
"""The least trust, and the least error of whoever names the likeliest class."""
TINY = 1e-30
"""In place of a probability of 0, whose logarithm is none."""
TEMPERATURES = (0.1, 0.2, 0.5, 0.8, 1, 2, 3, 5, 8)
"""Tried first; then four steps to each neighbour of the best."""


@dataclass(frozen=True)
class Trust:
    """What an answer of each annotator (A,) and of the model counts, and the temperature that suits the model."""

    annotators: Scores
    model: float = 1.0
    temperature: float = 1.0


def judge(answers: Answers, proba: Proba) -> tuple[Trust, Scores]:
    """How far to trust whom, and the quality of each label: (n,) float64 in [0, 1], how sure the consensus is.

    `answers` (n, A) are class numbers, negative = none, at least one in each row; `proba` (n, C), C >= 2. Where no item
    has two answers all count the same, and the quality is the model's probability of the answer.
    Source: Goh, Tkachenko & Mueller, CROWDLAB, 2022; ActiveLab, 2023; the constants are those of the package cleanlab.
    """
    counts, rows = counts_of(answers, proba.shape[1]), np.arange(len(answers))
    if (counts.sum(axis=1) == 1).all():
        return Trust(np.ones(answers.shape[1])), proba[rows, counts.argmax(axis=1)].astype(np.float64)
    temperature = _temperature(counts, proba)
    p = tempered(proba, temperature)
    majority = _majority(counts, p)
    _, posterior = _weighed(answers, counts, p, majority)
    best = posterior.max(axis=1, keepdims=True)
    label = np.where((posterior == best).sum(axis=1) == 1, posterior.argmax(axis=1), majority)
    trust, posterior = _weighed(answers, counts, p, label)
    return Trust(trust.annotators, trust.model, temperature), posterior[rows, label]


def counts_of(answers: Answers, classes: int) -> NDArray[np.float64]:
    """How many annotators named each class, (n, C)."""
    return _sums(answers, np.ones(answers.shape[1]), classes)


def tempered(proba: Proba, temperature: float) -> Scores:
    """The probabilities at another temperature, (n, C) float64, none of them 0."""
    return uncertainty.tempered(np.maximum(proba.astype(np.float64), TINY), temperature).astype(np.float64, copy=False)


def _sums(answers: Answers, weights: Scores, classes: int) -> Scores:
    """The weights (A,) of those who named each class, (n, C)."""
    out = np.zeros((len(answers), classes))
    for annotator, weight in enumerate(weights):
        rows = np.flatnonzero(answers[:, annotator] >= 0)
        out[rows, answers[rows, annotator]] += weight
    return out


def _temperature(counts: Scores, proba: Proba) -> float:
    """The temperature at which the model's distributions are closest (cross entropy) to those of the answers."""
    shares, log_p = counts / counts.sum(axis=1, keepdims=True), np.log(np.maximum(proba.astype(np.float64), TINY))

    def best(candidates: list[float]) -> int:
        losses = []
        for one in candidates:
            logits = log_p / one
            logits -= logits.max(axis=1, keepdims=True)
            p = np.exp(logits)
            p /= p.sum(axis=1, keepdims=True)
            losses.append(-np.sum(shares * np.log(np.maximum(p, TINY))))
        return int(np.argmin(losses))

    at = best(list(TEMPERATURES))
    below, above = TEMPERATURES[max(at - 1, 0) : at + 1], TEMPERATURES[at : at + 2]
    fine = [*np.linspace(*below, 4, endpoint=False)] if len(below) == 2 else []
    fine += [*np.linspace(*above, 5)] if len(above) == 2 else []
    return float(fine[best(fine)])


def _majority(counts: Scores, p: Scores) -> Labels:
    """The class that most annotators named; a tie goes to the model's likelier class, then to the rarer one."""
    rarer = np.broadcast_to(-counts.sum(axis=0), p.shape)
    order: Labels = np.lexsort((rarer, p, counts), axis=1)[:, -1]
    return order


def _weighed(answers: Answers, counts: Scores, p: Scores, label: Labels) -> tuple[Trust, Scores]:
    """Trust in whom, given labels, and what is then believed of each item, (n, C)."""
    each, rows = counts.sum(axis=1), np.arange(len(counts))
    several = each > 1
    some = label[several]
    base = max(float(np.mean(some != np.bincount(some).argmax())), LEAST)
    annotators = np.maximum(1 - (1 - _agreement(answers, counts)) / base, LEAST)
    error = float(np.mean(p[several].argmax(axis=1) != some))
    model = max(1 - error / base, LEAST) * float(np.sqrt(each.mean()))
    right = float(np.mean((counts[rows, label] / each)[several]))
    wrong = (1 - right) / (p.shape[1] - 1)
    named = _sums(answers, annotators, p.shape[1])
    total = named.sum(axis=1, keepdims=True)
    posterior = (model * p + right * named + wrong * (total - named)) / (total + model)
    return Trust(annotators, model), posterior


def _agreement(answers: Answers, counts: Scores) -> Scores:
    """The share of other answers to the same items that agree with each annotator's, (A,); of the lonely: the mean."""
    each, rates = counts.sum(axis=1), np.full(answers.shape[1], np.nan)
    for annotator in range(answers.shape[1]):
        rows = np.flatnonzero(answers[:, annotator] >= 0)
        others = each[rows].sum() - len(rows)
        if others:
            rates[annotator] = (counts[rows, answers[rows, annotator]].sum() - len(rows)) / others
    return np.where(np.isnan(rates), np.nanmean(rates), rates)
