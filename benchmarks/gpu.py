"""Embedding and training on an NVIDIA GPU, side by side with this machine's CPU and with bare loops of torch.

    python benchmarks/gpu.py [--network efficientnet-lite0] [--size 224] [--images 4096] [--labels 512] [--json]

Embedding: images per second of the fastest engine of the CPU and of the cuda engine in each precision; beside it, as
the limits, the loop that most people write (a batch copied, computed, fetched), and one over images that are on the GPU
already. Training: seconds per epoch of `fit`, of the last blocks and of the whole network, on the CPU and on the GPU;
beside it a bare loop on the GPU, the same module, batch, precision and optimiser, without anything that makes a run
repeatable or safe. The first epoch warms up and is not counted. Agreement: how far the embeddings, and the logits after
training, are from the CPU's, relative to the largest. The images are made up; where the weights of a network are not
installed, they are random. Everything is float32 without TF32 unless it says otherwise. Exit code 2: no GPU.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from alearn.models.engines import Engine, available, cpu, cuda, open_graph
from alearn.models.networks import Network, cut
from alearn.models.networks.exporting import write
from alearn.models.serving import threads
from alearn.models.training import device
from alearn.models.training.descent import paces
from alearn.models.training.fitting import Plan, fit, logits_of
from alearn.models.training.inputs import Inputs, Pictures
from alearn.models.training.starts import behind, default_start
from alearn.models.training.tail import Tail
from alearn.models.zoo import LITE0, load_network

BARE = 256
"""Images in a batch of the bare loop that embeds."""
ROUNDS = 3
"""How often a speed is measured; the median counts."""
PLAN = Plan(epochs=3, rate=3e-4)

Numbers = dict[str, Any]


@dataclass(frozen=True)
class Pool:
    """Made-up images (n, size, size, 3), uint8, and their classes (n,): stripes that stand or lie, under noise."""

    pixels: NDArray[np.uint8]
    y: NDArray[np.intp]


def pool(count: int, size: int) -> Pool:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, count)
    wave = 40 * np.sin(np.arange(size) * 0.5)
    signal = np.stack([np.broadcast_to(wave, (size, size)), np.broadcast_to(wave, (size, size)).T])[..., None]
    noise = rng.integers(40, 216, (count, size, size, 3), dtype=np.int16)
    return Pool((noise + signal.astype(np.int16)[y]).astype(np.uint8), y)


def per_second(run: Callable[[], object], count: int) -> float:
    run()
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return count / statistics.median(seconds)


def of_cpu(module: nn.Module, pixels: NDArray[np.uint8]) -> tuple[Numbers, NDArray[Any]]:
    """The fastest engine's speed and its embeddings; torch itself is none of them, it is many times slower."""
    rates: dict[Engine, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trunk.onnx"
        with torch.no_grad():
            write(module, {"pixels": torch.from_numpy(pixels[:2])}, path, "embedding")
        for name in available("float32"):
            if name not in {"cuda", "torch"}:
                engine = open_graph(path, engine=name)
                rates[engine] = per_second(partial(engine.run, {"pixels": pixels}), len(pixels))
    best = max(rates, key=lambda one: rates[one])
    return {"engine": str(best), "images_per_second": rates[best]}, best.run({"pixels": pixels})


def copied(module: nn.Module, pixels: NDArray[np.uint8], dtype: torch.dtype) -> NDArray[Any]:
    """The loop that most people write."""
    found = []
    with torch.inference_mode(), torch.autocast("cuda", dtype, enabled=dtype != torch.float32):
        for at in range(0, len(pixels), BARE):
            found.append(module(torch.from_numpy(pixels[at : at + BARE]).to("cuda")).float().cpu().numpy())
    return np.concatenate(found)


def resident(module: nn.Module, pixels: torch.Tensor, dtype: torch.dtype) -> None:
    """The limit: nothing is copied."""
    with torch.inference_mode(), torch.autocast("cuda", dtype, enabled=dtype != torch.float32):
        for part in pixels.split(BARE):
            module(part)
    torch.cuda.synchronize()


def embedding(network: Network, images: Pool, few: int) -> tuple[Numbers, Numbers]:
    """Speeds, and how far the embeddings of each precision are from the CPU's."""
    module, pixels = cut(network, [], "embedding")[0], images.pixels
    slow, wanted = of_cpu(module, pixels[:few])
    found: Numbers = {"cpu": slow, "cuda": {}}
    agreement: Numbers = {}
    there = torch.from_numpy(pixels).to("cuda")
    for precision in cuda.precisions():
        dtype = getattr(torch, precision)
        engine = cuda.open_module(deepcopy(module), precision, "float32")
        bare = deepcopy(module).to("cuda", memory_format=torch.channels_last)
        rates = {
            "alearn": per_second(partial(engine.run, {"pixels": pixels}), len(pixels)),
            "bare_loop": per_second(partial(copied, bare, pixels, dtype), len(pixels)),
            "on_gpu_already": per_second(partial(resident, bare, there, dtype), len(pixels)),
        }
        found["cuda"][precision] = rates | ratios(rates["alearn"], rates, slow["images_per_second"])
        agreement[precision] = apart(engine.run({"pixels": pixels[:few]}), wanted)
    return found, agreement


def ratios(ours: float, rates: Mapping[str, float], slow: float) -> Numbers:
    return {
        "of_bare_loop": ours / rates["bare_loop"],
        "of_limit": ours / rates["on_gpu_already"],
        "of_cpu": ours / slow,
    }


def apart(found: NDArray[Any], wanted: NDArray[Any]) -> float:
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def tail_of(network: Network, start: str | None, inputs: Inputs) -> Tail:
    """With a fresh head, and without dropout, which each device draws for itself."""
    dim = Tail(network.chain, start, 1, 1).embedding(*inputs.take(np.arange(1))).shape[1]
    torch.manual_seed(0)
    found = Tail(network.chain, start, dim, 2)
    for part in found.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return found


def ours(tail: Tail, inputs: Inputs, y: NDArray[np.intp], where: torch.device) -> tuple[float, NDArray[np.float32]]:
    """Seconds per epoch of `fit`, and the logits after the last."""
    tail, rows, ended = deepcopy(tail), np.arange(len(y)), []
    fit(
        tail, inputs, y, rows=rows, plan=PLAN, seed=0, where=where,
        report=lambda *_: ended.append(time.perf_counter()),
    )  # fmt: skip
    return min(np.diff(ended)), logits_of(tail, inputs, rows, where=where)


def bare_epochs(tail: Tail, inputs: Inputs, y: NDArray[np.intp]) -> float:
    """Seconds per epoch of the loop that most people write, on the GPU."""
    module, ended = deepcopy(tail).to("cuda", memory_format=torch.channels_last).train(), []
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()
    groups = [{"params": one, "lr": PLAN.rate * pace} for pace, one in paces(module, PLAN.decay)]
    optimiser = torch.optim.AdamW(groups, weight_decay=PLAN.weight_decay)
    targets = torch.from_numpy(y).to("cuda")
    for epoch in range(PLAN.epochs):
        order = np.random.default_rng(epoch).permutation(len(y))
        for at in range(0, len(y), PLAN.batch):
            rows = order[at : at + PLAN.batch]
            optimiser.zero_grad()
            given = [one.to("cuda", non_blocking=True) for one in inputs.take(rows)]
            functional.cross_entropy(module(*given), targets[rows]).backward()
            optimiser.step()
        torch.cuda.synchronize()
        ended.append(time.perf_counter())
    return min(np.diff(ended))


def training(network: Network, images: Pool) -> tuple[Numbers, Numbers]:
    """Seconds per epoch, and how far the logits after training are from the CPU's."""
    found: Numbers = {}
    agreement: Numbers = {}
    start, gpu = default_start(network), device.device()
    pictures = Pictures(images.pixels)
    rungs: dict[str, tuple[str | None, Inputs]] = {"whole": (None, pictures)}
    if start is not None:
        rungs = {"blocks": (start, behind(network, pictures, start, where=gpu)), **rungs}
    for rung, (tap, inputs) in rungs.items():
        tail = tail_of(network, tap, inputs)
        (slow, wanted), (fast, logits) = (ours(tail, inputs, images.y, where) for where in (device.CPU, gpu))
        bare = bare_epochs(tail, inputs, images.y)
        found[rung] = {
            "behind": tap,
            "cpu_seconds": slow,
            "gpu_seconds": fast,
            "bare_loop_seconds": bare,
            "of_bare_loop": bare / fast,
            "of_cpu": slow / fast,
        }
        agreement[rung] = apart(logits, wanted)
    return found, agreement


def machine() -> Numbers:
    return {
        "gpu": torch.cuda.get_device_name(),
        "cpu": cpu.name(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": threads(),
        "load": os.getloadavg()[0],
        "torch": torch.__version__,
    }


def show(found: Numbers) -> None:
    here, embedded = found["machine"], found["embedding"]
    print(f"{here['gpu']}; {here['cpu']}, {here['cores']} cores, load {here['load']:.1f}; torch {here['torch']}")
    print(f"{found['network']}, {found['size']} px\n")
    heads = f"{'alearn':>9}{'bare loop':>11}{'ratio':>7}{'limit':>9}{'ratio':>7}{'CPU':>7}"
    print(f"{'embedding, images per second':<30}{heads}")
    print(f"{embedded['cpu']['engine']:<30.30}{embedded['cpu']['images_per_second']:>9.0f}")
    for precision, one in embedded["cuda"].items():
        print(
            f"cuda {precision:<25}{one['alearn']:>9.0f}{one['bare_loop']:>11.0f}{one['of_bare_loop']:>7.2f}"
            f"{one['on_gpu_already']:>9.0f}{one['of_limit']:>7.2f}{one['of_cpu']:>6.0f}x"
        )
    print(f"\n{'training, seconds per epoch':<30}{'CPU':>9}{'GPU':>11}{'':>7}{'bare loop':>9}{'ratio':>7}{'CPU':>7}")
    for rung, one in found["training"].items():
        what = f"{rung}, {found['labels']} images"
        print(
            f"{what:<30}{one['cpu_seconds']:>9.2f}{one['gpu_seconds']:>11.2f}{'':>7}{one['bare_loop_seconds']:>9.2f}"
            f"{one['of_bare_loop']:>7.2f}{one['of_cpu']:>6.0f}x"
        )
    print("\nfurthest from the CPU, of the largest number")
    for what, one in found["agreement"].items():
        print(f"{what:<12}" + ", ".join(f"{name} {value:.1e}" for name, value in one.items()))
    print(f"\n{found['seconds']:.0f} seconds")


def measured(name: str, size: int, images: int, labels: int) -> Numbers:
    started = time.perf_counter()
    device.device()  # turns TF32 off, for the bare loops as well
    network, made = load_network(name, "image", size), pool(max(images, labels), size)
    embedded, of_embeddings = embedding(network, Pool(made.pixels[:images], made.y), min(images, 512))
    trained, of_logits = training(network, Pool(made.pixels[:labels], made.y[:labels]))
    return {
        "machine": machine(),
        "network": name,
        "size": size,
        "images": images,
        "labels": labels,
        "embedding": embedded,
        "training": trained,
        "agreement": {"embeddings": of_embeddings, "logits": of_logits},
        "seconds": time.perf_counter() - started,
    }


def network_here() -> str:
    """With its own weights where these are installed."""
    return "efficientnet-lite0" if LITE0.installed else "random:efficientnet-lite0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", help="as in `model.name`; default: efficientnet-lite0")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--images", type=int, default=4096, help="that are embedded")
    parser.add_argument("--labels", type=int, default=512, help="that are trained on")
    parser.add_argument("--json", action="store_true", help="the numbers only")
    given = parser.parse_args()
    if not cuda.precisions():
        print("benchmarks/gpu.py needs an NVIDIA GPU. There is none here. Run it where there is one.", file=sys.stderr)
        raise SystemExit(2)
    with contextlib.redirect_stdout(sys.stderr):  # what exporting says
        found = measured(given.network or network_here(), given.size, given.images, given.labels)
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        show(found)


if __name__ == "__main__":
    main()
