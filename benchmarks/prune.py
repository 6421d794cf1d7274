"""Pruning solar cells' network to half of its channels: what it costs before and after, and what it loses.

    python benchmarks/prune.py [--labels 1500] [--size 160] [--channels 0.5] [--rung blocks] [--steps 2] [--folds 1]

EfficientNet-Lite0 with a linear head, or with its last blocks trained (`--rung blocks`), on labels drawn at random; 500
others test it, the rest are the pool, without their labels. The gate judges on labels of its own; the test items take
no part in anything but the last line. Speeds are of the fastest engine here, measured in turns.
Data: elpv (CC BY-NC-SA 4.0). Needs alearn[offline,prune].
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from alearn.models.head import Head, fit_head, item_weights
from alearn.models.networks import Network
from alearn.models.pruning import Budget, Recipe, prune
from alearn.models.pruning.running import outputs
from alearn.models.pruning.teacher import whole
from alearn.models.serving import pixels, read_image
from alearn.models.training.fitting import fit
from alearn.models.training.inputs import Pictures
from alearn.models.training.ladder import PLANS
from alearn.models.training.starts import behind, default_start
from alearn.models.training.tail import Tail, arrays
from alearn.models.tuned import Tuned
from alearn.models.zoo import resolve

NAME = "efficientnet-lite0"


def cells(network: Network) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    spec = importlib.util.find_spec("elpv_dataset")
    assert spec, "pip install 'alearn[offline]'"
    assert spec.submodule_search_locations
    root = Path(spec.submodule_search_locations[0]) / "data"
    rows = [line.split() for line in (root / "labels.csv").read_text().splitlines()]
    found = [pixels(read_image(str(root / row[0]), network.inputs["size"]), network.inputs) for row in rows]
    return np.stack(found), np.array([int(float(row[1]) > 0.5) for row in rows])


def tuned(network: Network, size: int, labeled: Pictures, head: Head, y: NDArray[np.intp], seed: int) -> Tuned:
    start = default_start(network)
    module = Tail(network.chain, start, *head.weights.shape)
    module.wear(head)
    inputs, plan = behind(network, labeled, start), PLANS["blocks"]
    fit(module, inputs, y, rows=np.arange(len(y)), weights=item_weights(y, 2), plan=plan, seed=seed)
    return Tuned("blocks", NAME, size, start, 1.0, {}, arrays(module))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=1500)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--channels", type=float, default=0.5, help="the share that is left")
    parser.add_argument("--rung", choices=["linear", "blocks"], default="blocks")
    parser.add_argument("--steps", type=int, default=Recipe().steps)
    parser.add_argument("--epochs", type=int, default=Recipe().plan.epochs, help="of imitation behind the last step")
    parser.add_argument("--folds", type=int, default=1, help="of four, how many are set aside in turn to judge")
    parser.add_argument("--tolerance", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    started = time.perf_counter()
    network = resolve(NAME, "image").network(given.size)  # type: ignore[misc]
    pictures, y = cells(network)
    order = np.random.default_rng(given.seed).permutation(len(y))
    rows, test, pool = order[: given.labels], order[1500:2000], order[2000:]
    labeled, tested = Pictures(pictures[rows]), Pictures(pictures[test])
    x = outputs(network.chain, labeled, np.arange(len(rows)))
    head = fit_head(x, y[rows], 2, seed=given.seed)
    model = head if given.rung == "linear" else tuned(network, given.size, labeled, head, y[rows], given.seed)
    print(f"trained: {time.perf_counter() - started:.0f} s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        found = prune(
            model,
            network,
            labeled,
            x,
            y[rows],
            name=NAME,
            size=given.size,
            unlabeled=Pictures(pictures[pool]),
            metric="average_precision",
            tolerance=given.tolerance,
            budget=Budget(channels=given.channels),
            recipe=Recipe(given.steps, replace(Recipe().plan, epochs=given.epochs), folds=given.folds),
            seed=given.seed,
            folder=Path(folder),
            say=lambda text: print(f"{time.perf_counter() - started:5.0f} s  {text}", flush=True),
        )
    print(f"\n{found.verdict.reason}\n{found.before.engine}\n")
    for what, before, after in found.table():
        print(f"{what:<20}{before:>12}{after:>12}")
    print(f"{'times as fast':<32}{found.after.items_per_second / found.before.items_per_second:>12.2f}")
    models = [whole(one, network) for one in (model, found.tuned) if one is not None]
    logits = [outputs(one, tested, np.arange(len(test))) for one in models]
    scores = [average_precision_score(y[test], one[:, 1] - one[:, 0]) for one in logits]
    print(f"{'AP on 500 test items':<20}" + "".join(f"{score:>12.4f}" for score in scores))
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
