"""From what annotators said to labels where some of them count more than others.

`core/consensus.py` gives everybody one vote. Here votes are weighted by trust, or trust, the confusions of each
annotator and the labels of all items are found together (Dawid & Skene; own lines, because crowd-kit's bring pandas,
nltk and transformers along, know no prior, and let an item with one voice confirm whoever answered it).

Invariant: as in consensus, each annotator has one voice for an item, a skip is none, a tie goes to the latest voice,
and neither the order in which annotations arrive nor any other chance changes a label.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alearn.core.consensus import Label, Said, voices

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

SHRINKAGE = 10.0
"""Answers to items of each class that are imagined for each annotator, right as often as they are on the whole."""
IMAGINED = (4.0, 1.0)
"""Right and wrong answers that are imagined to tell how often that is."""
ROUNDS, CHANGE = 500, 1e-6
"""Of the EM algorithm at most, and the change of a probability below which it ends."""
TINY = 1e-10
"""In place of a probability of 0, whose logarithm is none."""
SAME = 1e-6
"""Weights or probabilities closer than this tie."""


def weighted_vote(annotations: Iterable[Said], weights: Mapping[str, float]) -> Label | None:
    """The label of an item: the class whose voices weigh most; `agreement` in (0, 1] is their share of the weight.

    `weights` in (0, 1] by annotator; with log odds of trust (`trust.vote_weight`) the vote is the likeliest class.
    None when nobody has a voice.

    Raises:
        KeyError: somebody who has a voice has no weight.
    """
    votes = voices(annotations)
    if not votes:
        return None
    each = {name: math.fsum(weights[one.annotator] for one, value in votes if value == name) for _, name in votes}
    value = _latest_of(votes, {name for name, weight in each.items() if weight > max(each.values()) - SAME})
    return Label(value, each[value] / math.fsum(weights[one.annotator] for one, _ in votes), len(votes))


def dawid_skene(
    annotations: Mapping[str, Iterable[Said]],
    known: Mapping[str, str] | None = None,
    accuracies: Mapping[str, float] | None = None,
    *,
    shrinkage: float = SHRINKAGE,
) -> dict[str, Label]:
    """The labels of all items that somebody answered, by key; `agreement` in (0, 1] is the label's probability.

    `known` are the true classes of test questions, which are then not in doubt. `accuracies` in [0, 1] by annotator
    (`trust.Standing.mean`) are where it starts, in place of the majority, and what confusions are drawn to; without
    them spammers who say the same can be taken for the truth. `shrinkage` >= 0 draws the confusions of each annotator
    to errors spread evenly; 0 is the method as published, which needs many answers per class.
    Source: Dawid & Skene, Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm, 1979.
    """
    spoken = {key: votes for key in sorted(annotations) if (votes := voices(annotations[key]))}
    if not spoken:
        return {}
    answers = _Answers.of(spoken, known or {}, accuracies or {})
    p = answers.probabilities(shrinkage)
    found = {}
    for row, (key, votes) in enumerate(spoken.items()):
        best = {answers.classes[place] for place in np.flatnonzero(p[row] > p[row].max() - SAME)}
        value = _latest_of(votes, best)
        found[key] = Label(value, min(float(p[row, answers.classes.index(value)]), 1.0), len(votes))
    return found


def _latest_of(votes: Sequence[tuple[Said, str]], best: set[str]) -> str:
    """The one of the best classes that was named last; the first by name where nobody named one."""
    return next((value for _, value in reversed(votes) if value in best), min(best))


@dataclass(frozen=True)
class _Answers:
    """Every voice (E,) as numbers: of which item, whose, which class.

    `known` (n,) is -1 where the truth is not, `accuracy` (A,) NaN where nothing is said of it.
    """

    classes: list[str]
    item: Places
    annotator: Places
    value: Places
    known: Places
    accuracy: Floats

    @classmethod
    def of(
        cls,
        spoken: Mapping[str, Sequence[tuple[Said, str]]],
        truths: Mapping[str, str],
        accuracies: Mapping[str, float],
    ) -> _Answers:
        said = sorted((key, one.annotator, value) for key, votes in spoken.items() for one, value in votes)
        classes = sorted({value for _, _, value in said} | {truths[key] for key in spoken if key in truths})
        names, keys = sorted({name for _, name, _ in said}), list(spoken)
        of_key, of_name, of_class = ({one: at for at, one in enumerate(all_)} for all_ in (keys, names, classes))
        numbers = np.array([(of_key[key], of_name[name], of_class[value]) for key, name, value in said], dtype=np.intp)
        known = np.array([of_class[truths[key]] if key in truths else -1 for key in keys], dtype=np.intp)
        item, annotator, value = numbers.T
        return cls(classes, item, annotator, value, known, np.array([accuracies.get(name, np.nan) for name in names]))

    def probabilities(self, shrinkage: float) -> Floats:
        """P(class) of each item, (n, C): from shares of the votes to a fixed point.

        An item with one voice tells nothing of anybody's confusions, but would confirm what is believed of them.
        """
        n, classes = len(self.known), len(self.classes)
        p: Floats = np.zeros((n, classes))
        np.add.at(p, (self.item, self.value), 1.0)
        p = self._clamped(p / p.sum(axis=1, keepdims=True))
        if not np.isnan(self.accuracy).any():
            p = self._believed(_even(np.clip(self.accuracy, 0.01, 0.99), classes), np.full(classes, 1 / classes))
        telling = (np.bincount(self.item, minlength=n) > 1) | (self.known >= 0)
        for _ in range(ROUNDS):
            seen = np.where(telling[:, None], p, 0.0)
            prior = seen.sum(axis=0) + max(shrinkage, TINY) / classes
            before, p = p, self._believed(self._confusions(seen, shrinkage), prior / prior.sum())
            if np.abs(p - before).max() < CHANGE:
                break
        return p

    def _confusions(self, p: Floats, shrinkage: float) -> Floats:
        """P(answer | truth) of each annotator, (A, answers, truths)."""
        classes = len(self.classes)
        counts = np.zeros((self.annotator.max() + 1, classes, classes))
        np.add.at(counts, (self.annotator, self.value), p[self.item])
        right = np.einsum("acc->a", counts) + IMAGINED[0]
        right /= counts.sum(axis=(1, 2)) + sum(IMAGINED)
        counts += shrinkage * _even(np.where(np.isnan(self.accuracy), right, self.accuracy), classes)
        found: Floats = np.maximum(counts / np.maximum(counts.sum(axis=1, keepdims=True), TINY), TINY)
        return found

    def _believed(self, confusions: Floats, prior: Floats) -> Floats:
        logs = np.tile(np.log(np.maximum(prior, TINY)), (len(self.known), 1))
        np.add.at(logs, self.item, np.log(confusions)[self.annotator, self.value])
        p = np.exp(logs - logs.max(axis=1, keepdims=True))
        return self._clamped(p / p.sum(axis=1, keepdims=True))

    def _clamped(self, p: Floats) -> Floats:
        rows = np.flatnonzero(self.known >= 0)
        p[rows] = 0.0
        p[rows, self.known[rows]] = 1.0
        return p


def _even(right: Floats, classes: int) -> Floats:
    """Confusions (A, C, C) of annotators who are right so often (A,), with errors spread evenly."""
    right = right[:, None, None]
    return np.where(np.eye(classes) == 1, right, (1 - right) / max(classes - 1, 1))
