"""How many labels each query strategy needs, on six data sets, frozen features and alearn's own head.

    python benchmarks/label_efficiency.py --seeds 10-19                              all data sets, the usual strategies
    python benchmarks/label_efficiency.py --seeds 10-19 --peers                      and those of other packages
    python benchmarks/label_efficiency.py --data digits elpv --strategies auto margin --seeds 0-9 --jobs 2

A run labels a pool batch by batch, trains a head after each, and measures it on a test part drawn anew for each seed.
"Labels to x %" is the first round from which the mean of three rounds reaches x % of what the head makes of the whole
pool; it is the median over seeds, with its range. p: Wilcoxon's signed-rank test against random over the seeds, with
Holm's correction for all strategies of a table; a run that never gets there counts as the most labels that were tried.
Runs are kept under --home and not repeated. Data: see feature_sets.py.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from feature_sets import PROBLEMS, Floats, Labels, features, parts
from numpy.typing import NDArray

from alearn.core.comparison import holm, paired

USUAL = ["random", "auto", "margin", "entropy", "badge", "typiclust", "k_center", "max_herding", "uncertainty_herding"]
PEERS = ["skactiveml:Badge", "skactiveml:TypiClust", "skactiveml:CoreSet", "skactiveml:Falcun"]
PEERS += ["small-text:BreakingTies", "small-text:EmbeddingKMeans", "modal:uncertainty_batch_sampling"]
ALL_PAIRS = {"skactiveml:TypiClust", "skactiveml:Badge", "modal:uncertainty_batch_sampling"}
CENTRES = {"skactiveml:CoreSet", "small-text:EmbeddingKMeans"}
LEFT_OUT = {"fashion": ALL_PAIRS | CENTRES, "fashion-tail": ALL_PAIRS | CENTRES, "intents": ALL_PAIRS}
"""Where ten runs of them would take hours."""
SHARES = (0.9, 0.95)
ROUNDS = 3


def run(name: str, strategy: str, seed: int, home: Path) -> dict[str, Any]:
    """One loop: the metric after each batch, and the seconds that selecting took."""
    path = home / "runs" / f"{name} {strategy.replace(':', '_')} {seed}.json"
    if path.is_file():
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        found = played(name, strategy, seed, home)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))
    return found


def played(name: str, strategy: str, seed: int, home: Path) -> dict[str, Any]:
    """Label, train and measure, batch by batch, until there are `most` labels, or twice as many if that is too soon."""
    from alearn.core.metrics import METRICS
    from alearn.core.strategies import Pool, resolve
    from alearn.models import fit_head
    from alearn.simulation.peers import full_name

    problem, (x, y) = PROBLEMS[name], features(name, home)
    rows, test = parts(name, y, seed)
    x_pool, y_pool, classes = x[rows], y[rows], int(y.max()) + 1
    positive = 1 if classes == 2 else None
    aim = SHARES[-1] * full(name, seed, home)
    phases = Phases(strategy)
    labeled = np.zeros(len(rows), bool)
    labels, values, seconds, told = list[int](), list[float](), list[float](), list[str]()
    proba = None
    while labeled.sum() < min(problem.most * (1 if reached(labels, values, aim) < np.inf else 2), len(rows)):
        chosen, why = phases.choose(y_pool[labeled], classes, proba, problem.batch)
        pool = Pool(proba=proba, embeddings=x_pool, selectable=~labeled, labeled=labeled)
        rng, started = np.random.default_rng([seed, int(labeled.sum())]), time.perf_counter()
        picks = resolve(full_name(chosen)).select(pool, min(problem.batch, int((~labeled).sum())), rng)
        seconds.append(time.perf_counter() - started)
        labeled[picks] = True
        head = fit_head(x_pool[labeled], y_pool[labeled], classes, seed=seed)
        proba = head.proba(x_pool)
        labels.append(int(labeled.sum()))
        values.append(METRICS[problem.metric].compute(y[test], head.proba(x[test]), positive))
        told.append(why)
    return {"labels": labels, "values": values, "seconds": seconds, "told": told}


class Phases:
    """What is asked with in each round: `auto` as the loop does it; others after a first batch at random."""

    def __init__(self, strategy: str) -> None:
        self.strategy, self.answers = strategy, None

    def choose(self, y: Labels, classes: int, proba: Floats | None, batch: int) -> tuple[str, str]:
        """The strategy's name, and the phase."""
        from alearn.core.strategies import auto, resolve
        from alearn.simulation.peers import full_name

        if self.strategy != auto.NAME:
            early = proba is None and resolve(full_name(self.strategy)).needs & {"proba", "votes", "labels"}
            return ("random" if early else self.strategy), ""
        last, agreed = self.answers, None
        if proba is not None:
            self.answers = proba[:1000].argmax(axis=1)
            agreed = None if last is None else auto.agreement(last, self.answers)
        state = auto.State(np.bincount(y, minlength=classes), model=proba is not None, agreement=agreed)
        found = auto.choose(state)
        return found.name, found.phase


