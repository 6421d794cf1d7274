"""How good forecasts of real learning curves are: fitted to the first half of the labels, asked about twice as many.

    python benchmarks/label_efficiency.py --seeds 10-19 --peers --home HOME     makes the curves, or a part of them
    python benchmarks/forecast.py --home HOME                                   seeds 15-19
    python benchmarks/forecast.py --home HOME --seeds 10-14                     the seeds on which it was tuned

A curve is one strategy with one seed on one data set. "covered": the share of curves whose last value lies in the 80 %
interval of the forecast; "error": the median distance of the forecast from it, beside that of "nothing more will come".
"to level": the labels to the value that the whole curve reaches at three quarters of its labels (the first of three
rounds whose mean is there), forecast at the half; covered where they lie in the 80 % interval, error as a share.

"to certainty" plays a loop's looks on the curves of accuracies: a hold-out that gets half of all labels until it has
200, and up to 800 where only its size keeps the target open, measures each round; an item of it is right where its luck
is below the true accuracy. The target is what the whole curve reaches at a quarter of its labels. A forecast is made at
a third of them, where the bound has not passed it yet. "said" is the mean chance it gave that it would by the end of
the curve, "came" the share in which it did, "level" the chance that the level alone would be measured. Of those that
came, which are the lucky ones: "covered" as above, "x" how many times what the forecast said the labels were, those of
the hold-out included, at the median, and "x level" the same of the labels to the level alone.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np

from alearn.core.curves import Curve, labels_to
from alearn.core.estimation import Interval, labels_to_pass, lower_bound
from alearn.core.forecast import Growth, forecast
from alearn.core.stopping import FEWEST, look_confidences, overlap

NAME = re.compile(r"(?P<data>\S+) (?P<strategy>\S+) (?P<seed>\d+)\.json")
ROUNDS = 3
CONFIDENCE = 0.95
HOLDOUT, MOST, RATE = 200, 800, 0.5
ACCURACIES = ("digits", "fashion", "intents", "spam")
"""Data sets whose curves are accuracies: what a hold-out says of one can be drawn."""


@dataclass(frozen=True)
class Tried:
    """One forecast and what came true: `covered`, `error`, `idle` error, `width`; and the same of labels to a level."""

    data: str
    covered: bool
    error: float
    idle: float
    width: float
    reached: bool | None
    off: float


def curves(home: Path, seeds: range) -> Iterator[tuple[str, Curve]]:
    """The data set's name and the curve of each run that is kept."""
    for path in sorted((home / "runs").glob("*.json")):
        found = NAME.fullmatch(path.name)
        if found and found["strategy"] != "full" and int(found["seed"]) in seeds:
            run = json.loads(path.read_text())
            yield found["data"], list(zip(run["labels"], run["values"], strict=True))


def tried(data: str, curve: Curve) -> Tried | None:
    """A forecast of the end of a curve from its first half; None where that has too few rounds."""
    end, value = curve[-1]
    half = [one for one in curve if one[0] <= end / 2]
    found = forecast(half, rng=np.random.default_rng(0))
    if found is None:
        return None
    told = found.value(end)
    known = half[-1][0]
    level = float(np.mean([height for labels, height in curve if labels >= 0.75 * end][:ROUNDS]))
    truth = labels_to(curve, level, window=ROUNDS)
    reached, off = None, math.nan
    if truth is not None and truth > known and level > found.now:
        more = found.outlook(level, int(4 * end)).labels
        reached = more.low <= truth - known <= more.high
        off = abs(known + more.median - truth) / truth
    return Tried(
        data, told.low <= value <= told.high, abs(told.median - value), abs(half[-1][1] - value),
        told.high - told.low, reached, off,
    )  # fmt: skip


@dataclass(frozen=True)
class Certain:
    """A forecast of certainty: the chance that it `said`, and that of the level alone; whether it `came`; whether that
    was in its 80 % interval; times what it said, what it took; and the same of labels to the level alone.
    """

    data: str
    said: float
    level: float
    came: bool
    covered: bool = False
    times: float = math.nan
    times_level: float = math.nan


