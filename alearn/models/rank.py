"""Which network, cut where, suits the labels at hand: cross-validated heads, with what is known beforehand in doubt.

A candidate's score is the loop's metric on labels that its head did not see. Whether another is worse is decided by
their paired difference, item by item, because both find the same items hard; what cannot be told apart is tied. Among
the tied the first choice has the best standing: the log loss, which wavers less from draw to draw than a metric of
ranks or hits does, the neighbours' votes, and what holds of most tasks: more parameters that learned from data are
better, and the best stage to cut behind lies at about 85 % of the depth.

With fewer than FEW labels no evidence is strong enough: what is known beforehand counts more, the H-score counts too,
and weights that were never trained cannot win. From FEW labels on those can lose by evidence only; their size speaks
for nothing, because nothing was learned in it.

Measured (`benchmarks/selection.py`): average precision lost on solar cells by the first choice against the best of 35
candidates, mean of ten draws of labels:

    labels   this rule   best score   kNN among the tied   H-score and size   any pretrained one
        30        .040         .106                 .104               .093                 .076
        50        .026         .071                 .086               .083                 .059
       100        .014         .033                 .034               .049                 .037
       300        .009         .021                 .013               .026                 .033
      1000        .004         .011                 .009               .008                 .031
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.core.estimation import Interval, bootstrap
from alearn.core.metrics import METRICS, Values
from alearn.core.transferability import h_score, neighbour_votes
from alearn.models.folds import deal, numbered
from alearn.models.head import fit_head

FEW = 100
"""Fewer labels than these are few."""
FOLDS = 5
TWICE = 500
"""Up to so many labels they are dealt into folds twice, for one deal alone is luck."""
RESAMPLES = 400
DOUBT = 0.05
"""A candidate is worse than the best only where chance would say so at most this often."""
BEST_DEPTH = 0.85

FEW_WEIGHTS = {"h_score": 1.0, "log_loss": 1.0, "knn": 1.0, "size": 2.0, "depth": 2.0}
WEIGHTS = {"log_loss": 1.0, "knn": 0.5, "size": 1.0, "depth": 1.5}
"""What counts for a candidate's standing, each in standard deviations over the candidates that may win."""

