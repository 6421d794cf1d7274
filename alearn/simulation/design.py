"""What an experiment consists of: every strategy with every seed, batch size and rate of wrong answers.

Invariant: a run's fingerprint says everything that its numbers depend on, so a file of that name is its result.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import alearn
from alearn.config import Config
from alearn.config.sections import BudgetSpec, CostsSpec, GuardSpec, HoldoutSpec, PlatformSpec, QueueSpec, StoreSpec
from alearn.core.keys import fingerprint
from alearn.core.strategies import resolve, resolve_cold_start
from alearn.errors import ConfigError
from alearn.simulation.peers import full_name

FORMAT = 1
"""Of the files of runs; others are made anew."""


@dataclass(frozen=True)
class Run:
    """One run of the loop: `noise` is the share of wrong answers, `labels` what it may spend."""

    strategy: str
    seed: int
    batch: int
    noise: float
    labels: int


@dataclass(frozen=True)
class Design:
    """What is compared, and on how many labels."""

    strategies: tuple[str, ...]
    seeds: int
    batches: tuple[int, ...]
    noises: tuple[float, ...]
    labels: int

    def runs(self) -> list[Run]:
        """Every run, seed by seed, so that an experiment that is stopped has compared what it has."""
        return [
            Run(strategy, seed, batch, noise, self.labels)
            for seed, batch, noise, strategy in product(range(self.seeds), self.batches, self.noises, self.strategies)
        ]


def designed(  # noqa: PLR0917 - the command's options
    config: Config,
    strategies: Sequence[str],
    seeds: int,
    batches: Sequence[int],
    noises: Sequence[float],
    labels: int,
) -> Design:
    """The experiment that a person asked for; without strategies the config's own, `random` and `margin`.

    Raises:
        ConfigError: a number is out of range.
        StrategyError: a strategy does not exist, or its package is not installed.
    """
    for option, values, low, high in (
        ("--seeds", [seeds], 1, 1_000),
        ("--batch", batches, 1, 10_000),
        ("--labels", [labels], 2, 10**7),
        ("--noise", noises, 0, 1),
    ):
        for value in values:
            if not low <= value <= high:
                raise ConfigError(f"{option} must be in [{low}, {high}]. Got {value}. Correct it.")
    names = list(dict.fromkeys(strategies or (config.query.strategy, "random", "margin")))
    for name in names:
        resolve(full_name(name))
    resolve_cold_start(config.query.cold_start)
    return Design(tuple(names), seeds, tuple(dict.fromkeys(batches)), tuple(dict.fromkeys(noises)), labels)


def config_of(config: Config, run: Run, home: Path) -> Config:
    """The config of a run: simulated annotators, no hold-out, no guard, a round as soon as a batch is answered.

    The guard would mix random picks into every strategy's batches, so that less of the strategies were compared.
    A linear head is trained, so that a run takes seconds. A strategy that needs no model chooses from the beginning;
    before the others the config's cold start does.
    """
    name = full_name(run.strategy)
    cold = config.query.cold_start if resolve(name).needs & {"proba", "votes"} else name
    return config.model_copy(
        update={
            "home": str(home),
            "seed": run.seed,
            "model": config.model.model_copy(update={"ladder": "linear"}),
            "query": config.query.model_copy(update={"strategy": name, "cold_start": cold, "batch": run.batch}),
            "queue": QueueSpec(low=0, high=run.batch),
            "holdout": HoldoutSpec(size=0),
            "guard": GuardSpec(share=0),
            "target": None,
            "budget": BudgetSpec(labels=run.labels),
            "costs": CostsSpec(),
            "platform": PlatformSpec(name="simulated", options={"accuracy": 1 - run.noise}),
            "store": StoreSpec(),
        }
    )


def fingerprint_of(config: Config, run: Run, items: str) -> str:
    """Of everything that a run's numbers depend on; `items` is the identity of the known items."""
    sections: Mapping[str, Any] = config_of(config, run, Path()).model_dump(mode="json", exclude={"home", "items"})
    metric = metric_of(config)
    return fingerprint([FORMAT, alearn.__version__, items, sections, list(metric), asdict(run)])[:16]


def file_of(run: Run, mark: str) -> str:
    """The name of a run's file."""
    name = re.sub(r"[^a-z0-9]+", "-", run.strategy.lower()).strip("-")
    return f"{name}-seed{run.seed}-batch{run.batch}-noise{run.noise:g}-{mark}.json"


def metric_of(config: Config) -> tuple[str, int | None]:
    """The metric that is compared, and the class that it is about: the target's, else accuracy."""
    target = config.stop_at
    return ("accuracy", None) if target is None else (target.metric, target.positive)
