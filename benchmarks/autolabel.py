"""Whether the automatic labels are as precise as their certificate says, and how much of the pool they are.

    python benchmarks/autolabel.py real FOLDER      200 splits of each data set, at 98 %; about ten minutes
    python benchmarks/autolabel.py looks FOLDER     the same, looked at after every batch until something is certified
    python benchmarks/autolabel.py groups           1,000 simulated pools whose items err in groups; about five minutes

FOLDER holds a NAME.npz (x, y) of each data set, made by benchmarks/feature_sets.py. A split puts a fifth to a half of
the items aside, draws the hold-out from those, and lets margin sampling (or chance) choose training labels among the
others in five rounds, with alearn's head. The pool is all that nobody was asked about. "below" is the share of the
splits in which fewer than 98 % of the automatic labels are right; at most 5 % may be. The last two columns are what is
left of that promise without allowing for the asked, and with the threshold that has 98 % on the hold-out itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alearn.core.certificate import automatic, certify
from alearn.loop.evidence import independent
from alearn.models.head import fit_head

Floats = NDArray[np.float32]
Labels = NDArray[np.intp]

PRECISION, SIZES, ROUNDS, MOST = 0.98, (200, 500, 1000), 5, 6000
SETS = {
    "digits": (150, ("margin", "random")),
    "elpv": (600, ("margin",)),
    "fashion": (500, ("margin",)),
    "intents": (900, ("margin",)),
    "spam": (300, ("margin", "random")),
}
"""Training labels, and how they are chosen."""
FEW = 2
"""Data sets of more classes are not labeled class by class: their classes have too few hold-out labels each."""


@dataclass(frozen=True)
class Outcome:
    """What came of a certificate: how much of the pool was labeled, and how precisely; NaN where nothing was."""

    share: float
    precision: float

    @property
    def broken(self) -> bool:
        return self.precision < PRECISION - 1e-12


@dataclass(frozen=True)
class Case:
    """A hold-out and a pool with their truth, and what the model says of both; `asked` left the pool."""

    y: Labels
    proba: Floats
    truth: Labels
    pool: Floats
    asked: int

    def outcome(self, per_class: bool = False, allowing: bool = True, confidence: float = 0.95) -> Outcome:
        found = certify(
            self.y,
            self.proba,
            self.pool,
            precision=PRECISION,
            confidence=confidence,
            per_class=per_class,
            asked=self.asked if allowing else 0,
        )
        return self._judged(automatic(self.pool, found))

    def naive(self) -> Outcome:
        """The loosest threshold at which the hold-out itself has the precision."""
        order = np.argsort(-self.proba.max(axis=1))
        wrong = np.cumsum(self.proba.argmax(axis=1)[order] != self.y[order])
        good = np.flatnonzero(wrong <= (1 - PRECISION) * np.arange(1, len(order) + 1))
        at = self.proba.max(axis=1)[order][good[-1]] if len(good) else 2.0
        return self._judged(np.where(self.pool.max(axis=1) >= at, self.pool.argmax(axis=1), -1))

    def _judged(self, given: Labels) -> Outcome:
        taken = given >= 0
        right = float((given == self.truth)[taken].mean()) if taken.any() else np.nan
        return Outcome(float(taken.mean()), right)


def chosen(
    x: Floats, y: Labels, side: Labels, most: int, how: str, rng: np.random.Generator
) -> Iterator[tuple[Labels, bool]]:
    """The training rows after each round, chosen among those of a side; whether it is the last."""
    batch, classes = most // ROUNDS, int(y.max()) + 1
    rows = rng.choice(side, batch, replace=False)
    for number in range(1, ROUNDS + 1):
        yield rows, number == ROUNDS
        left = np.setdiff1d(side, rows)
        if how == "margin":
            head = fit_head(x[rows], y[rows], classes, seed=0, strength=0.03, temperature=1.0)
            best = np.partition(head.proba(x[left]), -2, axis=1)
            fresh = left[np.argsort(best[:, -1] - best[:, -2])[:batch]]
        else:
            fresh = rng.choice(left, batch, replace=False)
        rows = np.concatenate([rows, fresh])


def cases(x: Floats, y: Labels, order: Labels, rows: Labels, sizes: tuple[int, ...]) -> Iterator[tuple[int, Case]]:
    """A head on the training rows, with so many of the first of the order as the hold-out."""
    proba = fit_head(x[rows], y[rows], int(y.max()) + 1, seed=0).proba(x)
    for size in sizes:
        held, pool = order[:size], np.setdiff1d(order[size:], rows)
        yield size, Case(y[held], proba[held], y[pool], proba[pool], len(rows))


def splits(
    x: Floats, y: Labels, repeats: int, seed: int
) -> Iterator[tuple[np.random.Generator, Labels, Labels, tuple[int, ...]]]:
    """For each split: randomness, all rows in an order, the rows that may be asked about, the hold-out's sizes."""
    for at in range(repeats):
        rng = np.random.default_rng([seed, at])
        order = rng.permutation(len(y))[:MOST]
        sizes = tuple(size for size in SIZES if size <= 0.56 * len(order))
        yield rng, order, order[sizes[-1] :], sizes