Labels = NDArray[np.intp]
Proba = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A network cut behind a tap: the embeddings `x` (n, D) of the labeled items, float32.

    `depth` says where the tap is, in [0, 1], 1 the last. `parameters` are the whole network's. `pretrained`: what it
    knows was learned from data.
    """

    network: str
    tap: str
    x: NDArray[np.float32]
    depth: float = 1.0
    parameters: int = 0
    pretrained: bool = True


@dataclass(frozen=True, eq=False)
class Row:
    """What is known of a candidate.

    `score` is the metric of cross-validated heads with its 95 % interval; `behind` by how much it is worse than the
    best score, with the 5 % and 95 % quantiles of the paired difference; `tied`: not shown to be worse. `log_loss`
    (lower is better), `knn` (the metric of the neighbours' votes) and `h_score` (higher is better) are other looks at
    the same labels. `standing`: higher is better; -inf where it may not win.
    """

    candidate: Candidate
    score: Interval
    behind: Interval
    tied: bool
    log_loss: float
    knn: float
    h_score: float
    standing: float


def rank(
    candidates: Sequence[Candidate],
    y: Labels,
    classes: int,
    *,
    metric: str,
    positive: int | None = None,
    groups: Sequence[Any] | None = None,
    seed: int,
    report: Callable[[int, int], None] | None = None,
) -> list[Row]:
    """The candidates, the first choice first, then those that might have been it, then the others, by their score.

    `y` (n,) are class numbers in [0, classes), for the rows of every candidate's `x`. Items of a group are dealt into
    one fold, and count as one piece of evidence. Where the labels tell nothing (one class, no class of two labels, no
    label) all are tied, and the order is that of size and depth. `report` is told how many are done, of how many.

    Raises:
        ValueError: no candidate, or rows that do not fit the labels.
        KeyError: `metric` is not in METRICS.
    """
    if not candidates or any(len(one.x) != len(y) for one in candidates):
        raise ValueError(f"each of {len(candidates)} candidates must have {len(y)} rows, and there must be one")
    looks = _Looks(np.asarray(y, dtype=np.intp), numbered(groups, len(y)), classes, metric, positive, seed)
    proba = []
    for done, one in enumerate(candidates, 1):
        proba.append(looks.unseen(one.x))
        if report is not None:
            report(done, len(candidates))
    behind = looks.behind(proba)
    tied = [not one.low > 0 for one in behind]
    seen = [looks.measures(one.x, p) for one, p in zip(candidates, proba, strict=True)]
    standings = _standings(candidates, seen, tied, few=len(y) < FEW)
    scores = [looks.score(p) for p in proba]
    rows = [
        Row(one, score, gap, same, **measures, standing=standing)
        for one, score, gap, same, measures, standing in zip(
            candidates, scores, behind, tied, seen, standings, strict=True
        )
    ]
    return sorted(rows, key=_order)


def _order(row: Row) -> tuple[float, float, float]:
    return -row.standing, _known(row.behind.value), -_known(row.knn)


def _known(value: float) -> float:
    return 0.0 if math.isnan(value) else value


@dataclass(frozen=True, eq=False)
class _Looks:
    """The labels (n,), the number of each one's group, and what embeddings are asked of them."""

    y: Labels
    group: Labels
    classes: int
    metric: str
    positive: int | None
    seed: int

    @property
    def tell(self) -> bool:
        """Whether any two items can be compared: two classes, and a class of two labels."""
        counts = np.bincount(self.y, minlength=1)
        return bool(np.count_nonzero(counts) > 1 and counts.max() > 1)

    def unseen(self, x: NDArray[np.float32]) -> Proba:
        """The probabilities (n, C) of each item by heads that did not see its group, the mean over one deal or two.

        All heads have the strength that suits all the labels: chosen anew in every fold it would cost a multiple.
        Where the labels tell nothing, all classes are as probable.
        """
        if not self.tell:
            return np.full((len(x), self.classes), 1 / self.classes, np.float32)
        strength = fit_head(x, self.y, self.classes, seed=self.seed).strength
        deals = 2 if len(self.y) <= TWICE else 1
        found = np.zeros((len(x), self.classes), np.float32)
        for number in range(deals):
            fold = deal(self.y, self.group, FOLDS, np.random.default_rng([self.seed, number]))
            for held in (fold == one for one in np.unique(fold)):
                head = fit_head(x[~held], self.y[~held], self.classes, seed=self.seed, strength=strength)
                found[held] += head.proba(x[held]) / deals
        return found

    def score(self, proba: Proba) -> Interval:
        """The metric with its interval."""
        rng = np.random.default_rng(self.seed)
        return bootstrap(self.y, proba, self.group, self.metric, positive=self.positive, rng=rng)

    def behind(self, proba: Sequence[Proba]) -> list[Interval]:
        """By how much each is worse than the best, with the interval of the paired difference; NaN: nobody can say."""
        rule, rng = METRICS[self.metric], np.random.default_rng(self.seed)
        sign = 1.0 if rule.higher_is_better else -1.0
        values = [sign * rule.compute(self.y, p, self.positive) for p in proba]
        if all(map(math.isnan, values)):
            return [Interval(math.nan, math.nan, math.nan, len(self.y))] * len(proba)
        weights = rng.standard_exponential((self.group.max() + 1, RESAMPLES))[self.group]
        best = int(np.nanargmax(values))
        top = sign * rule.weighted(self.y, proba[best], weights, self.positive)
        gaps = [top - sign * rule.weighted(self.y, p, weights, self.positive) for p in proba]
        return [self._gap(values[best] - value, gap) for value, gap in zip(values, gaps, strict=True)]

    def _gap(self, value: float, resampled: Values) -> Interval:
        low, high = np.quantile(resampled, [DOUBT, 1 - DOUBT])
        return Interval(value, float(low), float(high), len(self.y))

    def measures(self, x: NDArray[np.float32], proba: Proba) -> dict[str, float]:
        """The other looks at the labels."""
        if not self.tell:
            return {"log_loss": math.nan, "knn": math.nan, "h_score": math.nan}
        z = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-6)
        votes = neighbour_votes(z, self.y, self.classes)
        return {
            "log_loss": METRICS["log_loss"].compute(self.y, proba),
            "knn": METRICS[self.metric].compute(self.y, votes, self.positive),
            "h_score": h_score(z, self.y),
        }


def _standings(
    candidates: Sequence[Candidate], seen: Sequence[Mapping[str, float]], tied: Sequence[bool], *, few: bool
) -> list[float]:
    """The standing of each candidate; -inf of those that may not win."""
    may_win = np.array([one.pretrained for one in candidates] if few else tied)
    if not may_win.any():
        may_win[:] = True
    known = [{**measures, **_beforehand(one)} for one, measures in zip(candidates, seen, strict=True)]
    total = np.zeros(int(may_win.sum()))
    for name, weight in (FEW_WEIGHTS if few else WEIGHTS).items():
        values = np.array([one[name] for one, may in zip(known, may_win, strict=True) if may])
        total += weight * _standardised(-values if name == "log_loss" else values)
    standings = np.full(len(candidates), -math.inf)
    standings[may_win] = total
    return standings.tolist()


def _beforehand(one: Candidate) -> dict[str, float]:
    """What is known without a label: the logarithm of the trained parameters, in millions, and how well it is cut."""
    millions = one.parameters / 1e6 if one.pretrained else 0.0
    return {"size": math.log(millions + 0.1), "depth": -abs(one.depth - BEST_DEPTH)}


def _standardised(values: Values) -> Values:
    """(values - mean) / std; zeros where they are all alike, or where one is not known."""
    spread = float(values.std())
    if math.isnan(spread) or spread < 1e-12:
        return np.zeros(len(values))
    found: Values = (values - values.mean()) / spread
    return found