def full(name: str, seed: int, home: Path) -> float:
    """What the head makes of the whole pool."""
    path = home / "runs" / f"{name} full {seed}.json"
    if not path.is_file():
        from alearn.core.metrics import METRICS
        from alearn.models import fit_head

        x, y = features(name, home)
        rows, test = parts(name, y, seed)
        classes = int(y.max()) + 1
        head = fit_head(x[rows], y[rows], classes, seed=seed)
        value = METRICS[PROBLEMS[name].metric].compute(y[test], head.proba(x[test]), 1 if classes == 2 else None)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))
    return float(json.loads(path.read_text()))


def reached(labels: Sequence[int], values: Sequence[float], level: float) -> float:
    """The first number of labels from which the mean of three rounds reaches a level; infinite: none."""
    if len(values) < ROUNDS:
        return float("inf")
    means = np.convolve(values, np.ones(ROUNDS) / ROUNDS, mode="valid")
    found = np.flatnonzero(means >= level)
    return float(labels[found[0]]) if len(found) else float("inf")


@dataclass(frozen=True, eq=False)
class Found:
    """What a strategy needed on a data set: labels to each share by seed, infinite where it never got there."""

    needed: Mapping[float, NDArray[np.float64]]
    most: int
    area: float
    seconds: float

    def censored(self, share: float) -> NDArray[np.float64]:
        """With the most labels that were tried where it never got there."""
        return np.minimum(self.needed[share], 2 * self.most)


def found(name: str, strategy: str, seeds: Sequence[int], home: Path) -> Found:
    """The runs of a strategy, summed up; the area is over the usual number of labels, relative to all labels."""
    runs, most = [run(name, strategy, seed, home) for seed in seeds], PROBLEMS[name].most
    levels = [full(name, seed, home) for seed in seeds]
    needed = {
        share: np.array(
            [reached(one["labels"], one["values"], share * level) for one, level in zip(runs, levels, strict=True)]
        )
        for share in SHARES
    }
    usual = [np.array(one["values"])[np.array(one["labels"]) <= most] for one in runs]
    area = float(np.mean([np.mean(one) / level for one, level in zip(usual, levels, strict=True)]))
    return Found(needed, most, area, float(np.median(np.concatenate([one["seconds"] for one in runs]))))


def saved(one: Found, random: Found, share: float) -> tuple[float, str]:
    """What the median run saves against random's, and in words; at least so much where random never got there."""
    own, theirs = np.median(one.censored(share)), np.median(random.censored(share))
    value = float(1 - own / theirs)
    sign = ">" if np.isinf(np.median(random.needed[share])) and value > 0 else ""
    return value, f"{sign}{value:.0%}"


