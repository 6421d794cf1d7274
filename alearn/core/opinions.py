"""Which items need another opinion, and why.

Invariant: pure; the same items, answers and model give the same answer, whatever the order; an item that has as many
opinions as it may have is never asked again, and nobody's answer is dropped: another is asked for beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from alearn.core.consensus import Label, Said, consensus, voices
from alearn.core.keys import unit_interval
from alearn.core.votes import weighted_vote

Reason = Literal["unconfirmed", "unsure", "doubted", "sample"]


@dataclass(frozen=True)
class Overlap:
    """When one opinion is not enough.

    `every` n-th item gets a second opinion, None: none does; which they are follows from `seed`. `agreement` in [0, 1]:
    below it a consensus is unsure. `doubt`: whether a model's word against a label counts. `most` opinions per item.
    """

    every: int | None = 5
    agreement: float = 0.6
    doubt: bool = True
    most: int = 3
    seed: int = 0


@dataclass(frozen=True)
class Belief:
    """What a model believes of items it was not trained on: `proba` (n, C) for `keys` (n,) and `classes` (C,)."""

    keys: Sequence[str]
    classes: Sequence[str]
    proba: NDArray[np.floating[Any]]


def needed(
    annotations: Mapping[str, Iterable[Said]],
    overlap: Overlap,
    *,
    weights: Mapping[str, float] | None = None,
    flagged: Collection[str] = (),
    belief: Belief | None = None,
) -> dict[str, Reason]:
    """The items, by key and sorted, that need another opinion, with the first reason that holds.

    "unconfirmed": only annotators who are `flagged` answered it. "unsure": its consensus (of all, by `weights` if there
    are any) is below `overlap.agreement`. "doubted": the model is confident of another class, and one annotator alone
    of those not flagged said what it is. "sample": it is an n-th item with one opinion. Items nobody answered, or that
    have `overlap.most` opinions, need none.
    """
    votes = {key: said for key in sorted(annotations) if (said := voices(annotations[key]))}
    labels = {key: _label([one for one, _ in said], weights) for key, said in votes.items()}
    doubts = _doubts(labels, belief) if overlap.doubt and belief is not None else frozenset()
    found: dict[str, Reason] = {}
    for key, said in votes.items():
        if len(said) < overlap.most:
            reason = _reason(said, labels[key], overlap, flagged, key in doubts)
            if reason is None and len(said) < 2 and sampled(key, overlap):
                reason = "sample"
            if reason is not None:
                found[key] = reason
    return found


def sampled(key: str, overlap: Overlap) -> bool:
    """Whether an item is one of those that get a second opinion whatever is said of it; independent of the hold-out."""
    return overlap.every is not None and unit_interval(f"opinion\0{key}", overlap.seed) < 1 / overlap.every


def doubted(labels: NDArray[np.intp], proba: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Whether the model is confident that an item's class is another, (n,) bool; labels (n,) in [0, C), proba (n, C).

    It is confident of a class where its probability is at least the mean over the items so labeled; of the likeliest
    such class if there are several. A label that it finds likeliest is never doubted, a class that is no label never
    compared, nor is a row with NaN. Of items in training, `proba` must come from a model that has not seen them.
    Source: Northcutt, Jiang & Chuang, Confident Learning, 2021 (the off-diagonal of the confident joint).
    """
    p = np.nan_to_num(np.asarray(proba, dtype=np.float64), nan=-1.0)
    known = p.min(axis=1, initial=0.0) >= 0
    thresholds = np.full(p.shape[1], np.inf)
    for label in np.unique(labels[known]):
        thresholds[label] = p[known & (labels == label), label].mean()
    confident = np.where((p >= thresholds - 1e-9) & known[:, None], p, -1.0)
    own = np.arange(len(p)), labels
    found: NDArray[np.bool_] = (confident.max(axis=1) > confident[own]) & (p.max(axis=1) > p[own])
    return found


def _label(said: Sequence[Said], weights: Mapping[str, float] | None) -> Label:
    label = consensus(said) if weights is None else weighted_vote(said, weights)
    assert label is not None, "there is a voice"
    return label


def _doubts(labels: Mapping[str, Label], belief: Belief) -> frozenset[str]:
    """The items of which model and label disagree; those that the model does not know are not among them."""
    place = {name: at for at, name in enumerate(belief.classes)}
    rows = [row for row, key in enumerate(belief.keys) if key in labels and labels[key].value in place]
    keys = [belief.keys[row] for row in rows]
    numbers = np.array([place[labels[key].value] for key in keys], dtype=np.intp)
    return frozenset(key for key, doubt in zip(keys, doubted(numbers, belief.proba[rows]), strict=True) if doubt)


def _reason(
    said: Sequence[tuple[Said, str]], label: Label, overlap: Overlap, flagged: Collection[str], in_doubt: bool
) -> Reason | None:
    """Why what was said of an item is not enough, if it is not."""
    trusted = [value for one, value in said if one.annotator not in flagged]
    if not trusted:
        return "unconfirmed"
    if label.agreement < overlap.agreement:
        return "unsure"
    return "doubted" if in_doubt and trusted.count(label.value) < 2 else None
