"""What each rung of the ladder costs and gives, on solar cells: 1,500 training labels, the other cells to test on.

    python benchmarks/ladder.py                              a quick look: one seed, one epoch of what is dear
    python benchmarks/ladder.py --seeds 5 --epochs 6         in full; hours on two cores
    python benchmarks/ladder.py --seeds 5 --epochs 0         without the whole network and training from scratch

An epoch's seconds are of 1,500 items, from 320, the fastest of three interleaved rounds. "from scratch" is the loop
that people write: the same network with random weights, batch norms learning, AdamW, flips, as many epochs as the whole
network. "ECE T=1" is the calibration error without the temperature. Data: elpv (CC BY-NC-SA 4.0).
Needs alearn[offline].
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import cross_entropy

from alearn.core.keys import content_key
from alearn.core.metrics import METRICS
from alearn.models import ActivationCache, Head, embed_items, fit_head, load_trunk
from alearn.models.head import item_weights
from alearn.models.serving import threads
from alearn.models.training import ladder
from alearn.models.training.fitting import Plan, fit, logits_of
from alearn.models.training.inputs import Inputs, Pictures, Stored
from alearn.models.training.starts import starts
from alearn.models.training.tail import Tail
from alearn.models.training.tuned import tail
from alearn.models.training.validation import softmax
from alearn.models.tuned import Tuned
from alearn.models.zoo import resolve

NAME, LABELS, VIEWS, TIMED = "efficientnet-lite0", 1500, 4, 320
Rows = NDArray[np.intp]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Cells:
    """All cells, prepared and embedded; `stored` gives their activations behind a tap, in all views."""

    home: Path
    size: int
    y: NDArray[np.intp]
    x: Floats
    pixels: NDArray[np.uint8]

    def stored(self, tap: str) -> Inputs:
        trunk = load_trunk(NAME, "image", size=self.size, taps=(tap,), output="activation", folder=self.home / "trunks")
        arrays, pictures = [], Pictures(self.pixels, VIEWS)
        for view in range(VIEWS):
            path = self.home / f"activations-{trunk.cache_key}-{view}.npy"
            if not path.is_file():
                seen = (
                    pictures.take(rows, np.full(len(rows), view))[0].numpy()
                    for rows in np.array_split(np.arange(len(self.y)), len(self.y) // 32)
                )
                np.save(path, np.concatenate([trunk.embed(list(batch)) for batch in seen]))
            arrays.append(np.load(path, mmap_mode="r"))
        return Stored(*arrays)


def cells(home: Path, size: int) -> Cells:
    spec = importlib.util.find_spec("elpv_dataset")
    assert spec, "pip install 'alearn[offline]'"
    assert spec.submodule_search_locations
    root = Path(spec.submodule_search_locations[0]) / "data"
    rows = [line.split() for line in (root / "labels.csv").read_text().splitlines()]
    items = [(content_key((root / row[0]).read_bytes()), str(root / row[0]), None) for row in rows]
    trunk = load_trunk(NAME, "image", size=size, folder=home / "trunks")
    cache = ActivationCache(home / "embeddings" / trunk.cache_key, trunk.about.shape)
    assert embed_items(trunk, cache, items) == {}
    pixels = np.stack([np.asarray(trunk.prepare(Image.open(root / row[0]))) for row in rows])
    y = np.array([int(float(row[1]) > 0.5) for row in rows])
    return Cells(home, size, y, cache.rows([key for key, _, _ in items]), pixels)


class Some:
    """Some rows of inputs, as inputs."""

    def __init__(self, inputs: Inputs, rows: Rows) -> None:
        self.inputs, self.rows, self.views = inputs, rows, inputs.views

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: Rows, views: Rows | None = None) -> tuple[torch.Tensor, ...]:
        return self.inputs.take(self.rows[rows], views)


@dataclass(frozen=True)
class Split:
    """The cells of one seed, and how the ladder is to reach those that are trained on."""

    data: Cells
    seed: int
    train: Rows
    test: Rows

    @property
    def y(self) -> NDArray[np.intp]:
        return self.data.y[self.train]

    def ground(self) -> ladder.Ground:
        data = self.data
        return ladder.Ground(
            NAME,
            data.size,
            lambda: resolve(NAME, "image").network(data.size),
            lambda: Some(Pictures(data.pixels, VIEWS), self.train),
            lambda tap: Some(data.stored(tap), self.train),
        )

    def proba(self, model: Head | Tuned) -> Floats:
        """What a model says of the test cells."""
        if isinstance(model, Head):
            return model.proba(self.data.x[self.test])
        inputs = Pictures(self.data.pixels) if model.start is None else self.data.stored(model.start)
        return softmax(logits_of(tail(model, self.ground().network()), inputs, self.test))


def split(data: Cells, seed: int) -> Split:
    order = np.random.default_rng(seed).permutation(len(data.y))
    return Split(data, seed, order[:LABELS], order[LABELS:])


def scratch(of: Split, epochs: int) -> Floats:
    """The loop that people write; what it says of the test cells."""
    network = resolve(f"random:{NAME}", "image").network(of.data.size)
    pictures, chain = Pictures(of.data.pixels, VIEWS), network.chain
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(of.seed)
        module = Tail(chain, None, of.data.x.shape[1], 2)
    weights, rng = torch.from_numpy(item_weights(of.y, 2).astype(np.float32)), np.random.default_rng(of.seed)
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-3)
    steps = epochs * -(-LABELS // 32)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(epochs):
        module.train()
        order = rng.permutation(LABELS)
        for rows in (order[at : at + 32] for at in range(0, LABELS, 32)):
            logits = module(*pictures.take(of.train[rows], rng.integers(0, VIEWS, len(rows))))
            loss = cross_entropy(logits, torch.from_numpy(of.y[rows]), reduction="none") * weights[rows]
            optimiser.zero_grad()
            loss.mean().backward()
            optimiser.step()
            falling.step()
    return softmax(logits_of(module, pictures, of.test))


def seconds_per_epoch(of: Split, taps: Sequence[str | None]) -> dict[str | None, float]:
    """Processor seconds of an epoch of LABELS items, by where the tail begins."""
    network, found = of.ground().network(), dict.fromkeys(taps, np.inf)
    inputs = {tap: Pictures(of.data.pixels, VIEWS) if tap is None else of.data.stored(tap) for tap in taps}
    for _ in range(3):
        for tap in taps:
            module = Tail(network.chain, tap, of.data.x.shape[1], 2)
            started = time.process_time()
            fit(module, inputs[tap], of.data.y, rows=of.train[:TIMED], plan=Plan(epochs=1, rate=1e-5), seed=0)
            found[tap] = min(found[tap], (time.process_time() - started) * LABELS / TIMED)
    return found


def scores(of: Split, proba: Floats) -> list[float]:
    names = ("average_precision", "f1", "accuracy", "calibration_error")
    return [METRICS[name].compute(of.data.y[of.test], proba) for name in names]


class Table:
    """Rows of figures by the name of what was trained, printed as they come and as means."""

    def __init__(self) -> None:
        self.rows: dict[str, list[list[float]]] = {}

    def measure(self, name: str, of: Split, train: Callable[[Split], Head | Tuned | Floats]) -> None:
        """Train, test, and say it; of a model also without its temperature."""
        started = time.process_time()
        model = train(of)
        seconds = time.process_time() - started
        plain = np.nan
        if isinstance(model, Head | Tuned):
            plain = scores(of, of.proba(replace(model, temperature=1.0)))[3]
            found = scores(of, of.proba(model))
        else:
            found = scores(of, model)
        self.rows.setdefault(name, []).append([*found[:3], plain, found[3], seconds])
        say(f"{of.seed} {name}", self.rows[name][-1])

    def means(self) -> None:
        print(f"\nmeans of {max(len(rows) for rows in self.rows.values())} seeds")
        for name, rows in self.rows.items():
            say(name, np.mean(rows, axis=0).tolist())


def say(name: str, row: Sequence[float]) -> None:
    *figures, seconds = row
    print(f"{name:<28}" + "".join(f"{value:8.3f}" for value in figures) + f"{seconds:10.1f}", flush=True)


def climbed(of: Split, top: str) -> Head | Tuned:
    folder = of.data.home / "climb"
    shutil.rmtree(folder, ignore_errors=True)
    found = ladder.climb(
        linear(of),
        of.data.x[of.train],
        of.y,
        of.ground(),
        top=top,
        metric="average_precision",
        seed=of.seed,
        checkpoint=folder,
    )
    for verdict in found.verdicts:
        where = f" behind {verdict.start}" if verdict.start else ""
        print(f"  {verdict.rung}{where}, {verdict.epochs} epochs: {verdict.reason}", flush=True)
    return found.model


def trained(of: Split, rung: str, start: str | None, epochs: int) -> Tuned:
    """A rung on all labels, whether it pays or not; not calibrated."""
    folder = of.data.home / "trained"
    shutil.rmtree(folder, ignore_errors=True)
    return ladder.stay(
        of.data.x[of.train],
        of.y,
        2,
        of.ground(),
        rung=rung,  # type: ignore[arg-type]
        start=start,
        epochs=epochs,
        temperature=1.0,
        seed=of.seed,
        checkpoint=folder,
    )


def linear(of: Split) -> Head:
    return fit_head(of.data.x[of.train], of.y, 2, seed=of.seed)


def measure(table: Table, of: Split, taps: Sequence[str], epochs: int, top: str, *, alone: bool) -> None:
    table.measure("linear head", of, linear)
    for tap in taps if alone else ():
        table.measure(f"blocks behind {tap}", of, partial(trained, rung="blocks", start=tap, epochs=10**6))
    table.measure("the ladder", of, partial(climbed, top=top))
    if epochs:
        table.measure(f"whole, {epochs} epochs", of, partial(trained, rung="whole", start=None, epochs=epochs))
        table.measure(f"from scratch, {epochs} epochs", of, partial(scratch, epochs=epochs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=Path("runs/benchmarks"), help="where trunks and activations are")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=1, help="of the whole network, and from scratch; 0: neither")
    parser.add_argument("--alone", action="store_true", help="train behind each tap, too, whether it pays or not")
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--top", choices=list(ladder.TRIED), default="blocks", help="how high the ladder may go")
    asked = parser.parse_args()
    torch.set_num_threads(threads())
    ladder.PLANS["whole"] = replace(ladder.PLANS["whole"], epochs=asked.epochs or ladder.PLANS["whole"].epochs)
    asked.home.mkdir(parents=True, exist_ok=True)
    data, table = cells(asked.home, asked.size), Table()
    taps = starts(split(data, 0).ground().network())
    times = seconds_per_epoch(split(data, 0), (*taps, None))
    for tap, seconds in times.items():
        print(f"an epoch behind {tap or 'the input':<10}{seconds:8.1f} s, 1/{times[None] / seconds:.1f} of the whole's")
    print(f"{'':<28}" + "".join(f"{name:>8}" for name in ("AP", "F1", "acc.", "ECE T=1", "ECE")) + f"{'CPU s':>10}")
    for seed in range(asked.seeds):
        measure(table, split(data, seed), taps, asked.epochs, asked.top, alone=asked.alone)
    table.means()


if __name__ == "__main__":
    main()
