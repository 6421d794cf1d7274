"""Embedding items end to end, side by side with the loop most people write; from files on disk, on this machine's CPU.

    python benchmarks/embedding.py [--images 512] [--texts 1024] [--size 160] [--rounds 3]

Images (elpv, CC BY-NC-SA 4.0): Pillow and eager PyTorch in batches of 32. Texts (banking77's train.csv, CC BY 4.0,
where ALEARN_INTENTS says it is, else made-up sentences): sentence-transformers. Every round runs each way once, in
turns, on the same items into an empty cache; the medians of the rounds are compared, in wall time and in processor
time. Needs alearn[offline,text].
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from alearn.core.keys import content_key
from alearn.models import EmbeddingCache, Trunk, embed_items, load_trunk
from alearn.models.zoo import LITE0, MINILM

INTENTS = Path(os.environ.get("ALEARN_INTENTS", "data/banking77/train.csv"))


def images(count: int) -> list[Path]:
    spec = importlib.util.find_spec("elpv_dataset")
    assert spec, "pip install 'alearn[offline]'"
    assert spec.submodule_search_locations
    return sorted((Path(spec.submodule_search_locations[0]) / "data/images").iterdir())[:count]


def texts(count: int) -> list[str]:
    if not INTENTS.is_file():
        return [
            f"What is wrong with the cell in {path.name}? {'Please look again. ' * (at % 7)}"
            for at, path in enumerate(images(count))
        ]
    with INTENTS.open(encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(file)][:: max(1, 10_000 // count)][:count]


def ours(trunk: Trunk, items: Sequence[tuple[str, str | None, str | None]]) -> Callable[[], np.ndarray]:
    def run() -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            cache = EmbeddingCache(Path(folder), trunk.dim)
            assert embed_items(trunk, cache, items) == {}
            return cache.rows([key for key, _, _ in items])

    return run


def eager(paths: Sequence[Path], size: int) -> Callable[[], np.ndarray]:
    import torch
    from PIL import Image
    from torchvision import transforms

    from alearn.models import efficientnet_lite

    network = efficientnet_lite.load_file(str(LITE0.path()))
    prepare = transforms.Compose(
        [
            transforms.Resize((size, size), transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize([127 / 255] * 3, [128 / 255] * 3),
        ]
    )

    def run() -> np.ndarray:
        found = []
        with torch.no_grad():
            for start in range(0, len(paths), 32):
                batch = [prepare(Image.open(path).convert("RGB")) for path in paths[start : start + 32]]
                found.append(network.features(torch.stack(batch)).numpy())
        return np.concatenate(found)

    return run


def sentence_transformers(sentences: Sequence[str]) -> Callable[[], np.ndarray]:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(MINILM.path().parent), device="cpu")
    return lambda: np.asarray(model.encode(list(sentences)))


def compare(what: str, count: int, rounds: int, ways: dict[str, Callable[[], np.ndarray]]) -> None:
    wall: dict[str, list[float]] = {name: [] for name in ways}
    processor: dict[str, list[float]] = {name: [] for name in ways}
    results = {}
    for _ in range(rounds):
        for name, run in ways.items():
            started, spent = time.perf_counter(), time.process_time()
            results[name] = run()
            wall[name].append(time.perf_counter() - started)
            processor[name].append(time.process_time() - spent)
    for name in ways:
        rate, cost = count / statistics.median(wall[name]), count / statistics.median(processor[name])
        print(f"{what:<8}{name:<40}{rate:>7.0f} per second {cost:>7.0f} per processor second")
    first, second = ways
    by_wall, by_processor = (statistics.median(of[second]) / statistics.median(of[first]) for of in (wall, processor))
    apart = float(np.abs(results[first] - results[second]).max() / np.abs(results[second]).max())
    print(f"{what:<8}alearn is {by_wall:.1f} times as fast, for {1 / by_processor:.2f} of the processor time;", end=" ")
    print(f"the embeddings differ by at most {apart:.0e} of the largest\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--texts", type=int, default=1024)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where exported trunks are kept; none: a temporary folder")
    given = parser.parse_args()
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        paths = images(given.images)
        items = [(content_key(path.read_bytes()), str(path), None) for path in paths]
        trunk = load_trunk("efficientnet-lite0", "image", size=given.size, folder=folder)
        ways = {"alearn": ours(trunk, items), "Pillow and eager PyTorch, batch 32": eager(paths, given.size)}
        compare("images", len(paths), given.rounds, ways)
        sentences = texts(given.texts)
        entries = [(content_key(text.encode()), None, text) for text in dict.fromkeys(sentences)]
        reader = load_trunk("minilm", "text", folder=folder)
        kept = [text for _, _, text in entries]
        ways = {"alearn": ours(reader, entries), "sentence-transformers": sentence_transformers(kept)}
        compare("texts", len(entries), given.rounds, ways)


if __name__ == "__main__":
    main()
