"""How good forecasts of real learning curves are: fitted to the first half of the labels, asked about twice as many.

    python benchmarks/label_efficiency.py --seeds 10-19 --peers --home HOME     makes the curves, or a part of them
    python benchmarks/forecast.py --home HOME                                   seeds 15-19
    python benchmarks/forecast.py --home HOME --seeds 10-14                     the seeds on which it was tuned

A curve is one strategy with one seed on one data set. "covered": the share of curves whose last value lies in the 80 %
interval of the forecast; "error": the median distance of the forecast from it, beside that of "nothing more will come".
"to level": the labels to the value that the whole curve reaches at three quarters of its labels (the first of three
rounds whose mean is there), forecast at the half; covered where they lie in the 80 % interval, error as a share.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alearn.core.curves import Curve, labels_to
from alearn.core.forecast import forecast

NAME = re.compile(r"(?P<data>\S+) (?P<strategy>\S+) (?P<seed>\d+)\.json")
ROUNDS = 3


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


if __name__ == "__main__":
    main()
