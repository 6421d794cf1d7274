"""All runs of an experiment, in parallel processes.

Invariant: what is finished is a file and is never done again; a run that fails stops no other; whoever dies, no process
is left behind.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from alearn.config import Config
from alearn.config.sections import BudgetSpec, HoldoutSpec, PlatformSpec, StoreSpec
from alearn.core.keys import fingerprint
from alearn.errors import AlearnError, StoreError
from alearn.loop.features import Cut, current_cut
from alearn.loop.report import Report
from alearn.loop.undertaking import opened
from alearn.models.zoo import resolve
from alearn.simulation.design import Design, Run, file_of, fingerprint_of
from alearn.simulation.known import Known, identity, keep, known_of, labeled_of
from alearn.simulation.running import Ground, fill, measure_all, share, simulate
from alearn.store.blobs import write_whole

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass
class Found:
    """What an experiment has: the rows of its runs, what all labels are worth per seed, and what failed and why."""

    items: int
    network: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    full: dict[int, dict[str, Any]] = field(default_factory=dict)
    failed: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Job:
    """A run, or what all labels are worth (`run` is None), with the file that it becomes."""

    seed: int
    run: Run | None
    mark: str
    path: Path

    @property
    def title(self) -> str:
        """What people call it."""
        if self.run is None:
            return f"all labels, seed {self.seed}"
        return f"{self.run.strategy}, seed {self.seed}, batch {self.run.batch}, noise {self.run.noise:g}"

    def done(self) -> dict[str, Any] | None:
        """The row of a file that is whole and of this job; else None."""
        try:
            row = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return row if isinstance(row, dict) and row.get("mark") == self.mark else None


def experiment(config: Config, design: Design, out: Path, report: Report, *, jobs: int, replay: bool = False) -> Found:
    """Do every run of a design that is not done yet, with its files under `out`.

    Raises:
        DataError: the items' answers are not known.
        AlearnError: the items cannot be read or embedded.
    """
    base, known = prepared(config, out, report, replay=replay)
    mark = identity(known)
    found = Found(len(known), base.model.name)
    path = out / "items" / f"{mark[:16]}.json"
    keep(known, path)
    (out / "runs").mkdir(parents=True, exist_ok=True)
    todo = [*_all_labels(base, design, mark, out), *_runs(base, design, mark, out)]
    with tempfile.TemporaryDirectory(prefix="alearn-simulate-") as scratch:
        ground = Ground(base, path, base.home_ / "embeddings", Path(scratch))
        _work(ground, todo, found, report, jobs)
    order = {job.mark: at for at, job in enumerate(todo)}
    found.rows.sort(key=lambda row: order[row["mark"]])
    return found


def _runs(base: Config, design: Design, items: str, out: Path) -> Iterator[Job]:
    for run in design.runs():
        mark = fingerprint_of(base, run, items)
        yield Job(run.seed, run, mark, out / "runs" / file_of(run, mark))


def _all_labels(base: Config, design: Design, items: str, out: Path) -> Iterator[Job]:
    for seed in range(design.seeds):
        mark = fingerprint_of(base, Run("random", seed, 1, 0.0, 1), items)
        yield Job(seed, None, mark, out / "runs" / f"all-labels-seed{seed}-{mark}.json")


# --- items and their embeddings, once ---------------------------------------------------------------------------------


def prepared(config: Config, out: Path, report: Report, *, replay: bool) -> tuple[Config, list[Known]]:
    """The config that all runs are made from, and the known items, each embedded under its home."""
    labels = _labels(config) if replay else None
    base = _base(config, out, labels)
    with opened(base, report) as loop:
        if labels is None:
            known = known_of(loop)
        else:
            known = labels
            fill(loop, known)
        lost = loop.features.ensure([one.key for one in known])
    if lost:
        report.say(f"{len(lost)} items cannot be read and are left out")
    return base, [one for one in known if one.key not in lost]


def _labels(config: Config) -> list[Known]:
    with opened(config, create=False) as loop:
        return labeled_of(loop)


def _base(config: Config, out: Path, labels: list[Known] | None) -> Config:
    """The config with a home of its own for these items, and one network: what the loop stands on, if it has begun."""
    cut, model = _standing(config), config.model
    source = config.source.model_dump(mode="json") if labels is None else identity(labels)
    home = (out / "base" / fingerprint([source, list(config.task.classes)])[:16]).resolve()
    shared = config.home_ / "embeddings"
    if not (home / "embeddings").exists():
        (home / "embeddings").unlink(missing_ok=True)  # a link to a home that is gone
        if shared.is_dir():  # what is embedded already is not embedded again
            home.mkdir(parents=True, exist_ok=True)
            share(shared, home / "embeddings")
    return config.model_copy(
        update={
            "home": str(home),
            "items": config.source,
            "model": model.model_copy(update={"name": cut.network, "size": cut.size, "tap": cut.tap, "candidates": ()}),
            "holdout": HoldoutSpec(size=0),
            "budget": BudgetSpec(),
            "platform": PlatformSpec(name="simulated"),
            "store": StoreSpec(),
        }
    )


def _standing(config: Config) -> Cut:
    """The network of all runs: the config's; for `auto` the one its loop has chosen, or would begin with."""
    if config.model.name == "auto":
        try:
            with opened(config, create=False) as loop:
                return current_cut(config, loop.store)
        except StoreError:  # it has not begun
            pass
    return Cut(resolve(config.model.name, config.task.data).name, config.model.size, config.model.tap)


# --- the processes ----------------------------------------------------------------------------------------------------


def _work(ground: Ground, todo: list[Job], found: Found, report: Report, jobs: int) -> None:
    """Take the rows that are there, and have the others made."""
    left = []
    for job in todo:
        row = job.done()
        _take(found, job, row) if row else left.append(job)
    if len(left) < len(todo):
        report.say(f"{len(todo) - len(left)} of {len(todo)} runs were done before")
    if not left:
        return
    report.progress("Simulating", 0, len(left))
    with _processes(min(jobs, len(left))) as pool:
        waiting = {pool.submit(_do, ground, job): job for job in left}
        for at, future in enumerate(as_completed(waiting), 1):
            _settle(found, waiting[future], future, report)
            report.progress("Simulating", at, len(left))


def _do(ground: Ground, job: Job) -> dict[str, Any]:
    """A job, in a process of the pool."""
    if job.run is None:
        return measure_all(ground, job.seed, job.mark, job.path)
    return simulate(ground, job.run, job.mark, job.path)


def _settle(found: Found, job: Job, future: Future[dict[str, Any]], report: Report) -> None:
    error = future.exception()
    if error is None:
        _take(found, job, future.result())
        return
    reason = str(error) if isinstance(error, AlearnError) else f"{type(error).__name__}: {error}"
    found.failed.append((job.title, reason))
    report.say(f"{job.title} failed: {reason}")


def _take(found: Found, job: Job, row: dict[str, Any]) -> None:
    if job.run is None:
        found.full[job.seed] = row
    else:
        found.rows.append(row)


@contextmanager
def _processes(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes of one thread each; however the block ends, none is left."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    strangers = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - strangers:
            child.terminate()
            child.join()
        raise
    finally:
        pool.shutdown()
        _restore(before)


def _restore(before: Mapping[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _begin() -> None:
    """A process of the pool leaves Ctrl-C to its parent, and ends when its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    assert parent is not None, "this runs in a child"

    def follow() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, name="alearn-parent", daemon=True).start()


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a value as JSON, whole or not at all."""
    write_whole(path, json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False).encode())
