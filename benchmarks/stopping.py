"""Rules to stop, side by side on the same simulated runs: labels spent, metric reached, was the target truly met.

    python benchmarks/stopping.py --home HOME                   five data sets, seeds 10-19; ten minutes on one core
    python benchmarks/stopping.py --home HOME --data elpv spam --seeds 0-19 --share 0.95

HOME holds the features of label_efficiency.py (or they are made, see feature_sets.py). Needs small-text; without it its
rules are left out. A run asks by margin, batch by batch, and trains alearn's head after each. All rules look at the
same rounds and none changes them; one that has not stopped after the last round counts with that. The target is a share
(--share) of what the head makes of the whole pool. What is told is measured on a test part that no rule sees:

labels   spent when the rule stops: those trained on, and for the rules that look at it the hold-out's (+), which gets
         as many labels as training until it has 200, and more where only its size keeps the target open, as in a loop
x first  the same divided by the training labels at which the test part first reaches the target
metric   what the model is worth when the rule stops;  lost: how much less than at the best round of the whole run
met      in how many runs the target was truly met when the rule stopped;  stopped: in how many it stopped at all

ASReview's users stop after so many irrelevant records in a row. They ask for the likeliest first (*), so that is run,
too, on the sets with two classes; the same rules on the runs by margin show what they are worth there. small-text's
OverallUncertainty, which is slow, is given 500 of the items that are left.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from feature_sets import PROBLEMS, Floats, Labels, features, parts
from numpy.typing import NDArray

from alearn.core.estimation import Interval, bootstrap, contributions, labels_to_pass, labels_to_tighten
from alearn.core.forecast import forecast
from alearn.core.metrics import METRICS
from alearn.core.stopping import (
    FEWEST,
    Target,
    kappa,
    look_confidences,
    overlap,
    plateau,
    reached,
    stable,
    sure,
    unchanged,
)
from alearn.core.strategies import Pool, resolve
from alearn.models import fit_head

DATA = ("digits", "fashion", "elpv", "intents", "spam")
CONFIDENCE = 0.95
HOLDOUT, MOST, HELD = 200, 800, 0.2
WATCHED = 1000
AHEAD, GAIN = 100, 0.005
SOME = 500


@dataclass(frozen=True, eq=False)
class Round:
    """What a rule may look at after a round, the newest of all: `answers` are the classes of the training labels in the
    order in which they came, `proba` is about the whole pool, `watched` are rows of it, `interval` is the hold-out's.
    """

    labels: int
    held: int
    answers: Labels
    proba: Floats
    before: Floats | None
    unlabeled: NDArray[np.intp]
    watched: NDArray[np.intp]
    interval: Interval | None
    target: Target
    curve: Sequence[tuple[float, float]]
    errors: Sequence[float]
    seed: int


@dataclass
class Rule:
    """`stop` is asked after each round until it says yes; `holdout`: it looks at that."""

    name: str
    stop: Callable[[Round], bool]
    holdout: bool = False


@dataclass
class Series:
    """A rule of alearn that looks back over numbers, one each round."""

    number: Callable[[Round], float | None]
    rule: Callable[[Sequence[float]], Any]
    values: list[float] = field(default_factory=list)

    def __call__(self, now: Round) -> bool:
        value = self.number(now)
        if value is not None:
            self.values.append(value)
        return bool(self.rule(self.values).stop)


def agreement(now: Round) -> float | None:
    """Kappa of this model and the one before on what is watched, as the loop reckons it."""
    if now.before is None:
        return None
    return kappa(now.before[now.watched].argmax(axis=1), now.proba[now.watched].argmax(axis=1))


def change(now: Round) -> float | None:
    """The share of the watched answers that changed."""
    if now.before is None:
        return None
    return float(np.mean(now.before[now.watched].argmax(axis=1) != now.proba[now.watched].argmax(axis=1)))


def entropy(now: Round) -> float:
    """The mean entropy of what is left of the pool, as a share of the largest there is."""
    p = np.clip(now.proba[now.unlabeled], 1e-12, 1)
    return float(-(p * np.log(p)).sum(axis=1).mean() / math.log(p.shape[1]))


def flat(now: Round) -> bool:
    """alearn's plateau with the config's defaults."""
    found = forecast(now.curve, rng=np.random.default_rng(now.seed), error=now.errors) if len(now.curve) > 2 else None
    return plateau(found, AHEAD, GAIN).stop


def both(*rules: Callable[[Round], bool]) -> Callable[[Round], bool]:
    """All of them at the same round, each of them asked."""

    def stop(now: Round) -> bool:
        said = [rule(now) for rule in rules]
        return all(said)

    return stop


def irrelevant(n: int | float) -> Callable[[Round], bool]:
    """So many irrelevant answers in a row; a float is a share of the pool."""

    def stop(now: Round) -> bool:
        least = n if isinstance(n, int) else math.ceil(n * len(now.proba))
        relevant = np.flatnonzero(now.answers == 1)
        return bool(len(relevant)) and len(now.answers) - 1 - int(relevant[-1]) >= least

    return stop


def small_text(name: str, classes: int, **options: Any) -> Callable[[Round], bool]:
    """A stopping criterion of small-text, given what its documentation says: the whole pool, or what is left of it."""
    import small_text.stopping_criteria as theirs

    rule = getattr(theirs, name)(classes, **options)

    def stop(now: Round) -> bool:
        some = np.random.default_rng(now.seed).permutation(now.unlabeled)[:SOME]
        return bool(rule.stop(predictions=now.proba.argmax(axis=1), proba=now.proba, indices_stopping=some))

    return stop


def alearns() -> Iterator[Rule]:
    """alearn's rules; "target" is what its loops stop at, "estimate" is what it would be without an interval."""
    yield Rule("alearn target", lambda now: reached(now.interval, now.target).stop, holdout=True)
    yield Rule("  estimate alone", _estimate, holdout=True)
    yield Rule("alearn plateau", flat, holdout=True)
    yield Rule("alearn stability", Series(agreement, stable))
    yield Rule("  plateau and stability", both(flat, Series(agreement, stable)), holdout=True)
    yield Rule("alearn unchanged", Series(change, unchanged))
    yield Rule("alearn sure", Series(entropy, lambda values: sure(values, most=0.05)))


