"""What is lost by taking the first choice of `alearn select`, on solar cells and on 77 intents, by number of labels.

    python benchmarks/selection.py                  cells and, where ALEARN_INTENTS names banking77's train.csv, intents
    python benchmarks/selection.py cells --labels 300 --draws 10

Regret: the test metric (average precision; accuracy of intents) of the best candidate, found by training a head on the
same labels for every one of them, less that of the first choice. Beside it the regret of simpler rules, and of the
first choice when all candidates are trained on all training labels (--full). `best is tied`: in how many draws the best
one is among those that were called tied; `untrained first`: in how many random weights or bare pixels came first.

A quarter of an hour the first time on two cores; embeddings are kept under --home. Data: elpv (CC BY-NC-SA 4.0),
banking77 (CC BY 4.0). Needs alearn[offline,text].
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.config import ItemSpec
from alearn.core.keys import content_key
from alearn.core.metrics import METRICS
from alearn.data import Item, read_items
from alearn.models import ActivationCache, embed_items, fit_head, load_trunk
from alearn.models.rank import Candidate, Row, rank
from alearn.models.selecting import spread_taps

INTENTS = Path(os.environ.get("ALEARN_INTENTS", "data/banking77/train.csv"))
IMAGES = (
    *("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "pixels"),
    *("random:efficientnet-lite0", "random:torchvision:resnet18"),
)
TEXTS = ("minilm", "random:minilm")
SIDE = 160


@dataclass(frozen=True)
class Case:
    """Every item's candidates and class; the first `pool` of an order are for training, the others are the test."""

    name: str
    metric: str
    candidates: list[Candidate]
    y: NDArray[np.intp]
    order: Callable[[int], NDArray[np.intp]]
    pool: int

    @property
    def classes(self) -> int:
        return int(self.y.max()) + 1

    @property
    def positive(self) -> int | None:
        return 1 if self.classes == 2 else None


def cells(home: Path) -> Case:
    read = [one for one in read_items(ItemSpec(package="elpv"), "image", home) if isinstance(one, Item)]
    entries = [(one.key, one.uri, None) for one in read]
    y = np.array([one.truth == "defective" for one in read], dtype=np.intp)
    found = [one for name in IMAGES for one in embedded(name, "image", entries, home)]
    return Case("cells", "average_precision", found, y, lambda draw: shuffled(len(y), draw), 1500)


def intents(home: Path) -> Case:
    rows: list[dict[str, str]] = []
    for name in ("train.csv", "test.csv"):
        with (INTENTS.parent / name).open(encoding="utf-8") as file:
            rows += list(csv.DictReader(file))
    names = sorted({row["category"] for row in rows})
    y = np.array([names.index(row["category"]) for row in rows])
    entries = [(content_key(row["text"].encode()), None, row["text"]) for row in rows]
    found = [one for name in TEXTS for one in embedded(name, "text", entries, home)]
    pool = 10_003
    rest = np.arange(pool, len(y))
    return Case("intents", "accuracy", found, y, lambda draw: np.concatenate([shuffled(pool, draw), rest]), pool)


def shuffled(count: int, draw: int) -> NDArray[np.intp]:
    return np.random.default_rng(draw).permutation(count)


def embedded(name: str, data: Any, entries: Sequence[Any], home: Path) -> list[Candidate]:
    """A network's candidates with all items' embeddings, from the cache where they are there."""
    size = SIDE if data == "image" and name != "pixels" else None
    whole = load_trunk(name, data, size=size, folder=home / "trunks")
    every = whole.about.taps
    taps = spread_taps(every)
    trunk = load_trunk(name, data, size=size, taps=taps, folder=home / "trunks") if len(taps) > 1 else whole
    cache = ActivationCache(home / "embeddings" / trunk.cache_key[:16], trunk.about.shape)
    assert embed_items(trunk, cache, entries) == {}
    x = cache.rows([key for key, _, _ in entries])
    spans = dict(trunk.about.spans) or {"": (0, trunk.dim)}
    depth = {tap: at / (len(every) - 1) for at, tap in enumerate(every)} if len(every) > 1 else {}
    trained = not name.startswith("random:") and name != "pixels"
    return [
        Candidate(name, tap, np.ascontiguousarray(x[:, a:b]), depth.get(tap, 1.0), whole.about.parameters, trained)
        for tap, (a, b) in spans.items()
    ]


@dataclass(frozen=True)
class Found:
    """Of one draw of labels: the regret of each rule, on the same labels and (`full`) on all; who came first."""

    regret: dict[str, float]
    full: float
    first: str
    untrained_first: bool
    covered: bool
    seconds: float


