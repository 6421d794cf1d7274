"""Whether alearn's intervals cover the truth, and how often a loop stops although its target is not reached.

    python benchmarks/coverage.py intervals              2,000 simulated hold-outs for each line; about five minutes
    python benchmarks/coverage.py looks                  1,000 simulated loops of 30 looks for each line; about a minute
    python benchmarks/coverage.py looks --mind 0         the same where each round's model forgets the one before

intervals: nominal 95 %, central. Two classes whose scores are normal, two standard deviations apart. The truth is the
metric of two million items. "prudent" is what a target is judged by, "even" what is to be looked at, "exact" Clopper
and Pearson's, "wilson" Wilson's. "unknown" are hold-outs that cannot decide the metric (no positive item); they claim
nothing and are left out.

looks: the hold-out grows to 400 over the first 15 of 30 rounds, and each round's model is right about each item with
the same probability, near a target of 0.90. From round to round a model keeps its mind: the latent values that decide
whether it is right about an item are correlated by `--mind`, plus what every model finds hard about an item (`--hard`).
The target is judged at 95 % by schedules that split the error over the looks.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import pairwise
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from alearn.core.estimation import Interval, bootstrap, exact, lower_bound, wilson
from alearn.core.metrics import METRICS
from alearn.core.stopping import FEWEST, always_valid_bound, look_confidence, look_confidences, overlap

Floats = NDArray[np.float64]
Sample = tuple[NDArray[np.intp], Floats]

RESAMPLES = 400
TARGET, CONFIDENCE, LOOKS, SIZE, FULL_AT, PER_ROUND = 0.90, 0.95, 30, 400, 15, 20


def sample(n: int, prevalence: float, rng: np.random.Generator) -> Sample:
    """Items and the probabilities of a model that knows its business: the posterior of two normal classes."""
    y = (rng.random(n) < prevalence).astype(np.intp)
    score = rng.standard_normal(n) + 2 * y
    positive = 1 / (1 + np.exp(-(2 * score - 2 + np.log(prevalence / (1 - prevalence)))))
    return y, np.stack([1 - positive, positive], axis=1)


def rules(metric: str) -> dict[str, Callable[[Sample, np.random.Generator], Interval]]:
    """How an interval of a metric may be made."""

    def shares(rule: Callable[..., Interval]) -> Callable[[Sample, np.random.Generator], Interval]:
        return lambda one, rng: rule(int((one[1].argmax(axis=1) == one[0]).sum()), len(one[0]))

    def resampled(even: bool) -> Callable[[Sample, np.random.Generator], Interval]:
        return lambda one, rng: bootstrap(*one, range(len(one[0])), metric, rng=rng, resamples=RESAMPLES, even=even)

    found = {"prudent": resampled(False), "even": resampled(True)}
    return {**found, "exact": shares(exact), "wilson": shares(wilson)} if metric == "accuracy" else found


def intervals(seed: int, repeats: int) -> None:
    """A line for each metric, prevalence, size and way to make an interval."""
    print("metric             prevalence    n  interval  covered  truth below  truth above  width  unknown")
    for metric in ("accuracy", "macro_f1", "average_precision"):
        for prevalence in (0.5, 0.05):
            truth = METRICS[metric].compute(*sample(2_000_000, prevalence, np.random.default_rng(seed)), 1)
            for n in (50, 100, 400):
                rng = np.random.default_rng([seed, n])
                samples = [sample(n, prevalence, rng) for _ in range(repeats)]
                for name, rule in rules(metric).items():
                    told = _covered([rule(one, rng) for one in samples], truth)
                    print(f"{metric:<18} {prevalence:>10.0%} {n:>4}  {name:<8}  {told}", flush=True)


def _covered(found: list[Interval], truth: float) -> str:
    known = np.array([(one.low, one.high) for one in found if one.known])
    below, above = (truth < known[:, 0]).mean(), (truth > known[:, 1]).mean()
    unknown = 1 - len(known) / len(found)
    width = np.median(known[:, 1] - known[:, 0])
    return f"{1 - below - above:>7.1%}  {below:>11.1%}  {above:>11.1%}  {width:.3f}  {unknown:>7.1%}"


def loops(truth: float, mind: float, hard: float, repeats: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which items of the hold-out each round's model is right about, (repeats, LOOKS, SIZE).

    `hard` is the share of the latent variance that is the item's own, `mind` how much of the rest a model keeps.
    """
    own = rng.standard_normal((repeats, 1, SIZE))
    state = rng.standard_normal((repeats, SIZE))
    states = []
    for _ in range(LOOKS):
        states.append(state)
        state = mind * state + np.sqrt(1 - mind**2) * rng.standard_normal((repeats, SIZE))
    latent = np.sqrt(hard) * own + np.sqrt(1 - hard) * np.stack(states, axis=1)
    return latent < NormalDist().inv_cdf(truth)