def real(folder: Path, repeats: int, seed: int) -> None:
    print(
        "data set  training      trained  hold-out  certified  labeled (share)  precision  below 98 %"
        "   per class: labeled  below  |  asked not allowed for  naive"
    )
    for name, (most, ways) in SETS.items():
        found = np.load(folder / f"{name}.npz")
        x, y = found["x"].astype(np.float32), found["y"].astype(np.intp)
        few = int(y.max()) < FEW
        for how in ways:
            told: dict[int, list[list[Outcome]]] = {}
            for rng, order, side, sizes in splits(x, y, repeats, seed):
                rows = next(one for one, last in chosen(x, y, side, most, how, rng) if last)
                for size, one in cases(x, y, order, rows, sizes):
                    each = one.outcome(per_class=True) if few else one.outcome()
                    outcomes = [one.outcome(), each, one.outcome(allowing=False), one.naive()]
                    told.setdefault(size, []).append(outcomes)
            for size, some in told.items():
                print(f"{name:<9} {how:<12} {most:>8} {size:>9}  {_line(some, few)}", flush=True)


def _line(told: list[list[Outcome]], few: bool) -> str:
    main, each, plain, naive = (list(one) for one in zip(*told, strict=True))
    certified = [one for one in main if one.share > 0]
    precision = np.mean([one.precision for one in certified]) if certified else np.nan
    by_class = f"{np.mean([one.share for one in each]):>18.1%}  {_below(each):>5}" if few else f"{'-':>18}  {'-':>5}"
    return (
        f"{len(certified) / len(main):>9.0%}  {np.mean([one.share for one in main]):>15.1%}  {precision:>9.2%}"
        f"  {_below(main):>10}   {by_class}  |  {_below(plain):>21}  {_below(naive):>5}"
    )


def _below(found: list[Outcome]) -> str:
    return f"{np.mean([one.broken for one in found]):.1%}"


def looks(folder: Path, repeats: int, seed: int) -> None:
    """Labeling at the first certificate of five looks, each at 95 %, or at 99 % so that all together have 95 %."""
    print("data set  hold-out  looked at      certified  labeled (share)  below 98 %")
    for name, (most, _) in SETS.items():
        found = np.load(folder / f"{name}.npz")
        x, y = found["x"].astype(np.float32), found["y"].astype(np.intp)
        told: dict[tuple[int, float], list[Outcome]] = {}
        for rng, order, side, sizes in splits(x, y, repeats, seed):
            done = set[tuple[int, float]]()
            for rows, last in chosen(x, y, side, most, "margin", rng):
                for size, one in cases(x, y, order, rows, sizes):
                    for level in (0.95, 0.99):
                        outcome = one.outcome(confidence=level)
                        if (size, level) not in done and (outcome.share > 0 or last):
                            done.add((size, level))
                            told.setdefault((size, level), []).append(outcome)
        for (size, level), some in sorted(told.items()):
            certified = np.mean([one.share > 0 for one in some])
            print(
                f"{name:<9} {size:>8}  5 times, {level:.0%}  {certified:>9.0%}  "
                f"{np.mean([one.share for one in some]):>15.1%}  {_below(some):>10}",
                flush=True,
            )


