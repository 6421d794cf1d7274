"""How good the head is, by labels drawn at random: solar cells, 77 intents, handwritten digits.

    python benchmarks/head.py [--home DIR]        ten minutes the first time on two cores; seconds once embedded

Beside it scikit-learn's logistic regression with equal weights at the same strength; means over five draws. Test items
are those outside every draw. Data: elpv (CC BY-NC-SA 4.0), banking77 (train.csv and test.csv, CC BY 4.0, where
ALEARN_INTENTS names the first), scikit-learn's digits. Needs alearn[offline,text].
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import os
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, log_loss

from alearn.core.keys import content_key
from alearn.models import ActivationCache, embed_items, fit_head, load_trunk

INTENTS = Path(os.environ.get("ALEARN_INTENTS", "data/banking77/train.csv")).parent


@dataclass(frozen=True)
class Case:
    name: str
    x: NDArray[np.float32]
    y: NDArray[np.intp]
    pool: int
    labels: Sequence[int]


def cells(home: Path) -> Case:
    spec = importlib.util.find_spec("elpv_dataset")
    assert spec, "pip install 'alearn[offline]'"
    assert spec.submodule_search_locations
    root = Path(spec.submodule_search_locations[0]) / "data"
    rows = [line.split() for line in (root / "labels.csv").read_text().splitlines()]
    items = [(content_key((root / row[0]).read_bytes()), str(root / row[0]), None) for row in rows]
    x = embedded("efficientnet-lite0", "image", items, home)
    return Case("cells", x, np.array([int(float(row[1]) > 0.5) for row in rows]), 1500, (60, 100, 200, 300, 600, 1500))


def intents(home: Path) -> Case:
    rows = []
    for name in ("train", "test"):
        with (INTENTS / f"{name}.csv").open(encoding="utf-8") as file:
            rows += list(csv.DictReader(file))
    names = sorted({row["category"] for row in rows})
    x = embedded("minilm", "text", [(content_key(row["text"].encode()), None, row["text"]) for row in rows], home)
    y = np.array([names.index(row["category"]) for row in rows])
    return Case("intents", x, y, 10_003, (300, 1000, 3000, 10_003))


def digits(_home: Path) -> Case:
    data = load_digits()
    return Case("digits", data.data.astype(np.float32), data.target, 1000, (30, 100, 300, 1000))


def embedded(
    name: str, data: str, items: Sequence[tuple[str, str | None, str | None]], home: Path
) -> NDArray[np.float32]:
    trunk = load_trunk(name, data, folder=home / "trunks")  # type: ignore[arg-type]
    cache = ActivationCache(home / "embeddings" / trunk.cache_key, trunk.about.shape)
    assert embed_items(trunk, cache, items) == {}
    return cache.rows([key for key, _, _ in items])


def measure(case: Case, labels: int) -> None:
    classes = int(case.y.max()) + 1
    found, seconds = [], []
    for draw in range(5):
        order = np.random.default_rng(draw).permutation(len(case.y))
        train, test = order[:labels], order[case.pool :]
        started = time.perf_counter()
        head = fit_head(case.x[train], case.y[train], classes, seed=draw)
        seconds.append(time.perf_counter() - started)
        z = (case.x - case.x[train].mean(0)) / np.maximum(case.x[train].std(0), 1e-6)
        equal = LogisticRegression(C=head.strength, max_iter=300).fit(z[train], case.y[train])
        wide = np.full((len(test), classes), 1e-9)
        wide[:, equal.classes_] = equal.predict_proba(z[test])
        found.append([*scores(case.y[test], head.proba(case.x[test])), *scores(case.y[test], wide), head.strength])
    mean = np.mean(found, axis=0)
    ours, theirs = ("  ".join(f"{value:.3f}" for value in part) for part in (mean[:4], mean[4:8]))
    print(f"{case.name:<8}{labels:>6}   {ours}   {theirs}   {mean[8]:8.4f} {np.median(seconds):6.2f} s", flush=True)


def scores(y: NDArray[np.intp], proba: NDArray[np.floating]) -> list[float]:
    binary = proba.shape[1] == 2
    answer = proba.argmax(1)
    return [
        average_precision_score(y, proba[:, 1]) if binary else float("nan"),
        f1_score(y, answer, average="binary" if binary else "macro"),
        accuracy_score(y, answer),
        log_loss(y, np.asarray(proba, dtype=np.float64), labels=np.arange(proba.shape[1])),
    ]


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=Path("runs/benchmarks"), help="where embeddings are kept")
    home = parser.parse_args().home
    print("          labels    AP     F1    acc.   log loss       … equal weights         strength   time")
    for make in (cells, digits, *([intents] if INTENTS.is_dir() else [])):
        case = make(home)
        for labels in case.labels:
            measure(case, labels)


if __name__ == "__main__":
    main()