def stops(right: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    """The hold-out labels at the look at which each rule stops each loop, infinite where none does, and the look."""
    sizes = np.minimum(np.arange(1, LOOKS + 1) * SIZE // FULL_AT, SIZE)
    hits = np.stack([right[:, look, :n].sum(axis=1) for look, n in enumerate(sizes)], axis=1)
    flat = {
        "every look at 95 %": np.full(LOOKS, CONFIDENCE),
        "1 / (k (k + 1))": np.array([look_confidence(CONFIDENCE, k, spread=1) for k in range(1, LOOKS + 1)]),
        "10 / ((k + 9) (k + 10))": np.array([look_confidence(CONFIDENCE, k) for k in range(1, LOOKS + 1)]),
        "6 / (pi k)^2": 1 - (1 - CONFIDENCE) * 6 / (np.pi * np.arange(1, LOOKS + 1)) ** 2,
        "by the hold-out's growth": _by_growth(sizes),
    }
    bounds = {name: lower_bound(hits, sizes, confidence=level) for name, level in flat.items()}
    alike = np.array([_levels(one, sizes) for one in right])
    bounds["by how alike looks are"] = lower_bound(hits, sizes, confidence=alike)
    bounds["confidence sequence"] = always_valid_bound(hits, sizes, confidence=CONFIDENCE)
    passed = {name: (low >= TARGET) & (sizes >= FEWEST) for name, low in bounds.items()}
    return {name: np.where(one.any(axis=1), one.argmax(axis=1) + 1.0, np.inf) for name, one in passed.items()}


def _by_growth(sizes: NDArray[np.intp]) -> Floats:
    """Half of the error as the hold-out grows, half shared by all looks."""
    grown = np.diff(sizes / SIZE, prepend=0.0)
    looks = np.array([1 - look_confidence(CONFIDENCE, k) for k in range(1, LOOKS + 1)])
    return 1 - ((1 - CONFIDENCE) * grown / 2 + looks / 2)


def _levels(right: NDArray[np.bool_], sizes: NDArray[np.intp]) -> list[float]:
    """The confidence at each look of a loop, from how alike its looks were."""
    seen = [np.where(np.arange(SIZE) < n, one, np.nan) for one, n in zip(right, sizes, strict=True)]
    return look_confidences(CONFIDENCE, [overlap(a, b) for a, b in pairwise(seen)])


def looks(seed: int, repeats: int, mind: float, hard: float) -> None:
    """False stops a little below the target; looks and labels to a stop above it."""
    print(f"mind {mind:g}, hard {hard:g}; labels: {PER_ROUND} for training a round, and the hold-out's")
    print("                                         two points above the target       five points above it")
    print("rule                        false stops  stopped  median look  labels      stopped  median look  labels")
    worlds = [
        stops(loops(TARGET + more, mind, hard, repeats, np.random.default_rng([seed, at])))
        for at, more in enumerate((-0.0001, 0.02, 0.05))
    ]
    for name in worlds[0]:
        false, two, five = (world[name] for world in worlds)
        print(
            f"{name:<26}  {np.isfinite(false).mean():>11.1%}  {np.isfinite(two).mean():>7.1%}  {_median(two)}"
            f"      {np.isfinite(five).mean():>7.1%}  {_median(five)}",
            flush=True,
        )


def _median(found: Floats) -> str:
    """The median look over all loops, those that never stop included, and what was labeled by then."""
    look = float(np.quantile(found, 0.5, method="higher"))
    if np.isinf(look):
        return f"{'-':>11}  {'-':>6}"
    return f"{look:>11.0f}  {look * PER_ROUND + min(look * SIZE // FULL_AT, SIZE):>6.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["intervals", "looks"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, help="default: 2000 hold-outs, or 1000 loops")
    parser.add_argument("--mind", type=float, default=0.97, help="how much of its mind a model keeps, in [0, 1]")
    parser.add_argument("--hard", type=float, default=0.6, help="how much of it lies in the items, in [0, 1]")
    asked = parser.parse_args()
    if asked.what == "intervals":
        intervals(asked.seed, asked.repeats or 2000)
    else:
        looks(asked.seed, asked.repeats or 1000, asked.mind, asked.hard)


if __name__ == "__main__":
    main()
