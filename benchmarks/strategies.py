"""How long the query strategies take, beside modAL's where it has one, and against one pass over the embeddings.

`memory` is the fastest pass over the embeddings in GB/s, `GEMM` what a product of matrices reaches: the limits of this
machine. The pool is a mixture of 200 clusters of unit vectors, 1,000 of its items labeled, 10 classes. `passes` is the
time over that of one product X @ v in the same run; a strategy that reads the pool once a pick needs B passes at least.
modAL's ranked batches and the peers' take one pick after the other: they are timed on 2 and on 10 picks, what B picks
would take follows from that, and is marked ~.

    python benchmarks/strategies.py                                   two minutes at most, 1 GB of memory
    python benchmarks/strategies.py --sizes 1000000 --mapped          the pool in a file of 5 GB that is mapped
    python benchmarks/strategies.py --peers                           scikit-activeml beside it (alearn[peers])

`MB` is the most memory that a strategy took beside the arrays of the pool.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from alearn.core.strategies import Pool, resolve
from alearn.simulation.peers import full_name

OURS = (
    "margin", "entropy", "k_center", "badge", "typiclust", "cluster_margin", "max_herding", "uncertainty_herding"
)  # fmt: skip
MODAL = ("modal:margin_sampling", "modal:entropy_sampling")
SLOW = ("modal:uncertainty_batch_sampling",)
PEERS = ("skactiveml:CoreSet", "skactiveml:Badge", "small-text:GreedyCoreset")
FEW, MORE = 2, 10
"""Picks on which SLOW and PEERS are timed; a pick costs what lies between, and what is left is paid once."""


@dataclass(frozen=True)
class Row:
    size: int
    picks: int
    name: str
    seconds: float
    passes: float
    megabytes: float = 0.0
    scaled: bool = False


def pool_of(size: int, dim: int, *, classes: int = 10, labeled: int = 1000, folder: Path | None = None) -> Pool:
    """Clustered unit vectors in float32, mapped from a file where a folder is given, and a linear model's answers."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(200, dim)).astype(np.float32)
    weights = rng.normal(size=(dim, classes)).astype(np.float32)
    x = (
        np.empty((size, dim), np.float32)
        if folder is None
        else np.memmap(folder / "x", np.float32, "w+", 0, (size, dim))
    )
    proba = np.empty((size, classes), np.float32)
    for start in range(0, size, 10_000):
        some = x[start : start + 10_000]
        some[:] = centers[rng.integers(200, size=len(some))] + rng.standard_normal(some.shape, dtype=np.float32)
        some /= np.linalg.norm(some, axis=1, keepdims=True)
        logits = 6 * some @ weights
        proba[start : start + 10_000] = np.exp(logits - logits.max(axis=1, keepdims=True))
    proba /= proba.sum(axis=1, keepdims=True)
    known = np.zeros(size, bool)
    known[rng.choice(size, min(labeled, size // 2), replace=False)] = True
    return Pool(proba, x, ~known, known)


def seconds(run: Callable[[], object], repeats: int) -> float:
    """The shortest of some runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def megabytes(run: Callable[[], object]) -> float:
    """The most memory that is taken while it runs, mapped files left out."""
    before, most, over = _anonymous(), [0.0], threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            most.append(_anonymous() - before)

    watch = threading.Thread(target=look)
    watch.start()
    run()
    over.set()
    watch.join()
    return max(most)


def _anonymous() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


def measure(
    sizes: list[int], batches: list[int], dim: int, repeats: int, *, mapped: bool, peers: bool
) -> Iterator[Row]:
    """A row for every size, batch and strategy."""
    for name in (*OURS, *MODAL, *SLOW, *(PEERS if peers else ())):  # imports take seconds
        choose(name, pool_of(60, 4, classes=3, labeled=20), 2)
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            pool = pool_of(size, dim, folder=Path(folder) if mapped else None)
            ones = np.ones(dim, np.float32)
            one = seconds(lambda x=pool.embeddings, v=ones: x @ v, 5)
            yield Row(size, 1, "X @ v", one, 1.0)
            small = seconds(lambda p=pool.proba: p.max(axis=1), 5)
            yield Row(size, 1, "max of proba", small, small / one)
            for picks, name in itertools.product(batches, OURS + MODAL):
                run = lambda p=pool, n=picks, s=name: choose(s, p, n)  # noqa: E731 - named to be run twice
                took = seconds(run, repeats)
                yield Row(size, picks, name, took, took / one, megabytes(run))
            if size > 100_000:
                continue
            for name in (*SLOW, *(PEERS if peers else ())):
                few, more = (seconds(lambda p=pool, s=name, n=n: choose(s, p, n), 1) for n in (FEW, MORE))
                for picks in batches:
                    took = few + (picks - FEW) * max(0.0, more - few) / (MORE - FEW)
                    yield Row(size, picks, name, took, took / one, scaled=True)


def choose(name: str, pool: Pool, n: int) -> np.ndarray:
    strategy = resolve(full_name(name))
    return strategy.select(replace(pool, embeddings=np.asarray(pool.embeddings)), n, np.random.default_rng(0))


def limits(size: int = 3000) -> str:
    """What this machine can do."""
    big, square = np.ones((40_000, 1280), np.float32), np.ones((size, size), np.float32)
    read = seconds(lambda: big @ np.ones(1280, np.float32), 5)
    product = seconds(lambda: square @ square, 3)
    return f"memory {big.nbytes / read / 1e9:.0f} GB/s, GEMM {2 * size**3 / product / 1e9:.0f} GFLOP/s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--batches", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--dim", type=int, default=1280)
    parser.add_argument("--repeats", type=int, default=1, help="the shortest of so many runs is printed")
    parser.add_argument("--mapped", action="store_true", help="the embeddings in a file")
    parser.add_argument("--peers", action="store_true", help="scikit-activeml and small-text, from 2 and 10 picks")
    args = parser.parse_args()
    print(
        f"{platform.machine()}, {limits()}, numpy {np.__version__}, D = {args.dim}, float32, 1,000 labeled, 10 classes"
    )
    print("|       N |    B | strategy                         |   seconds |  passes |    MB |")
    print("|--------:|-----:|:---------------------------------|----------:|--------:|------:|")
    for row in measure(args.sizes, args.batches, args.dim, args.repeats, mapped=args.mapped, peers=args.peers):
        took = f"{'~' if row.scaled else ' '}{row.seconds:8.3f} | {row.passes:7.1f} | {row.megabytes:5.0f}"
        print(f"| {row.size:7d} | {row.picks:4d} | {row.name:32s} | {took} |", flush=True)


if __name__ == "__main__":
    main()