def _estimate(now: Round) -> bool:
    found = now.interval
    return found is not None and found.n >= FEWEST and found.value >= now.target.value


def peers(classes: int) -> Iterator[Rule]:
    """small-text's with their defaults, and one that is less strict."""
    if importlib.util.find_spec("small_text") is None:
        return
    yield Rule("small-text KappaAverage", small_text("KappaAverage", classes))
    yield Rule("small-text ClassificationChange", small_text("ClassificationChange", classes))
    yield Rule("  threshold 0.01", small_text("ClassificationChange", classes, threshold=0.01))
    yield Rule("small-text OverallUncertainty", small_text("OverallUncertainty", classes))
    if classes == 2:
        yield Rule("small-text DeltaFScore", small_text("DeltaFScore", classes))


def screening(mark: str) -> Iterator[Rule]:
    """ASReview's users' rules."""
    for told, n in (("50", 50), ("100", 100), ("5 % of the pool", 0.05)):
        yield Rule(f"{told} irrelevant in a row{mark}", irrelevant(n))


@dataclass(frozen=True)
class Stopped:
    """Where a rule stopped in a run, and what that was worth."""

    labels: int
    first: float
    value: float
    lost: float
    met: bool
    stopped: bool


class Holdout:
    """Items set apart, labeled as alearn's loop does, and the looks at them so far."""

    def __init__(self, x: Floats, y: Labels, target: Target, batch: int, seed: int) -> None:
        self.x, self.y, self.target, self.batch, self.seed = x, y, target, batch, seed
        self.size, self.n, self.most = min(HOLDOUT, len(y)), 0, min(MOST, len(y))
        self.overlaps, self.last = list[float](), None
        self.interval: Interval | None = None
        self.curve, self.errors = list[tuple[float, float]](), list[float]()

    def look(self, head: Any, labels: int) -> None:
        """Label as many as a batch, and measure with the bounds that this look may have."""
        known, self.n = self.n, min(self.n + self.batch, self.size)
        y, proba, goal = self.y[: self.n], head.proba(self.x), self.target
        if self.n < FEWEST:
            return
        if self.last is not None:
            was, now = (
                contributions(y, one[: self.n], goal.metric, positive=goal.positive) for one in (self.last, proba)
            )
            was[known:] = np.nan
            self.overlaps.append(overlap(was, now))
        self.last = proba
        confidence = look_confidences(CONFIDENCE, self.overlaps)[-1]
        rng = np.random.default_rng([self.seed, labels])
        self.interval = bootstrap(
            y,
            proba[: self.n],
            range(self.n),
            goal.metric,
            positive=goal.positive,
            confidence=2 * confidence - 1,
            rng=rng,
        )
        if self.interval.known:
            self.curve.append((float(labels), self.interval.value))
            spread = self.interval.value - self.interval.low
            self.errors.append(spread / max(NormalDist().inv_cdf(min(confidence, 1 - 1e-9)), 0.5))
        self._grow()

    def _grow(self) -> None:
        """More hold-out labels, where only their number keeps the target open; as `alearn.loop.deciding`."""
        found, goal = self.interval, self.target
        if found is None or not found.value > goal.value or self.n < self.size or self.size >= self.most:
            return
        needed = (
            labels_to_pass(found.value, goal.value, confidence=CONFIDENCE)
            if goal.metric == "accuracy"
            else labels_to_tighten(found, found.value - goal.value)
        )
        self.size = min(max(needed or self.most, self.size + 1), self.size + self.batch, self.most)


