"""Embedding items end to end, side by side with the loop most people write; from files on disk, on this machine's CPU.

    python benchmarks/embedding.py [--images 512] [--texts 1024] [--size 224] [--rounds 3] [--precision float32]

Images (elpv, CC BY-NC-SA 4.0): Pillow and eager PyTorch in batches of 32; beside them the engine alone, which is given
all images at once, decoded. Texts (banking77's train.csv, CC BY 4.0, where ALEARN_INTENTS says it is, else made-up
sentences): sentence-transformers. Every round runs each way once, in turns, on the same items into an empty cache; the
medians of the rounds are compared, in wall time and in processor time. bfloat16 is left out where the processor has no
instructions for it. Needs alearn[offline,text]; alearn[openvino] is the fastest engine.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from alearn.core.keys import content_key
from alearn.data import read_image
from alearn.models import ActivationCache, Trunk, embed_items, load_trunk
from alearn.models.engines import available, cpu
from alearn.models.zoo import LITE0, MINILM

INTENTS = Path(os.environ.get("ALEARN_INTENTS", "data/banking77/train.csv"))

Run = Callable[[], np.ndarray]


@dataclass
class Times:
    """Seconds of one way, round by round, and what it gave last."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    found: np.ndarray = field(default_factory=lambda: np.empty(0))


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


def ours(trunk: Trunk, items: Sequence[tuple[str, str | None, str | None]]) -> Run:
    def run() -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            cache = ActivationCache(Path(folder), trunk.about.shape)
            assert embed_items(trunk, cache, items) == {}
            return cache.rows([key for key, _, _ in items])

    return run


def engine_alone(trunk: Trunk, paths: Sequence[Path]) -> Run:
    decoded = [trunk.prepare(read_image(str(path), size=trunk.about.inputs["size"])) for path in paths]
    return lambda: trunk.embed(decoded)


def eager(paths: Sequence[Path], size: int) -> Run:
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


def sentence_transformers(sentences: Sequence[str]) -> Run:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(MINILM.path().parent), device="cpu")
    return lambda: np.asarray(model.encode(list(sentences)))


def timed(what: str, count: int, rounds: int, ways: dict[str, Run]) -> dict[str, Times]:
    """Each way once a round, in turns; prints items per second."""
    times = {name: Times() for name in ways}
    for _ in range(rounds):
        for name, run in ways.items():
            started, spent = time.perf_counter(), time.process_time()
            times[name].found = run()
            times[name].wall.append(time.perf_counter() - started)
            times[name].processor.append(time.process_time() - spent)
    for name, one in times.items():
        rate, cost = count / statistics.median(one.wall), count / statistics.median(one.processor)
        print(f"{what:<8}{name:<48}{rate:>7.0f} per second {cost:>7.0f} per processor second")
    return times


def compare(first: str, second: str, times: dict[str, Times]) -> None:
    """Print how many times as fast the first way is as the second."""
    one, other = times[first], times[second]
    by_wall = statistics.median(other.wall) / statistics.median(one.wall)
    by_processor = statistics.median(other.processor) / statistics.median(one.processor)
    apart = float(np.abs(one.found - other.found).max() / np.abs(other.found).max())
    print(
        f"        {first} is {by_wall:.2f} times as fast as {second}, by processor time {by_processor:.2f}; "
        f"the embeddings differ by at most {apart:.0e} of the largest"
    )


def compare_images(paths: Sequence[Path], size: int, precisions: Sequence[str], rounds: int, folder: Path) -> None:
    items = [(content_key(path.read_bytes()), str(path), None) for path in paths]
    naive = "Pillow and eager PyTorch, batch 32"
    ways = {}
    for precision in precisions:
        trunk = load_trunk("efficientnet-lite0", "image", size=size, precision=precision, folder=folder)
        ways[f"alearn on {trunk.engine}"] = ours(trunk, items)
        ways[f"{trunk.engine} alone"] = engine_alone(trunk, paths)
    ways[naive] = eager(paths, size)
    times = timed("images", len(paths), rounds, ways)
    for name in ways:
        if name.startswith("alearn on "):
            compare(name, naive, times)
            compare(name, f"{name.removeprefix('alearn on ')} alone", times)


def compare_texts(sentences: Sequence[str], precisions: Sequence[str], rounds: int, folder: Path) -> None:
    entries = [(content_key(text.encode()), None, text) for text in dict.fromkeys(sentences)]
    ways = {}
    for precision in precisions:
        trunk = load_trunk("minilm", "text", precision=precision, folder=folder)
        ways[f"alearn on {trunk.engine}"] = ours(trunk, entries)
    ways["sentence-transformers"] = sentence_transformers([text for _, _, text in entries])
    times = timed("texts", len(entries), rounds, ways)
    for name in list(ways)[:-1]:
        compare(name, "sentence-transformers", times)


def machine() -> str:
    amx = "with AMX" if "amx_bf16" in cpu.flags() else "without AMX"
    return f"{cpu.name()} {amx}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=512, help="0: none")
    parser.add_argument("--texts", type=int, default=1024, help="0: none")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--folder", type=Path, help="where exported trunks are kept; none: a temporary folder")
    given = parser.parse_args()
    precisions = [one for one in given.precision if available(one)]
    said = ", ".join(f"{one}: {' '.join(available(one))}" for one in precisions)
    print(f"{machine()}; engines: {said}\n")
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        if given.images:
            compare_images(images(given.images), given.size, precisions, given.rounds, folder)
            print()
        if given.texts:
            compare_texts(texts(given.texts), precisions, given.rounds, folder)


if __name__ == "__main__":
    main()
