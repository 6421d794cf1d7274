"""One round of a loop whose items are embedded already: train, measure, decide, select 100 and write; by pool size.

    python benchmarks/round.py [--sizes 10000,100000,1000000] [--strategy uncertainty_herding] [--labels 500]

Made-up embeddings of EfficientNet-Lite0's length, 1,280 (two classes that overlap), are put into the loop's own cache,
so no item is read; simulated annotators answer at once; everything else is the loop itself on SQLite. Each size runs in
a process of its own: the first rounds warm up, the last ones are timed. Prints seconds by step and the most memory that
was resident, mapped files included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from alearn.config import parse
from alearn.core.keys import content_key, unit_interval
from alearn.data import Item
from alearn.loop import steps
from alearn.loop.plan import Step, plan
from alearn.loop.undertaking import Undertaking, opened
from alearn.models import ActivationCache
from alearn.store.items import as_row

ROUNDS, BATCH, PIECE = 4, 100, 10_000


def config(home: Path, labels: int, strategy: str) -> dict[str, object]:
    return {
        "name": "round",
        "items": {"path": str(home)},
        "task": {"data": "image", "classes": ["no", "yes"]},
        "model": {"name": "efficientnet-lite0", "ladder": "linear"},
        "query": {"strategy": strategy, "batch": BATCH},
        "queue": {"low": 0, "high": BATCH},
        "holdout": {"size": 200, "share": 0.05},
        "budget": {"labels": labels + ROUNDS * BATCH},
        "platform": {"name": "simulated"},
        "home": str(home / "home"),
    }


def fill(loop: Undertaking, count: int) -> None:
    """Items that exist in the store and the cache alone."""
    trunk, rng = loop.features.trunk, np.random.default_rng(0)
    cache = ActivationCache(loop.config.home_ / "embeddings" / trunk.cache_key[:16], trunk.about.shape)
    apart = rng.normal(size=trunk.dim).astype(np.float32) * 0.05
    share, seed = loop.config.holdout.share, loop.config.seed
    for start in range(0, count, PIECE):
        keys = [content_key(f"{number}".encode()) for number in range(start, min(start + PIECE, count))]
        truth = rng.random(len(keys)) < 0.3
        x = rng.normal(size=(len(keys), trunk.dim)).astype(np.float32) + truth[:, None] * apart
        cache.append(keys, x)
        items = [
            Item(key, f"/nowhere/{key}.png", None, key, "yes" if yes else "no")
            for key, yes in zip(keys, truth, strict=True)
        ]
        loop.store.items.add([as_row(item, holdout=unit_interval(item.group, seed) < share) for item in items])


def measure(count: int, labels: int, strategy: str) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        given = parse(config(Path(folder), labels, strategy), name="round.yaml", folder=Path(folder))
        with opened(given) as loop:
            fill(loop, count)
            started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with opened(given) as loop:
            rounds = list(played(loop))
        last = rounds[-(ROUNDS - 1) :]
        names = sorted({name for one in last for name in one})
        spent = {name: statistics.median(one.get(name, 0.0) for one in last) for name in names}
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        whole = {"items": count, "steps": spent, "seconds": sum(spent.values())}
        return {**whole, "mb": memory, "mb_filled": started / 1024}


def played(loop: Undertaking) -> list[dict[str, float]]:
    """The loop from its beginning to its budget: seconds by step, of each round."""
    rounds: list[dict[str, float]] = [{}]
    while (step := plan(loop.snapshot())) is not Step.DONE:
        if step is Step.WAIT:
            steps.collect(loop)
            continue
        timed(rounds[-1], step.value, lambda step=step: steps.DO[step](loop))
        timed(rounds[-1], "collect", lambda: steps.collect(loop))
        if step is Step.PUSH:
            rounds.append({})
    return [one for one in rounds if "train" in one and "push" in one]


def timed(spent: dict[str, float], name: str, work: Callable[[], object]) -> None:
    began = time.perf_counter()
    work()
    spent[name] = spent.get(name, 0.0) + time.perf_counter() - began


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--sizes", default="10000,100000,1000000")
    asked.add_argument("--strategy", default="uncertainty_herding")
    asked.add_argument("--labels", type=int, default=500, help="labels before the rounds that are timed, about")
    asked.add_argument("--child", type=int, help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.child:
        print(json.dumps(measure(given.child, given.labels, given.strategy)))
        return
    print(f"{len(os.sched_getaffinity(0))} cores; a batch of {BATCH} by {given.strategy}", flush=True)
    for size in given.sizes.split(","):
        command = [sys.executable, __file__, "--child", size, "--labels", str(given.labels)]
        done = subprocess.run([*command, "--strategy", given.strategy], check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        by_step = ", ".join(f"{name} {seconds:.2f}" for name, seconds in found["steps"].items())
        print(
            f"{found['items']:>9,} items: {found['seconds']:6.2f} s a round ({by_step}); "
            f"{found['mb']:,.0f} MB resident at most, {found['mb_filled']:,.0f} MB before the rounds began",
            flush=True,
        )


if __name__ == "__main__":
    main()