def looks(curve: Curve, target: float, rng: np.random.Generator) -> list[tuple[float, Interval, float]]:
    """(training labels, what the hold-out measures, the confidence of its bound) at each round, as in a loop."""
    luck, size, batch = rng.random(MOST), HOLDOUT, int(curve[1][0] - curve[0][0])
    said, overlaps = list[tuple[float, int, float]](), list[float]()
    at, heights = np.array(curve).T
    labels = n = int(at[0])
    before: np.ndarray | None = None
    while labels <= at[-1]:
        right = (luck[:n] < np.interp(labels, at, heights)).astype(float)
        if n >= FEWEST:
            if before is not None:
                overlaps.append(overlap(np.pad(before, (0, n - len(before)), constant_values=np.nan), right))
            before = right
            said.append((labels, n, float(right.mean())))
            if said[-1][2] > target and n >= size:
                needed = labels_to_pass(said[-1][2], target, confidence=CONFIDENCE)
                size = min(max(needed or MOST, size + 1), size + batch, MOST)
        held = min(max(round(RATE * (labels + n + batch)) - n, 0), size - n, batch)
        labels, n = labels + batch - held, n + held
    found = []
    for (labels, n, value), confidence in zip(said, look_confidences(CONFIDENCE, overlaps), strict=True):
        low, off = (float(lower_bound(one * n, n, confidence=confidence)) for one in (value, 1 - value))
        found.append((labels, Interval(value, min(low, value), max(1 - off, value), n), confidence))
    return found


def certain(data: str, curve: Curve, seed: int) -> Certain | None:
    """When a played loop was certain, and what was said of that; None with too few rounds, or when it was before."""
    end, each = curve[-1][0], curve[1][0] - curve[0][0]
    target = float(np.mean([height for labels, height in curve if labels >= end / 4][:ROUNDS]))
    seen = looks(curve, target, np.random.default_rng([seed, 1]))
    passed = [one.low >= target for _, one, _ in seen]
    past = [one for one in seen if one[0] <= end / 3]
    errors = [(one.value - one.low) / NormalDist().inv_cdf(sure) for _, one, sure in past]
    found = forecast([(labels, one.value) for labels, one, _ in past], rng=np.random.default_rng(0), error=errors)
    if found is None or any(passed[: len(past)]):
        return None
    known, now, confidence = past[-1]
    growth = Growth(now, confidence, RATE, MOST)
    said, level = found.outlook(target, int(end - known), growth), found.outlook(target, int(end - known))
    if not any(passed):
        return Certain(data, said.chance, level.chance, came=False)
    far, near = found.outlook(target, int(10 * end), growth), found.outlook(target, int(10 * end))
    stop = seen[passed.index(True)]
    took = stop[0] - known
    everything = took + stop[1].n - now.n
    covered = far.labels.low - each <= took <= far.labels.high + each
    return Certain(
        data, said.chance, level.chance, True, covered, everything / max(far.takes, each),
        everything / max(near.labels.median, each),
    )  # fmt: skip


def certainty(rows: list[Certain]) -> None:
    """The table of `certain`."""
    print("\n                   to certainty")
    print("data       curves    said   came   level    covered       x  x level")
    for name in [*sorted({one.data for one in rows}), "all"]:
        some = [one for one in rows if name in {one.data, "all"}]
        came = [one for one in some if one.came]
        said, share, level = (np.mean([getattr(one, key) for one in some]) for key in ("said", "came", "level"))
        covered = np.mean([one.covered for one in came]) if came else math.nan
        times, near = (np.median([getattr(one, key) for one in came]) for key in ("times", "times_level"))
        print(
            f"{name:<10} {len(some):>6}  {said:>6.0%}  {share:>5.0%}  {level:>6.0%}    {covered:>7.0%}  {times:>6.2f}  "
            f"{near:>7.2f}"
        )


def told(name: str, rows: list[Tried]) -> str:
    """A line of the table."""
    levels = [one for one in rows if one.reached is not None]
    to_level = "-" if not levels else (
        f"{np.mean([one.reached for one in levels]):>7.0%}  {np.median([one.off for one in levels]):>6.0%}  "
        f"{len(levels):>6}"
    )  # fmt: skip
    return (
        f"{name:<10} {len(rows):>6}  {np.mean([one.covered for one in rows]):>7.0%}  "
        f"{np.median([one.error for one in rows]):>7.4f}  {np.median([one.idle for one in rows]):>7.4f}  "
        f"{np.median([one.width for one in rows]):>7.4f}   {to_level}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="the --home of label_efficiency.py")
    parser.add_argument("--seeds", default="15-19")
    asked = parser.parse_args()
    first, last = (int(one) for one in asked.seeds.split("-"))
    rows = [one for data, curve in curves(asked.home, range(first, last + 1)) if (one := tried(data, curve))]
    if not rows:
        raise SystemExit(f"No run of seeds {asked.seeds} is kept under {asked.home}. Run label_efficiency.py first.")
    print("                   value at twice the labels                   labels to a level")
    print("data       curves  covered    error     idle    width   covered   error  curves")
    for name in sorted({one.data for one in rows}):
        print(told(name, [one for one in rows if one.data == name]))
    print(told("all", rows))
    played = [
        one
        for number, (data, curve) in enumerate(curves(asked.home, range(first, last + 1)))
        if data in ACCURACIES and (one := certain(data, curve, number))
    ]
    certainty(played)


if __name__ == "__main__":
    main()