def table(name: str, found: Mapping[str, Found], seeds: Sequence[int], home: Path) -> None:
    """A data set: labels to 90 and to 95 % of the full metric, what is saved against random, and how sure that is."""
    problem, level = PROBLEMS[name], np.mean([full(name, seed, home) for seed in seeds])
    print(f"\n{name}: {problem.metric} {level:.3f} with all labels; batches of {problem.batch}; {len(seeds)} seeds")
    head = "".join(f"{f'to {share:.0%}':>18}{'saved':>7}{'p':>7}" for share in SHARES)
    print(f"{'strategy':<34}{head}{'area':>7}{'s/round':>9}")
    others = [one for one in found if one != "random"]
    p = {
        share: dict(zip(others, holm([against(found[one], found["random"], share) for one in others]), strict=True))
        for share in SHARES
    }
    for strategy, one in found.items():
        cells = ""
        for share in SHARES:
            own = one.needed[share]
            told = f"{np.median(own):>6.0f} [{own.min():.0f}-{own.max():.0f}]"
            sure = f"{p[share][strategy]:.3f}" if strategy in p[share] else ""
            cells += f"{told:>18}{saved(one, found['random'], share)[1]:>7}{sure:>7}"
        print(f"{strategy:<34}{cells}{one.area:>7.3f}{one.seconds:>9.3f}", flush=True)


def against(one: Found, other: Found, share: float) -> float:
    """The p-value that both need equally many labels."""
    return paired(other.censored(share), one.censored(share)).p


def summary(all_found: Mapping[str, Mapping[str, Found]]) -> None:
    """Over the data sets: what is saved to 95 %, where a strategy is first or tied, and where it loses to random."""
    share, names = SHARES[-1], list(all_found)
    strategies = [one for one in next(iter(all_found.values())) if all(one in found for found in all_found.values())]
    print(f"\nsaved against random to {share:.0%}; * first, or not worse than the first by a paired test (p >= 0.05)")
    print(f"{'strategy':<34}" + "".join(f"{name:>14}" for name in names) + f"{'median':>8}{'first':>6}{'worse':>6}")
    for strategy in strategies:
        cells, values, first, worse = "", [], 0, 0
        for found in all_found.values():
            value, words = saved(found[strategy], found["random"], share)
            tied, lost = ties(found, strategy, share), loses(found[strategy], found["random"], share)
            values, first, worse = [*values, value], first + tied, worse + lost
            cells += f"{words + ('*' if tied else ' '):>14}"
        print(f"{strategy:<34}{cells}{np.median(values):>8.0%}{first:>6}{worse:>6}")
    print("worse: data sets on which it needs more labels than random, by a paired test (p < 0.05)")


def ties(found: Mapping[str, Found], strategy: str, share: float) -> bool:
    """Whether no strategy with a lower mean is significantly ahead of this one."""
    mine = found[strategy]
    best = min(found.values(), key=lambda one: float(np.mean(one.censored(share))))
    return best is mine or against(mine, best, share) >= 0.05


def loses(one: Found, random: Found, share: float) -> bool:
    """Whether it needs more labels than random, beyond chance."""
    return against(one, random, share) < 0.05 and one.censored(share).mean() > random.censored(share).mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=list(PROBLEMS), default=list(PROBLEMS))
    parser.add_argument("--strategies", nargs="+", default=USUAL)
    parser.add_argument("--peers", action="store_true", help="needs scikit-activeml and small-text")
    parser.add_argument("--seeds", default="0-9", help="from-to")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--home", type=Path, default=Path("runs/benchmarks/label-efficiency"))
    given = parser.parse_args()
    first, _, last = given.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    given.home.mkdir(parents=True, exist_ok=True)
    for name in given.data:
        features(name, given.home)
    entered = {
        name: [
            one
            for one in dict.fromkeys(["random", *given.strategies, *(PEERS if given.peers else [])])
            if one not in LEFT_OUT.get(name, ())
        ]
        for name in given.data
    }
    all_found = {}
    with ProcessPoolExecutor(given.jobs) as workers:
        for name, strategies in entered.items():
            wait: list[Future[Any]] = [workers.submit(full, name, seed, given.home) for seed in seeds]
            for one in wait:
                one.result()
            wait = [workers.submit(run, name, one, seed, given.home) for seed in seeds for one in strategies]
            for one in wait:
                one.result()
            all_found[name] = {one: found(name, one, seeds, given.home) for one in strategies}
            table(name, all_found[name], seeds, given.home)
    summary(all_found)


if __name__ == "__main__":
    main()
