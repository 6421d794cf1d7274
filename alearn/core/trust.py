"""How far each annotator is to be trusted, and who answers no better than by chance.

An answer to a test question, whose truth is known, counts in full. Answers of two people to the same item count as far
as the other is to be trusted: agreement with someone who is right half of the time says nothing. How far that is, is
taken from the prior, from their test questions and from third parties, not from what is being judged, so that two
spammers who agree gain little by it; and no one person's agreement counts for more than `VOUCH` answers. What is left:
a clique that makes up most of a team can only be told from honest people by test questions.

Invariant: pure; the order of annotations does not matter, nor does how often the result is looked at: the false alarms
of all looks together are bounded (Ville), because a flag needs a likelihood ratio of 1 / `false_alarm`.

Source: the one-coin model of Dawid & Skene 1979, its posterior by belief propagation on a grid (Liu, Peng & Ihler,
Variational Inference for Crowdsourcing, 2012); the decision is Wald's sequential test, 1945.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from alearn.core.consensus import Said, voices

Floats = NDArray[np.float64]

HONEST, ANY = (8.0, 1.0), 0.25
"""The prior of an accuracy: Beta, as of somebody who was right seven times of seven; with this probability, any."""
VOUCH = 5.0
"""The most answers that what one person said may count for in judging another."""
HOPS = 3
"""How far evidence travels: a partner is judged by their partners, and these by theirs."""
CELLS = 48
"""Cells of the grid over accuracies in [0, 1]."""
LEAST, SURE = 0.01, 0.99
"""The least weight; and the accuracy from which a vote weighs 1."""
GRID: Floats = (np.arange(CELLS) + 0.5) / CELLS


@dataclass(frozen=True)
class Rule:
    """When somebody is flagged: accuracy below `threshold`, with enough evidence.

    Somebody at `good` or above is ever flagged, however often one looks, with a probability of about `false_alarm`.
    0 < threshold < good < 1; in between a flag is possible and takes long. `confidence` is the interval's.
    """

    threshold: float = 0.75
    good: float = 0.9
    false_alarm: float = 0.02
    confidence: float = 0.95


@dataclass(frozen=True)
class Tally:
    """What annotators did, counted: `right` of `asked` test questions (A,); `agreed` of `compared` items, (A, A)
    symmetric.

    An item that v people answered counts 1 / (v - 1) for each pair, and so once for each of them.
    """

    annotators: tuple[str, ...]
    right: Floats
    asked: Floats
    agreed: Floats
    compared: Floats


@dataclass(frozen=True)
class Standing:
    """An annotator's accuracy: posterior `mean` and central interval, in [0, 1], and what follows.

    `asked` are test questions answered, `compared` the items that others answered, too. `weight` in (0, 1] is for a
    weighted vote: the log odds of the mean against chance. `doubt` is the log of the evidence for a bad annotator over
    a good one: higher = worse.
    """

    mean: float
    low: float
    high: float
    asked: int
    compared: int
    weight: float
    doubt: float
    flagged: bool


def tally(annotations: Mapping[str, Iterable[Said]], truths: Mapping[str, str]) -> Tally:
    """Counts the annotations of items, by key; `truths` are the known classes of those that are test questions.

    Each annotator's latest word counts; a skip is no answer.
    """
    spoken = {key: {one.annotator: value for one, value in voices(said)} for key, said in annotations.items()}
    names = tuple(sorted({name for said in spoken.values() for name in said}))
    at = {name: place for place, name in enumerate(names)}
    right, asked = np.zeros(len(names)), np.zeros(len(names))
    agreed, compared = np.zeros((2, len(names), len(names)))
    for key in sorted(spoken):
        said = spoken[key]
        if key in truths:
            for name, value in said.items():
                asked[at[name]] += 1
                right[at[name]] += value == truths[key]
            continue
        for (one, mine), (other, theirs) in permutations(sorted(said.items()), 2):
            compared[at[one], at[other]] += 1 / (len(said) - 1)
            agreed[at[one], at[other]] += (mine == theirs) / (len(said) - 1)
    return Tally(names, right, asked, agreed, compared)


def standings(counts: Tally, classes: int, rule: Rule | None = None) -> dict[str, Standing]:
    """How far each annotator is to be trusted, by name; `classes` >= 2 are what could have been answered."""
    rule = rule or Rule()
    evidence = _evidence(counts, classes)
    posterior = _normalized(_prior() + evidence)
    mean = posterior @ GRID
    tail = (1 - rule.confidence) / 2
    doubt = _at(evidence, bad_accuracy(rule)) - _at(evidence, rule.good)
    found = {}
    for row, name in enumerate(counts.annotators):
        low, high = _quantiles(posterior[row], (tail, 1 - tail))
        asked, compared = round(float(counts.asked[row])), round(float(counts.compared[row].sum()))
        flagged = bool(doubt[row] >= -math.log(rule.false_alarm))
        weight = vote_weight(float(mean[row]), classes)
        found[name] = Standing(float(mean[row]), low, high, asked, compared, weight, float(doubt[row]), flagged)
    return found


def vote_weight(accuracy: float, classes: int) -> float:
    """What a vote counts, in [LEAST, 1]: the log odds of being right against chance, 1 from an accuracy of SURE.

    Votes so weighted decide best where errors are independent. Source: Nitzan & Paroush 1982.
    """
    odds = [math.log(p * (classes - 1) / (1 - p)) for p in (min(max(accuracy, 1e-9), SURE), SURE)]
    return min(max(odds[0] / odds[1], LEAST), 1.0)


def bad_accuracy(rule: Rule) -> float:
    """The accuracy that, tested against `good`, makes evidence pile up just where the accuracy is below `threshold`."""
    low, high = 0.0, rule.threshold
    for _ in range(50):
        middle = (low + high) / 2
        right, wrong = math.log(rule.good / middle), math.log((1 - middle) / (1 - rule.good))
        low, high = (middle, high) if wrong / (right + wrong) < rule.threshold else (low, middle)
    return (low + high) / 2


def question_rate(standing: Standing | None, rate: float) -> float:
    """The share of test questions among the next answers of an annotator, in [0, 1], where the team's is to be `rate`.

    They are asked where they decide something: five times as often while the evidence is open, a fifth as often once
    it is 5 to 1 in favour, or somebody is flagged. A team of five with two bad ones gets about `rate` in all.
    """
    settled = standing is not None and (standing.flagged or standing.doubt <= -math.log(5))
    return rate / 5 if settled else min(5 * rate, 1.0)


def _evidence(counts: Tally, classes: int) -> Floats:
    """The log likelihood of each annotator's accuracy on the grid, (A, CELLS)."""
    known: Floats = counts.right[:, None] * np.log(GRID) + (counts.asked - counts.right)[:, None] * np.log1p(-GRID)
    one, other = np.nonzero(np.triu(counts.compared))
    if not len(one):
        return known
    agree = GRID[:, None] * GRID + (1 - GRID[:, None]) * (1 - GRID) / (classes - 1)
    n, k = counts.compared[one, other], counts.agreed[one, other]
    less = np.minimum(1, VOUCH / n)
    pair = np.exp((less * k)[:, None, None] * np.log(agree) + (less * (n - k))[:, None, None] * np.log1p(-agree))
    heard = np.zeros((len(known), len(known), CELLS))
    ends = ((one, other), (other, one))
    for _ in range(HOPS):
        sums = _prior() + known + heard.sum(axis=1)
        spoken = [np.log(pair @ _normalized(sums[b] - heard[b, a])[:, :, None])[:, :, 0] for a, b in ends]
        for (a, b), words in zip(ends, spoken, strict=True):
            heard[a, b] = words
    found: Floats = known + heard.sum(axis=1)
    return found


def _prior() -> Floats:
    """The log density on the grid, (CELLS,), up to a constant."""
    honest = GRID ** (HONEST[0] - 1) * (1 - GRID) ** (HONEST[1] - 1)
    found: Floats = np.log((1 - ANY) * honest / honest.mean() + ANY)
    return found


def _normalized(logs: Floats) -> Floats:
    found: Floats = np.exp(logs - logs.max(axis=-1, keepdims=True))
    found /= found.sum(axis=-1, keepdims=True)
    return found


def _at(evidence: Floats, accuracy: float) -> Floats:
    """The log likelihood at one accuracy, (A,), between the cells of the grid."""
    return np.array([np.interp(accuracy, GRID, row) for row in evidence])


def _quantiles(cells: Floats, shares: Iterable[float]) -> list[float]:
    edges = np.arange(CELLS + 1) / CELLS
    return [float(one) for one in np.interp(list(shares), np.concatenate([[0.0], np.cumsum(cells)]), edges)]
