"""One run: the real loop to its end, and each of its versions on the test part.

Invariant: the loop is given the pool and nothing else; the test part is looked at when the loop is done.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.config import Config
from alearn.core.metrics import METRICS
from alearn.errors import AlearnError
from alearn.loop.plan import Step, plan
from alearn.loop.scoring import scorer
from alearn.loop.steps import DO, collect, prepare
from alearn.loop.undertaking import Undertaking, opened
from alearn.models import fit_head
from alearn.simulation.design import Run, config_of, metric_of
from alearn.simulation.known import Known, kept, split
from alearn.store.blobs import write_whole
from alearn.store.items import as_row

Values = dict[str, float | None]
"""A value per metric; None where the test part cannot decide it."""


@dataclass(frozen=True)
class Ground:
    """Where a run finds what all runs share: the base config, its items, their embeddings, room for a home."""

    config: Config
    items: Path
    embeddings: Path
    scratch: Path


def simulate(ground: Ground, run: Run, mark: str, path: Path) -> dict[str, Any]:
    """Do a run in a home of its own and write its row to `path`; returns the row."""
    began = time.perf_counter()
    pool, test = split(kept(ground.items), run.seed)
    with tempfile.TemporaryDirectory(dir=ground.scratch) as folder:
        home = Path(folder)
        share(ground.embeddings, home / "embeddings")
        with opened(config_of(ground.config, run, home)) as loop:
            fill(loop, pool)
            took = drive(loop)
            rounds = measured(loop, test, metric_of(ground.config)[1])
    row = {"mark": mark, **asdict(run), "pool": len(pool), "test": len(test), "rounds": rounds}
    row["select_seconds"] = _rounded(took[Step.SELECT])
    row["seconds"] = {step.value: round(sum(all_), 3) for step, all_ in took.items()}
    row["seconds"]["total"] = round(time.perf_counter() - began, 3)
    write_whole(path, json.dumps(row, indent=1).encode())
    return row


def measure_all(ground: Ground, seed: int, mark: str, path: Path) -> dict[str, Any]:
    """What the head is worth that is trained on every true answer of the pool; writes its row to `path`."""
    pool, test = split(kept(ground.items), seed)
    with tempfile.TemporaryDirectory(dir=ground.scratch) as folder:
        share(ground.embeddings, Path(folder) / "embeddings")
        with opened(ground.config.model_copy(update={"home": folder})) as loop:
            x, y = loop.features.rows([one.key for one in pool]), answers(loop, pool)
            head = fit_head(x, y, len(loop.schema.classes), seed=seed, strength=loop.config.model.strength)
            proba = head.proba(loop.features.rows([one.key for one in test]))
            row = {"mark": mark, "seed": seed, "pool": len(pool), "test": len(test)}
            row["values"] = values(answers(loop, test), proba, metric_of(ground.config)[1])
    write_whole(path, json.dumps(row, indent=1).encode())
    return row


def share(source: Path, place: Path) -> None:
    """Let a home use the embeddings that are there: any number of processes may."""
    try:
        place.symlink_to(source, target_is_directory=True)
    except OSError:  # a system without links for everybody
        shutil.copytree(source, place, copy_function=os.link)


def fill(loop: Undertaking, pool: Sequence[Known]) -> None:
    """Put the pool into a loop; what measures is held apart already."""
    loop.store.items.add([as_row(one, holdout=False) for one in pool])


def drive(loop: Undertaking) -> Mapping[Step, list[float]]:
    """Do what the policy says until it says that the loop is done; returns the seconds of every step, by kind.

    Raises:
        AlearnError: whatever a step raises; or annotators who answer at once leave items open.
    """
    took: dict[Step, list[float]] = defaultdict(list)
    _timed(took, Step.PREPARE, lambda: prepare(loop))
    while (step := plan(loop.snapshot())) is not Step.DONE:
        if step is Step.WAIT and not collect(loop):
            raise AlearnError(f"{loop.snapshot().open} items wait for simulated annotators, who answer nothing more.")
        if step is not Step.WAIT:
            _timed(took, step, lambda step=step: DO[step](loop))
            _timed(took, Step.WAIT, lambda: collect(loop))
    return took


def _timed(took: dict[Step, list[float]], step: Step, work: Any) -> None:
    began = time.perf_counter()
    work()
    took[step].append(time.perf_counter() - began)


def measured(loop: Undertaking, test: Sequence[Known], positive: int | None) -> list[dict[str, Any]]:
    """Every round with what its version is worth on the test part: {round, labels, values}."""
    keys, y = [one.key for one in test], answers(loop, test)
    found = []
    for round_, _ in loop.store.rounds.history():
        version = loop.store.rounds.version(round_.version)
        assert version is not None, "a round and its version are written in one transaction"
        proba = scorer(loop, version).proba(keys)
        found.append({"round": round_.number, "labels": round_.labels, "values": values(y, proba, positive)})
    return found


def answers(loop: Undertaking, items: Sequence[Known]) -> NDArray[np.intp]:
    """The true classes, (n,)."""
    return np.array(loop.schema.indices([one.truth for one in items]), dtype=np.intp)


def values(y: NDArray[np.intp], proba: NDArray[np.float32], positive: int | None) -> Values:
    """Every metric; None where it cannot be decided."""
    found = {name: metric.compute(y, proba, positive) for name, metric in METRICS.items()}
    return {name: None if math.isnan(value) else round(value, 6) for name, value in found.items()}


def _rounded(seconds: Sequence[float]) -> list[float]:
    return [round(one, 4) for one in seconds]