def played(name: str, seed: int, home: Path, share: float, *, likeliest: bool) -> dict[str, Stopped]:
    """A run, and where each rule stops in it."""
    problem, (x, y) = PROBLEMS[name], features(name, home)
    rows, test = parts(name, y, seed)
    classes, metric = int(y.max()) + 1, problem.metric
    positive = 1 if classes == 2 else None
    measure = METRICS[metric].compute
    full = measure(y[test], fit_head(x[rows], y[rows], classes, seed=seed).proba(x[test]), positive)
    apart = rows[: min(MOST, int(HELD * len(rows)))]
    rows = rows[len(apart) :]
    target = Target(metric, share * full, positive, CONFIDENCE)
    held = Holdout(x[apart], y[apart], target, problem.batch, seed)
    rules = list(
        screening(" *") if likeliest else [*alearns(), *peers(classes), *(screening("") if classes == 2 else ())]
    )
    watched = np.random.default_rng(seed).permutation(len(rows))[:WATCHED]
    order, at, values = np.empty(0, np.intp), dict[str, int](), list[float]()
    spent, proba = list[tuple[int, int]](), None
    while len(order) < min(problem.most, len(rows)) and (len(at) < len(rules) or not likeliest):
        before, labeled = proba, np.zeros(len(rows), bool)
        labeled[order] = True
        picks = chosen(x[rows], proba, labeled, problem.batch, likeliest, np.random.default_rng([seed, len(order)]))
        order = np.concatenate([order, picks])
        labeled[picks] = True
        head = fit_head(x[rows[order]], y[rows[order]], classes, seed=seed)
        proba = head.proba(x[rows])
        values.append(measure(y[test], head.proba(x[test]), positive))
        held.look(head, len(order))
        spent.append((len(order), held.n))
        now = Round(
            len(order), held.n, y[rows[order]], proba, before, np.flatnonzero(~labeled), watched, held.interval, target,
            held.curve, held.errors, seed,
        )  # fmt: skip
        at.update({rule.name: len(values) - 1 for rule in rules if rule.name not in at and rule.stop(now)})
    return {
        rule.name: ended(rule, at.get(rule.name), spent, values, target.value) for rule in [*rules, *first(likeliest)]
    }