def truths(case: Case, rows: NDArray[np.intp], test: NDArray[np.intp]) -> NDArray[np.float64]:
    """The test metric of every candidate with a head trained on some rows."""
    found = []
    for one in case.candidates:
        head = fit_head(one.x[rows], case.y[rows], case.classes, seed=0)
        proba = head.proba(one.x[test])
        found.append(METRICS[case.metric].compute(case.y[test], proba, case.positive))
    return np.array(found)


def draw(case: Case, labels: int, number: int, full: NDArray[np.float64] | None) -> Found:
    order = case.order(number)
    rows, test = order[:labels], order[case.pool :]
    candidates = [
        Candidate(one.network, one.tap, one.x[rows], one.depth, one.parameters, one.pretrained)
        for one in case.candidates
    ]
    began = time.perf_counter()
    ranked = rank(candidates, case.y[rows], case.classes, metric=case.metric, positive=case.positive, seed=number)
    seconds = time.perf_counter() - began
    truth = truths(case, rows, test)
    at = {id(one): place for place, one in enumerate(candidates)}
    chosen = {rule: at[id(choose(ranked).candidate)] for rule, choose in RULES.items()}
    regret = {rule: float(truth.max() - truth[place]) for rule, place in chosen.items()}
    trained = np.array([one.pretrained for one in candidates])
    regret["random choice"] = float(truth.max() - truth[trained].mean())
    first = ranked[0].candidate
    best = {at[id(row.candidate)] for row in ranked if row.tied}
    return Found(
        regret,
        float("nan") if full is None else float(full.max() - full[chosen["first choice"]]),
        f"{first.network} {first.tap}",
        not first.pretrained,
        int(truth.argmax()) in best,
        seconds,
    )


def standard(values: Sequence[float]) -> NDArray[np.float64]:
    found = np.asarray(values, dtype=np.float64)
    return (found - found.mean()) / max(float(found.std()), 1e-12)


def by_h_score_and_size(ranked: Sequence[Row]) -> Row:
    known = [row for row in ranked if row.candidate.pretrained]
    size = standard([np.log(row.candidate.parameters) for row in known])
    return known[int(np.argmax(standard([row.h_score for row in known]) + size))]


def by_size(ranked: Sequence[Row]) -> Row:
    known = [row for row in ranked if row.candidate.pretrained]
    return max(known, key=lambda row: (row.candidate.parameters, row.candidate.depth))


RULES: dict[str, Callable[[Sequence[Row]], Row]] = {
    "first choice": lambda ranked: ranked[0],
    "best score": lambda ranked: min(ranked, key=lambda row: row.behind.value),
    "kNN among tied": lambda ranked: max((row for row in ranked if row.tied), key=lambda row: row.knn),
    "H-score and size": by_h_score_and_size,
    "largest, whole": by_size,
}


def measure(case: Case, labels: Sequence[int], draws: int, *, full: bool) -> None:
    orders = [case.order(number) for number in range(draws)]
    ends = [truths(case, order[: case.pool], order[case.pool :]) for order in orders] if full else [None] * draws
    names = [*RULES, "random choice"]
    print(f"\n{case.name}: {len(case.candidates)} candidates, {draws} draws; regret in {METRICS[case.metric].title}\n")
    print(
        "| labels | " + " | ".join(names) + " | first choice, all labels | best is tied | untrained first | seconds |"
    )
    print("|--:|" + "--:|" * (len(names) + 4))
    for count in labels:
        found = [draw(case, count, number, ends[number]) for number in range(draws)]
        mean = [f"{np.mean([one.regret[name] for one in found]):.4f}" for name in names]
        tail = [f"{np.mean([one.full for one in found]):.4f}" if full else "-"]
        tail += [f"{sum(one.covered for one in found)} of {draws}", str(sum(one.untrained_first for one in found))]
        tail += [f"{np.median([one.seconds for one in found]):.1f}"]
        print(f"| {count} | " + " | ".join(mean + tail) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=["cells", "intents"], choices=["cells", "intents"])
    parser.add_argument("--labels", type=int, nargs="+", default=[30, 50, 100, 300, 1000])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--full", action="store_true", help="train every candidate on all training labels, too")
    parser.add_argument("--home", type=Path, default=Path("runs/benchmarks"), help="where embeddings are kept")
    args = parser.parse_args()
    for name, make in (("cells", cells), ("intents", intents)):
        if name in args.cases and (name == "cells" or INTENTS.is_file()):
            measure(make(args.home), args.labels, args.draws, full=args.full)


if __name__ == "__main__":
    main()