def groups(repeats: int, seed: int) -> None:
    """Items of a group are right or wrong together, and large groups are harder."""
    print("groups of          hold-out labels  counted             certified  labeled (share)  below 98 %")
    shapes: dict[str, Callable[[np.random.Generator, int], Labels]] = {
        "8 each": lambda _, n: np.full(n, 8),
        "1 to 8": lambda rng, n: rng.integers(1, 9, n),
    }
    for shape, draw in shapes.items():
        told: dict[str, list[Outcome]] = {"every item": [], "one of each group": []}
        for at in range(repeats):
            rng = np.random.default_rng([seed, at])
            held, rest = _grouped(draw(rng, 500), rng), _grouped(draw(rng, 2000), rng)
            for name, outcomes in told.items():
                outcomes.append(_grouped_outcome(held, rest, apart=name != "every item"))
        for name, outcomes in told.items():
            share, certified = (np.mean([f(one) for one in outcomes]) for f in (_share, _certified))
            told_of = f"{shape:<18} {'of 500 groups':>15}  {name:<18}"
            print(f"{told_of}  {certified:>9.0%}  {share:>15.1%}  {_below(outcomes):>10}", flush=True)


def _share(one: Outcome) -> float:
    return one.share


def _certified(one: Outcome) -> float:
    return float(one.share > 0)


@dataclass(frozen=True)
class Grouped:
    """Items of two classes, the truth always the first, in groups."""

    keys: list[str]
    group: dict[str, str]
    proba: Floats

    def rows(self, keys: list[str]) -> Floats:
        at = {key: row for row, key in enumerate(self.keys)}
        return self.proba[[at[key] for key in keys]]


def _grouped(sizes: Labels, rng: np.random.Generator) -> Grouped:
    """Groups of these sizes: of the surest few are wrong, of the others more, of large ones four times as many."""
    of = np.repeat(np.arange(len(sizes)), sizes)
    sure = np.repeat(rng.random(len(sizes)), sizes)
    risk = 0.03 * (1 - sure) ** 2 * np.repeat(0.4 + 1.2 * (sizes - 1) / 7, sizes) + 0.004
    wrong = np.repeat(rng.random(len(sizes)), sizes) < risk
    top = 0.6 + 0.4 * sure
    proba = np.where(wrong[:, None], np.stack([1 - top, top], 1), np.stack([top, 1 - top], 1)).astype(np.float32)
    salt = int(rng.integers(2**60))
    keys = [f"{salt}-{at}" for at in range(len(of))]
    return Grouped(keys, {key: f"{salt}-{one}" for key, one in zip(keys, of.tolist(), strict=True)}, proba)


def _grouped_outcome(held: Grouped, rest: Grouped, *, apart: bool) -> Outcome:
    kept, there = held.keys, rest.keys
    if apart:
        kept = independent(kept, held.group, seed=0, even=True)
        there = independent(there, rest.group, seed=0, even=False)
    proba = held.rows(kept)
    found = certify(np.zeros(len(kept), int), proba, rest.rows(there), precision=PRECISION)
    given = automatic(rest.proba, found)
    taken = given >= 0
    return Outcome(float(taken.mean()), float((given[taken] == 0).mean()) if taken.any() else np.nan)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["real", "looks", "groups"])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("runs/benchmarks"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, help="default: 200 splits, or 1000 pools")
    asked = parser.parse_args()
    if asked.what == "groups":
        groups(asked.repeats or 1000, asked.seed)
    else:
        (real if asked.what == "real" else looks)(asked.folder, asked.repeats or 200, asked.seed)


if __name__ == "__main__":
    main()
