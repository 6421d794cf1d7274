"""Whether the guard notices a strategy that loses to random, and what it saves: entropy on Fashion-MNIST.

    ALEARN_FASHION=FOLDER python benchmarks/guard.py                           entropy, with the guard and without
    ALEARN_FASHION=FOLDER python benchmarks/guard.py --strategies auto random  and those that have nothing to fear

The real loop with simulated annotators who make no mistakes: 16,000 pictures, batches of 50, a hold-out of 400, and
4,000 others to test on, which the loop never sees. A line for each check of the guard; then accuracy on the test part
by labels that are trained on. Data: Fashion-MNIST (MIT; the folder of its four files). Needs alearn[offline].
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from alearn.config import Config, parse
from alearn.core.keys import unit_interval
from alearn.loop.intake import take_in
from alearn.loop.undertaking import Undertaking, opened
from alearn.simulation.known import Known, known_of, split
from alearn.simulation.running import drive, measured, share
from alearn.store.items import as_row

CLASSES = [str(number) for number in range(10)]
ITEMS = 20_000


def pictures(folder: Path) -> None:
    """Write the first pictures of the training part, by class."""
    source = Path(os.environ["ALEARN_FASHION"])
    raw = gzip.decompress((source / "train-images-idx3-ubyte.gz").read_bytes())
    x = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28)[:ITEMS]
    y = np.frombuffer(gzip.decompress((source / "train-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
    for at, (image, truth) in enumerate(zip(x, y, strict=False)):
        place = folder / CLASSES[truth]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{at}.png")


def config(folder: Path, home: Path, strategy: str, guard: float, seed: int, labels: int) -> Config:
    """A loop of these pictures."""
    raw = {
        "name": "guard",
        "items": {"path": str(folder), "truth": "folder"},
        "task": {"data": "image", "classes": CLASSES},
        "model": {"name": "efficientnet-lite0", "size": 64, "tap": "block10", "ladder": "linear"},
        "query": {"batch": 50, "strategy": strategy, "cold_start": "random"},
        "queue": {"low": 0, "high": 50},
        "holdout": {"size": 400, "rate": 0.5},
        "guard": {"share": guard},
        "budget": {"labels": labels},
        "platform": {"name": "simulated"},
        "home": str(home),
        "seed": seed,
    }
    return parse(raw, name="guard.yaml", folder=home)


def fill(loop: Undertaking, pool: Sequence[Known]) -> None:
    """Put the pool into a loop, a part of it held out to measure on."""
    held, seed = loop.config.holdout.share, loop.config.seed
    loop.store.items.add([as_row(one, holdout=unit_interval(one.group, seed) < held) for one in pool])


def checks(loop: Undertaking) -> list[str]:
    """What the guard found, a line each."""
    found = []
    for row in loop.store.rounds.selections():
        told = json.loads(row.facts).get("guard", {})
        if one := told.get("check"):
            found.append(
                f"  round {row.round:>3}: chosen {one['ahead']:+.3f} (standard error {one['error']:.3f}) "
                f"on {one['items']} items -> {told['share']:.0%} at random"
            )
    return found


def curve(loop: Undertaking, test: Sequence[Known]) -> str:
    """Accuracy on the test part at some numbers of training labels."""

    rounds = measured(loop, test, None)
    shown = [one for at, one in enumerate(rounds) if at % 4 == 3 or at == len(rounds) - 1]
    return "  " + "  ".join(f"{one['labels']}: {one['values']['accuracy']:.3f}" for one in shown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategies", nargs="+", default=["entropy"])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--labels", type=int, default=1600, help="the hold-out's included")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures(folder / "pictures")
        with opened(config(folder / "pictures", folder / "base", "random", 0, 0, given.labels)) as loop:
            take_in(loop)
            every = known_of(loop)
            loop.features.ensure([one.key for one in every])
        for strategy in given.strategies:
            for seed in range(given.seeds):
                for guard in (0.0, 0.1):
                    pool, test = split(every, seed)
                    home = folder / f"{strategy}-{seed}-{guard}"
                    home.mkdir()
                    share(folder / "base" / "embeddings", home / "embeddings")
                    with opened(config(folder / "pictures", home, strategy, guard, seed, given.labels)) as loop:
                        fill(loop, pool)
                        drive(loop)
                        print(f"{strategy}, seed {seed}, {'the guard' if guard else 'no guard'}")
                        print("\n".join([*checks(loop), curve(loop, test)]), flush=True)


if __name__ == "__main__":
    main()
