"""`alearn simulate`: which strategy suits these items, found out on answers that are known already."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from alearn.cli import going_on
from alearn.cli.console import Terminal, emit, facts, table
from alearn.config import load
from alearn.errors import ConfigError
from alearn.simulation.design import designed
from alearn.simulation.experiment import experiment, write_json
from alearn.simulation.occupancy import occupied
from alearn.simulation.page import page
from alearn.simulation.results import LEVELS, results_of, write_table
from alearn.simulation.words import shown, spread, words
from alearn.store.blobs import write_whole

LABELS = 400
"""What a run may spend where neither the option nor the config says."""

Number = TypeVar("Number", int, float)


def simulate(
    path: Path,
    *,
    strategies: str,
    seeds: int,
    labels: int | None,
    batch: str,
    noise: str,
    jobs: int | None,
    out: Path | None,
    replay: bool,
    as_json: bool,
) -> None:
    """Run an experiment, or go on with it, and write its results.

    Raises:
        ConfigError, StrategyError: an option is wrong, or another experiment is at work in the folder.
        DataError: the items' answers are not known.
    """
    config = load(path)
    design = designed(
        config,
        [name.strip() for name in strategies.split(",") if name.strip()],
        seeds,
        _numbers("--batch", batch, int) or [config.query.batch],
        _numbers("--noise", noise, float) or [0.0],
        labels or config.budget.labels or LABELS,
    )
    folder = (out or config.home_.parent / "simulate" / (config.name + ("-replay" if replay else ""))).resolve()
    with occupied(folder):
        with going_on("The same command goes on from the runs that are done."), Terminal() as terminal:
            found = experiment(config, design, folder, terminal, jobs=jobs or os.cpu_count() or 1, replay=replay)
        if not found.rows:
            reason = found.failed[0][1] if found.failed else "none was asked for"
            raise ConfigError(f"No run came to its end. The first failed so: {reason}")
        results = results_of(config, design, found, replay=replay)
        results["words"] = words(results)
        files = write(folder, results)
    if as_json:
        emit({**results, "files": files})
    else:
        show(results, files)


def write(folder: Path, results: Mapping[str, Any]) -> dict[str, str]:
    """Write what came out; returns {what: path}."""
    files = {"page": folder / "report.html", "results": folder / "results.json"}
    write_json(files["results"], results)
    write_whole(files["page"], page(results).encode())
    if write_table(folder / "results.parquet", results["runs"]):
        files["table"] = folder / "results.parquet"
    return {name: str(file) for name, file in files.items()}


def show(results: Mapping[str, Any], files: Mapping[str, str]) -> None:
    """Print a table per setting, the sentences, and where the page is."""
    columns = [
        "strategy",
        *(f"labels to {level:.0%}" for level in LEVELS),
        "area",
        f"p against {results['baseline']}",
        "selecting, s",
    ]
    for setting in results["settings"]:
        title = f"{results['name']}: batch {setting['batch']}, {setting['noise']:.0%} wrong, {results['seeds']} seeds"
        table(title, columns, [_line(results, setting, name) for name in results["strategies"]])
    facts([("", one) for one in results["words"]])
    facts(files.items())


def _line(results: Mapping[str, Any], setting: Mapping[str, Any], name: str) -> list[object]:
    one, names = setting["strategies"][name], results["strategies"]
    p = setting["p"][names.index(name)][names.index(results["baseline"])]
    area, seconds = one["area"], one["seconds"]["select_per_round"]
    return [
        name,
        *(spread(one["labels_to"][f"{level:.0%}"], results["labels"], one["runs"]) for level in LEVELS),
        "" if area is None else f"{area:.3f}",
        "" if p is None else shown(p),
        "" if seconds is None else f"{seconds:.2f}",
    ]


def _numbers(option: str, text: str, kind: Callable[[str], Number]) -> list[Number]:
    """Numbers separated by commas; raises ConfigError."""
    try:
        return [kind(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise ConfigError(f"{option} must be numbers separated by commas. Got {text!r}. Correct it.") from None
