"""Near copies: how many families each data set has, which copies are found, and how long it takes.

    python benchmarks/copies.py sets                 families of five data sets, and copies made of 300 items of each
    python benchmarks/copies.py embeddings FOLDER    garments in FOLDER/fashion.npz (feature_sets.py) beside their JPEGs
    python benchmarks/copies.py speed ROWS           how long pairs take, and how many of 1,000 planted ones are found

The data sets are those of benchmarks/feature_sets.py, read from the same places (ALEARN_FASHION, ALEARN_INTENTS,
ALEARN_SPAM; elpv from its package). "found" is the share of the copies that reach the threshold together with their
original; "wrong" counts those that do so with another item's, and of another class.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import importlib.util
import io
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from alearn.core.health import families, near_pairs, strict
from alearn.core.health.signatures import ALIKE, SIDE, picture_signature, text_kind, text_signature

COPIED = 300


def digits() -> tuple[list[Any], NDArray[Any]]:
    from sklearn.datasets import load_digits

    found = load_digits()
    return [Image.fromarray((one * 15).astype(np.uint8)) for one in found.images], found.target


def elpv() -> tuple[list[Any], NDArray[Any]]:
    spec = importlib.util.find_spec("elpv_dataset")
    assert spec, "pip install 'alearn[offline]'"
    assert spec.submodule_search_locations
    root = Path(spec.submodule_search_locations[0]) / "data"
    rows = [line.split() for line in (root / "labels.csv").read_text().splitlines()]
    return [Image.open(root / row[0]).convert("L") for row in rows], np.array([float(row[1]) > 0.5 for row in rows])


def fashion() -> tuple[list[Any], NDArray[Any]]:
    folder = Path(os.environ["ALEARN_FASHION"])
    raw = gzip.decompress((folder / "train-images-idx3-ubyte.gz").read_bytes())
    pixels = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28)
    raw = gzip.decompress((folder / "train-labels-idx1-ubyte.gz").read_bytes())
    return [Image.fromarray(one) for one in pixels], np.frombuffer(raw, np.uint8, offset=8)


def intents() -> tuple[list[Any], NDArray[Any]]:
    with Path(os.environ["ALEARN_INTENTS"]).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], np.array([row["category"] for row in rows])


def spam() -> tuple[list[Any], NDArray[Any]]:
    texts, y = [], []
    for folder in sorted(Path(os.environ["ALEARN_SPAM"]).iterdir()):
        for path in sorted(folder.glob("*.txt")):
            texts.append(path.read_text(encoding="utf-8", errors="replace").partition("\n\n")[2] or " ")
            y.append(folder.name.startswith("spam"))
    return texts, np.array(y)


def again(quality: int) -> Callable[[Image.Image], Image.Image]:
    """Saved as a JPEG."""

    def save(picture: Image.Image) -> Image.Image:
        kept = io.BytesIO()
        picture.save(kept, "JPEG", quality=quality)
        return Image.open(kept)

    return save


def resized(share: float) -> Callable[[Image.Image], Image.Image]:
    return lambda one: one.resize((round(share * one.width), round(share * one.height)), Image.Resampling.LANCZOS)


def brighter(share: float) -> Callable[[Image.Image], Image.Image]:
    return lambda one: ImageEnhance.Brightness(one).enhance(share)


PICTURES: dict[str, Callable[[Any], Any]] = {
    "JPEG 90": again(90),
    "JPEG 60": again(60),
    "half the size": resized(0.5),
    "three quarters": resized(0.75),
    "twice the size": resized(2),
    "30 % darker": brighter(0.7),
    "10 % brighter": brighter(1.1),
    "30 % brighter": brighter(1.3),
    "mirrored": lambda one: one.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}
TEXTS: dict[str, Callable[[Any], Any]] = {
    "capitals": str.upper,
    "other white space": lambda one: f"\n {one.replace(' ', '  ')} ",
    "no punctuation": lambda one: re.sub(r"[^\w\s]", " ", one),
    "a word left out": lambda one: " ".join(one.split()[:-1]),
    "quoted": lambda one: "\n".join(f"> {line}" for line in one.splitlines()),
}


def signed(item: Any) -> NDArray[np.float32]:
    if isinstance(item, str):
        return text_signature(item)
    return picture_signature(np.asarray(item.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)))


def kinds(items: Sequence[Any]) -> NDArray[np.intp]:
    return np.array([text_kind(one) if isinstance(one, str) else 0 for one in items], dtype=np.intp)


def sets() -> None:
    print("data set   items   families  items in them  other class   seconds")
    made: dict[str, list[str]] = {}
    for name, source in {"digits": digits, "elpv": elpv, "fashion": fashion, "intents": intents, "spam": spam}.items():
        items, y = source()
        kind = "text" if isinstance(items[0], str) else "image"
        x = np.stack([signed(one) for one in items]).astype(np.float16)
        threshold, started = strict(x[:2048], ALIKE[kind]), time.perf_counter()
        pairs = near_pairs(x, threshold, kinds=kinds(items))
        seconds, number = time.perf_counter() - started, families(len(x), pairs)
        sizes = np.bincount(number, minlength=len(x))
        counts = [len(x), (sizes > 1).sum(), sizes[sizes > 1].sum(), (y[pairs[:, 0]] != y[pairs[:, 1]]).sum()]
        print(f"{name:9s}", *(f"{one:8,d}" for one in counts), f"{seconds:13.1f}")
        made[name] = copied(items, x, threshold, PICTURES if kind == "image" else TEXTS)
    for name, lines in made.items():
        print(f"\ncopies of {COPIED} {name}: found, and alike another item", *lines, sep="\n")


def copied(items: list[Any], x: NDArray[Any], threshold: float, ways: dict[str, Callable[[Any], Any]]) -> list[str]:
    rows, unit = np.random.default_rng(0).choice(len(items), COPIED, replace=False), x.astype(np.float32)
    kind, lines = kinds(items), []
    for name, change in ways.items():
        others = [change(items[row]) for row in rows]
        alike = np.stack([signed(one) for one in others]) @ unit.T >= threshold
        alike &= kinds(others)[:, None] == kind[None, :]
        family = unit[rows] @ unit.T >= threshold
        lines.append(
            f"{name:18s} {alike[np.arange(COPIED), rows].mean():6.1%} {(alike & ~family).any(axis=1).mean():6.1%}"
        )
    return lines


def embeddings(folder: Path) -> None:
    """What a pretrained network says of 300 garments, of their JPEGs, and of the garments nearest to them."""
    from feature_sets import embedded

    items, x = fashion()[0], np.load(folder / "fashion.npz")["x"][:25_000].astype(np.float32)
    rows = np.random.default_rng(0).choice(len(x), COPIED, replace=False)
    others = [again(60)(items[row]).resize((64, 64)) for row in rows]
    middle = x.mean(axis=0)
    unit, copies = (
        one / np.linalg.norm(one, axis=1, keepdims=True)
        for one in (x - middle, embedded("image", others, 64, "block10") - middle)
    )
    near = unit[rows] @ unit.T
    near[np.arange(COPIED), rows] = -1
    own = (copies * unit[rows]).sum(axis=1)
    print(f"cosine with its own JPEG {np.median(own):.2f}, with the nearest other {np.median(near.max(axis=1)):.2f}")


def speed(rows: int) -> None:
    """Rows of 60 clouds, and 1,000 copies at the threshold for pictures."""
    rng, threshold, dim = np.random.default_rng(0), ALIKE["image"], 3 * SIDE * SIDE
    middles = 2 * rng.standard_normal(dim) + rng.standard_normal((60, dim))
    x = np.empty((rows, dim), dtype=np.float16)
    for start in range(0, rows, 10_000):
        size = min(10_000, rows - start)
        x[start : start + size] = middles[rng.integers(60, size=size)] + 0.6 * rng.standard_normal((size, dim))
    some, others = np.arange(1000), rows - 1000 + np.arange(1000)
    unit = x[some].astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    aside = rng.standard_normal(unit.shape)
    aside -= (aside * unit).sum(axis=1, keepdims=True) * unit
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    cosine = threshold + (1 - threshold) / 50
    x[others] = cosine * unit + np.sqrt(1 - cosine**2) * aside
    started = time.perf_counter()
    pairs = {(int(i), int(j)) for i, j in near_pairs(x, threshold)}
    found = sum((int(i), int(j)) in pairs for i, j in zip(some, others, strict=True))
    print(f"{rows:,} rows: {found} of 1,000 found, {len(pairs)} pairs, {time.perf_counter() - started:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("sets")
    commands.add_parser("embeddings").add_argument("folder", type=Path)
    commands.add_parser("speed").add_argument("rows", type=int)
    chosen = parser.parse_args()
    if chosen.what == "sets":
        sets()
    elif chosen.what == "embeddings":
        embeddings(chosen.folder)
    else:
        speed(chosen.rows)


if __name__ == "__main__":
    main()
