"""How many labels a config needs to its target, beside the same with random picks.

    python benchmarks/labels_to_target.py digits intents solar-cells [--seeds 3] [--platform simulated]
    python benchmarks/labels_to_target.py solar-cells --strategies auto --sampling even weighted

Runs the real loop to its end for each config, strategy and seed. `--platform simulated` answers at once with the
robots' answers; `--platform label-studio` lets robot annotators work through a private Label Studio, which takes
minutes a run. Items are embedded once per config and shared between its runs. Prints a line a run, and medians.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from alearn import platform as door
from alearn.cli.loops import drive
from alearn.config import Config, load
from alearn.loop.intake import take_in
from alearn.loop.undertaking import opened

CONFIGS = Path(__file__).parents[1] / "configs"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("configs", nargs="+")
    asked.add_argument("--seeds", type=int, default=3)
    asked.add_argument("--strategies", nargs="+", default=["", "random"], help="empty: the config's own")
    asked.add_argument("--sampling", nargs="+", choices=["even", "weighted"], default=["even"], help="of the hold-out")
    asked.add_argument("--platform", choices=["simulated", "label-studio"], default="simulated")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder, server(given.platform):
        for name in given.configs:
            print(f"{name}, {given.platform}, {given.seeds} seeds")
            config = load(CONFIGS / f"{name}.yaml")
            warm = embedded(config, Path(folder) / name / "warm")
            for sampling, strategy in product(given.sampling, given.strategies):
                chosen = strategy or config.query.strategy
                holdout = config.holdout.model_copy(update={"sampling": sampling})
                drawn = config.model_copy(update={"holdout": holdout})
                runs = [one(drawn, warm, chosen, seed, given.platform) for seed in range(given.seeds)]
                report(chosen if sampling == "even" else f"{chosen}, {sampling} hold-out", runs)


@contextmanager
def server(platform: str) -> Iterator[None]:
    """A private Label Studio where one is needed, stopped at the end unless it ran before."""
    with ExitStack() as stack:
        if platform == "label-studio":
            private = door.server(platform)
            if private.status() is None:
                private.up(print)
                stack.callback(private.down)
        yield


def embedded(config: Config, home: Path) -> Path:
    """A home that holds the embeddings of all items and no round; copied for each run."""
    with opened(changed(config, home, config.query.strategy, 0, "simulated")) as loop:
        take_in(loop)
        loop.features.ensure([one.key for one in loop.store.items.candidates()])
    (home / "alearn.sqlite3").unlink()
    return home


def changed(config: Config, home: Path, strategy: str, seed: int, platform: str) -> Config:
    """The config with a home, strategy, seed and platform of its own."""
    robots, short = config.robots, strategy[:12].replace("_", "-").replace(":", "-")
    options = {"accuracy": robots.accuracy, "skip_rate": robots.skip_rate} if platform == "simulated" else {}
    cold_start = "random" if strategy == "random" else config.query.cold_start
    return config.model_copy(
        update={
            "name": f"{config.name}-{short}-{seed}-{int(time.time()) % 100_000}",
            "home": str(home),
            "seed": seed,
            "query": config.query.model_copy(update={"strategy": strategy, "cold_start": cold_start}),
            "platform": config.platform.model_copy(update={"name": platform, "options": options}),
        }
    )


@dataclass(frozen=True)
class Run:
    """How one loop ended."""

    kind: str
    labels: int
    holdout: int
    rounds: int
    metric: str
    value: float
    low: float
    seconds: float


def one(config: Config, warm: Path, strategy: str, seed: int, platform: str) -> Run:
    """Run a loop to its end, and print it."""
    home, began = warm.parent / f"{strategy.replace(':', '-')}-{seed}", time.monotonic()
    shutil.copytree(warm, home)
    name = config.target.metric if config.target else "accuracy"
    with opened(changed(config, home, strategy, seed, platform)) as loop:
        drive(loop, robots=platform != "simulated")
        seen, (round_, metrics) = loop.store.look(), loop.store.rounds.history()[-1]
    found, kind = metrics[name], round_.kind or "none"
    run = Run(kind, seen.labels, seen.holdout_labels, round_.number, name, found.value or 0.0, found.low or 0.0, 0.0)
    run = replace(run, seconds=time.monotonic() - began)
    print(
        f"  {strategy} seed {seed}: {run.kind} after {run.labels} labels ({run.holdout} hold-out), "
        f"{run.rounds} rounds, {run.metric} {run.value:.3f} (at least {run.low:.3f}), {run.seconds:.0f} s",
        flush=True,
    )
    shutil.rmtree(home)
    return run


def report(strategy: str, runs: list[Run]) -> None:
    labels = [run.labels for run in runs]
    hit, middle = sum(run.kind == "target" for run in runs), statistics.median(labels)
    print(f"{strategy}: median {middle:.0f} labels [{min(labels)}-{max(labels)}], target hit {hit}/{len(runs)}")


if __name__ == "__main__":
    main()