def chosen(
    x: Floats, proba: Floats | None, labeled: NDArray[np.bool_], batch: int, likeliest: bool, rng: np.random.Generator
) -> NDArray[np.intp]:
    """The next rows, the first to be asked first."""
    batch = min(batch, int((~labeled).sum()))
    if proba is not None and likeliest:
        left = np.flatnonzero(~labeled)
        return left[np.argsort(-proba[left, 1], kind="stable")[:batch]]
    pool = Pool(proba=proba, embeddings=x, selectable=~labeled, labeled=labeled)
    return resolve("random" if proba is None else "margin").select(pool, batch, rng)


FIRST = "the first round that meets it"


def first(likeliest: bool) -> list[Rule]:
    """What somebody would do who knew the test part."""
    return [] if likeliest else [Rule(FIRST, lambda _: False)]


def ended(
    rule: Rule, at: int | None, spent: Sequence[tuple[int, int]], values: Sequence[float], goal: float
) -> Stopped:
    """What a rule came to; `at` is the round, None: it never stopped."""
    meets = [number for number, value in enumerate(values) if value >= goal]
    if rule.name == FIRST:
        at = meets[0] if meets else None
    stop = len(values) - 1 if at is None else at
    labels = spent[stop][0] + (spent[stop][1] if rule.holdout else 0)
    least = spent[meets[0]][0] if meets else math.nan
    return Stopped(
        labels, labels / least, values[stop], max(values) - values[stop], values[stop] >= goal, at is not None
    )


def line(name: str, rows: Sequence[Stopped], *, holdout: bool, labels: bool = True) -> str:
    """A rule's line of the table."""
    counts = [one.labels for one in rows]
    told = f"{np.median(counts):>6.0f}{'+' if holdout else ' '}[{min(counts)}-{max(counts)}]" if labels else ""
    times = np.median([one.first for one in rows])  # not a number where a run never meets the target
    value = f"{np.median([one.value for one in rows]):.3f}" if labels else ""
    lost, met, stopped = (np.mean([getattr(one, key) for one in rows]) for key in ("lost", "met", "stopped"))
    return f"{name:<34}{told:<19}{times:>8.1f}{value:>9}{lost:>8.3f}{met:>7.0%}{stopped:>9.0%}"


def table(found: Mapping[str, Mapping[str, Sequence[Stopped]]]) -> None:
    """All data sets one below the other, and what they come to together."""
    head = f"{'rule':<34}{'labels':<19}{'x first':>8}{'metric':>9}{'lost':>8}{'met':>7}{'stopped':>9}"
    looks = {rule.name for rule in alearns() if rule.holdout}
    for name, rules in found.items():
        print(f"\n{name} ({PROBLEMS[name].metric})\n{head}")
        for rule, rows in rules.items():
            print(line(rule, rows, holdout=rule in looks))
    print(f"\nall data sets that a rule is for\n{head}")
    for rule in dict.fromkeys(rule for rules in found.values() for rule in rules):
        rows = [one for rules in found.values() for one in rules.get(rule, ())]
        print(line(rule, rows, holdout=rule in looks, labels=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=list(PROBLEMS), default=list(DATA))
    parser.add_argument("--seeds", default="10-19", help="from-to")
    parser.add_argument("--share", type=float, default=0.9, help="the target, of what the whole pool gives")
    parser.add_argument("--home", type=Path, default=Path("runs/benchmarks/label-efficiency"))
    given = parser.parse_args()
    begin, _, last = given.seeds.partition("-")
    seeds = range(int(begin), int(last or begin) + 1)
    given.home.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[str, list[Stopped]]] = {}
    started = time.perf_counter()
    for name in given.data:
        rules = found.setdefault(name, {})
        two = int(features(name, given.home)[1].max()) == 1
        for seed in seeds:
            for likeliest in (False, True) if two else (False,):
                for rule, one in played(name, seed, given.home, given.share, likeliest=likeliest).items():
                    rules.setdefault(rule, []).append(one)
        print(f"{name}: {len(seeds)} runs, {time.perf_counter() - started:.0f} s", flush=True)
    table(found)


if __name__ == "__main__":
    main()
