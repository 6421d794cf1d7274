"""Whether a hold-out that is drawn with unequal odds measures the same metric with fewer labels.

    python benchmarks/active_testing.py FOLDER [--seeds 20] [--draws 50]

FOLDER keeps the features; which data sets there are, and what they need, is said in `feature_sets`.

For each seed a head learns so many random labels; what is left is the population, whose metric is the truth. From it
hold-outs are drawn as a loop draws them: the first quarter evenly, before there is a model to ask, the rest by
`alearn.core.estimation.odds` of that head (`holdout.sampling: weighted`), beside as many drawn evenly.

error: the root of the mean squared error, evenly and weighted. labels: as many evenly drawn labels as one weighted
label is worth, the squared ratio of the errors. covered: how often central 95 % intervals (`even`) hold the truth.
below: how often the prudent lower 95 % bound is above it (5 % are allowed). bias: the mean error of the weighted
estimate in its standard errors. unweighted: the mean error of one that forgets the weights, in points.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from feature_sets import features, parts
from numpy.typing import NDArray

from alearn.core.estimation import bootstrap, drawing, odds
from alearn.core.metrics import METRICS
from alearn.models import fit_head

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

CASES: list[tuple[str, int, str] | tuple[str, int, str, float]] = [
    ("digits", 100, "accuracy"),
    ("fashion", 500, "accuracy"),
    ("fashion-tail", 500, "macro_f1"),
    ("intents", 600, "accuracy"),
    ("spam", 200, "accuracy"),
    ("spam", 200, "f1"),
    ("elpv", 400, "accuracy"),
    ("elpv", 400, "f1"),
    ("elpv", 400, "average_precision"),
    ("spam", 200, "accuracy", 0.05),
    ("spam", 200, "f1", 0.05),
    ("spam", 200, "average_precision", 0.05),
]
"""Data set, training labels, metric, and the share of the positive class where it is made rare."""
SIZES = (100, 200, 400)
RESAMPLES = 400


@dataclass(frozen=True, eq=False)
class Population:
    """The items that hold-outs are drawn from, as one head answers them; `chosen` are its odds."""

    y: Rows
    proba: Floats
    metric: str
    positive: int | None
    chosen: Floats

    @property
    def truth(self) -> float:
        return METRICS[self.metric].compute(self.y, self.proba, self.positive)


@dataclass(frozen=True)
class Found:
    """What one hold-out says, beside the truth."""

    off: float
    covered: bool
    below: bool
    unweighted: float
    room: float


def rare(y: Rows, share: float, rng: np.random.Generator) -> Rows:
    """Rows of which so many are of class 1."""
    others, ours = (rng.permutation(np.flatnonzero(y == one)) for one in (0, 1))
    return np.concatenate([others, ours[: round(share / (1 - share) * len(others))]])


def population(name: str, labels: int, metric: str, seed: int, home: Path, share: float | None = None) -> Population:
    """A head on random labels, and all other items."""
    x, y = features(name, home)
    if share:
        rows = rare(y, share, np.random.default_rng([seed, 5]))
        x, y = x[rows], y[rows]
    pool, test = parts(name, y, seed)
    rows = np.random.default_rng(seed).permutation(np.concatenate([pool, test]))
    classes = int(y.max()) + 1
    head = fit_head(x[rows[:labels]], y[rows[:labels]], classes, seed=seed)
    proba = head.proba(x[rows[labels:]]).astype(np.float64)
    positive = 1 if classes == 2 else None
    return Population(y[rows[labels:]], proba, metric, positive, odds(proba, metric, positive=positive))


def drawn(where: Population, size: int, rng: np.random.Generator, *, weighted: bool) -> Found | None:
    """What a hold-out of so many says; None where it cannot decide the metric."""
    place = rng.random(len(where.y))
    if weighted:
        first = size // 4
        start = np.argsort(place)[: first + 1]
        before = np.full(len(place), place[start[-1]])
        order = np.where(np.isin(np.arange(len(place)), start[:-1]), -1.0, place / where.chosen)
        rows = np.argsort(order)[: size + 1]
        limit = drawing.limits(where.chosen, order[rows[-1]], before)
        rows = rows[:-1]
        each = drawing.weights(place[rows], limit[rows])
    else:
        rows = np.argsort(place)[:size]
        each = np.ones(size)
    y, proba, truth = where.y[rows], where.proba[rows], where.truth
    told = bootstrap(
        y,
        proba,
        range(size),
        where.metric,
        positive=where.positive,
        rng=rng,
        resamples=RESAMPLES,
        even=True,
        weights=each,
    )
    low = bootstrap(
        y, proba, range(size), where.metric, positive=where.positive, confidence=0.9, rng=rng, resamples=RESAMPLES,
        weights=each,
    ).low  # fmt: skip
    if not told.known:
        return None
    plain = METRICS[where.metric].compute(y, proba, where.positive) - truth
    return Found(told.value - truth, told.low <= truth <= told.high, low > truth, plain, told.value - low)


def line(name: str, labels: int, metric: str, size: int, pairs: list[tuple[Found, Found]]) -> str:
    """One line of the table."""
    even, ours = ([pair[at] for pair in pairs] for at in (0, 1))
    error = [math.sqrt(np.mean([one.off**2 for one in found])) for found in (even, ours)]
    room = np.median([one.room for one in even]) / np.median([one.room for one in ours])
    off = np.array([one.off for one in ours])
    bias = off.mean() / (off.std() / math.sqrt(len(off)))
    return (
        f"{name:<13.13} {labels:>6} {metric:<18} {size:>5}  {100 * error[0]:5.2f} {100 * error[1]:8.2f}  "
        f"{(error[0] / error[1]) ** 2:6.2f} {room**2:6.2f}  {np.mean([one.covered for one in even]):5.1%} "
        f"{np.mean([one.covered for one in ours]):8.1%}  {np.mean([one.below for one in even]):5.1%} "
        f"{np.mean([one.below for one in ours]):8.1%}  {bias:5.1f} {100 * off.mean():6.2f}  "
        f"{100 * np.mean([one.unweighted for one in ours]):10.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=20, help="heads for each line")
    parser.add_argument("--draws", type=int, default=50, help="hold-outs for each head")
    parser.add_argument("--only", help="one data set")
    given = parser.parse_args()
    print(
        "data set      labels metric              size  error weighted  labels  bound  covered weighted  below weighted"
        "   bias points  unweighted"
    )
    for name, labels, metric, *share in CASES:
        if given.only not in {None, name}:
            continue
        places = [population(name, labels, metric, seed, given.folder, *share) for seed in range(given.seeds)]
        for size in SIZES:
            pairs = []
            for seed, where in enumerate(places):
                rng = np.random.default_rng([seed, size])
                for _ in range(given.draws):
                    even, ours = (drawn(where, size, rng, weighted=one) for one in (False, True))
                    if even and ours:
                        pairs.append((even, ours))
            title = f"{name} {share[0]:.0%}" if share else name
            print(line(title, labels, metric, size, pairs), flush=True)


if __name__ == "__main__":
    main()
