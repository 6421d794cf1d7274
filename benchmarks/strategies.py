"""How long the query strategies take, beside modAL's where it has one, and against one pass over the embeddings.

The pool is a mixture of 200 clusters of unit vectors, 1,000 of its items labeled, 10 classes. `passes` is the time
over that of one product X @ v in the same run; a strategy that reads the pool once a pick needs B passes at least.
modAL's ranked batches compare all items with all labeled ones again for each pick: they are timed on few picks, scaled
to B, and marked ~.

    python benchmarks/strategies.py                       two minutes at most, 1 GB of memory
    python benchmarks/strategies.py --sizes 1000000       5 GB
"""

from __future__ import annotations

import argparse
import itertools
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from alearn.core.strategies import Pool, resolve

OURS = ("margin", "entropy", "k_center", "max_herding", "uncertainty_herding")
MODAL = ("modal:margin_sampling", "modal:entropy_sampling")
RANKED = "modal:uncertainty_batch_sampling"
RANKED_PICKS = 2
"""Picks on which modAL's ranked batches are timed."""


@dataclass(frozen=True)
class Row:
    size: int
    picks: int
    name: str
    seconds: float
    passes: float
    scaled: bool = False


def pool_of(size: int, dim: int, *, classes: int = 10, labeled: int = 1000, seed: int = 0) -> Pool:
    """Clustered unit vectors in float32, and probabilities of a linear model of them."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(200, dim)).astype(np.float32)
    x = centers[rng.integers(200, size=size)]
    for start in range(0, size, 10_000):
        x[start : start + 10_000] += rng.standard_normal(x[start : start + 10_000].shape, dtype=np.float32)
        x[start : start + 10_000] /= np.linalg.norm(x[start : start + 10_000], axis=1, keepdims=True)
    logits = 6 * x @ rng.normal(size=(dim, classes)).astype(np.float32)
    proba = np.exp(logits - logits.max(axis=1, keepdims=True))
    known = np.zeros(size, bool)
    known[rng.choice(size, min(labeled, size // 2), replace=False)] = True
    return Pool(proba / proba.sum(axis=1, keepdims=True), x, ~known, known)


def seconds(run: Callable[[], object], repeats: int) -> float:
    """The shortest of some runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(sizes: list[int], batches: list[int], dim: int, repeats: int) -> Iterator[Row]:
    """A row for every size, batch and strategy."""
    resolve(RANKED).select(pool_of(20, 4), 1, np.random.default_rng(0))  # its import takes seconds
    for size in sizes:
        pool = pool_of(size, dim)
        direction = np.ones(dim, np.float32)
        one = seconds(lambda x=pool.embeddings, v=direction: x @ v, 5)
        yield Row(size, 1, "X @ v", one, 1.0)
        for picks, name in itertools.product(batches, OURS + MODAL):
            took = seconds(lambda p=pool, n=picks, s=name: choose(s, p, n), repeats)
            yield Row(size, picks, name, took, took / one)
        each = seconds(lambda p=pool: choose(RANKED, p, RANKED_PICKS), 1) / RANKED_PICKS
        for picks in batches:
            yield Row(size, picks, RANKED, each * picks, each * picks / one, scaled=True)


def choose(name: str, pool: Pool, n: int) -> np.ndarray:
    return resolve(name).select(pool, n, np.random.default_rng(0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--batches", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--dim", type=int, default=1280)
    parser.add_argument("--repeats", type=int, default=1, help="the shortest of so many runs is printed")
    args = parser.parse_args()
    print(f"{platform.machine()}, numpy {np.__version__}, D = {args.dim}, float32, 1,000 labeled, 10 classes\n")
    print("|       N |    B | strategy                         |   seconds |  passes |")
    print("|--------:|-----:|:---------------------------------|----------:|--------:|")
    for row in measure(args.sizes, args.batches, args.dim, args.repeats):
        took = f"{'~' if row.scaled else ' '}{row.seconds:8.3f} | {row.passes:7.1f}"
        print(f"| {row.size:7d} | {row.picks:4d} | {row.name:32s} | {took} |", flush=True)


if __name__ == "__main__":
    main()
