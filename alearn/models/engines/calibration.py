"""Which engine is the fastest here for a network: measured once, and kept beside the network's graph.

Invariant: what was kept is not measured again, so that the choice does not change from start to start with whatever
else the machine is doing: an activation cache belongs to one engine, and another choice would fill another cache.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alearn.core.keys import fingerprint
from alearn.errors import ModelError
from alearn.models.engines import cpu
from alearn.models.engines.engine import Engine, Feed, Precision, items

MARGIN = 1.05
"""An engine must be this much faster than those before it, or the difference is noise."""

TOLERANCE = 1e-3
"""How far an engine's output in float32 may be from the first engine's, relative to the largest; measured: 1e-5."""

_SECONDS = 0.3
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """A file in a network's folder that says which engine was chosen here, of these versions, for a precision."""

    folder: Path
    versions: Mapping[str, str]
    precision: Precision

    @property
    def path(self) -> Path:
        """Of the file: another one for another machine, other versions or another precision."""
        key = fingerprint([cpu.identity(), dict(sorted(self.versions.items())), self.precision])
        return self.folder / f"engine-{key[:16]}.json"

    def recalled(self) -> str | None:
        """The name of the engine that was chosen; None: none was."""
        try:
            name = json.loads(self.path.read_text(encoding="utf-8"))["engine"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return name if name in self.versions else None

    def keep(self, name: str, rates: Mapping[str, float]) -> str:
        """Write it down, and return it; where another process was quicker, what that one chose."""
        said = {
            "engine": name,
            "processor": cpu.name(),
            "versions": dict(self.versions),
            "precision": self.precision,
            "items_per_second": {engine: round(rate, 1) for engine, rate in rates.items()},
        }
        aside = self.path.with_name(f".{self.path.name}.{os.getpid()}-{secrets.token_hex(4)}")
        try:
            aside.write_text(json.dumps(said, indent=1), encoding="utf-8")
            if self.recalled() is None:
                aside.replace(self.path)
        except OSError as error:
            _LOG.warning("The choice of %s cannot be kept in %s: %s", name, self.folder, error)
            return name
        finally:
            aside.unlink(missing_ok=True)
        return self.recalled() or name


def items_per_second(engine: Engine, feed: Feed) -> float:
    """How many items of a feed an engine computes in a second."""
    return rate(lambda: engine.run(feed), items(feed))


def rate(run: Callable[[], object], count: int) -> float:
    """How many items are done in a second by what does `count` of them: the best of a few short runs, after a first."""
    run()
    spent: list[float] = []
    while len(spent) < 2 or sum(spent) < _SECONDS:
        started = time.perf_counter()
        run()
        spent.append(time.perf_counter() - started)
    return count / min(spent)


def measured(engines: Sequence[Engine], example: Feed) -> dict[str, float]:
    """Items per second by the engine's name; without those that give something else than the last one.

    Raises:
        ModelError: none gives finite numbers.
    """
    wanted = None
    rates: dict[str, float] = {}
    for engine in reversed(engines):
        found = engine.run(example).astype(np.float32)
        if not np.isfinite(found).all():
            _LOG.warning("%s gives numbers that are not finite, and is left out.", engine)
        elif wanted is not None and engine.precision == "float32" and _apart(found, wanted) > TOLERANCE:
            _LOG.warning("%s differs by %.1g of the largest number, and is left out.", engine, _apart(found, wanted))
        else:
            wanted = found if wanted is None else wanted
            rates[engine.name] = items_per_second(engine, _filled(engine, example))
    if not rates:
        raise ModelError("A network must give finite numbers. It does on no engine. Set `model.precision: float32`.")
    return {engine.name: rates[engine.name] for engine in engines if engine.name in rates}


def fastest(rates: Mapping[str, float]) -> str:
    """The name of the fastest; of equals, the first.

    `rates`: items per second by name, the preferred first.
    """
    best = next(iter(rates))
    for name, rate in rates.items():
        if rate > MARGIN * rates[best]:
            best = name
    return best


def _filled(engine: Engine, example: Feed) -> Feed:
    """The example, repeated to what keeps a GPU busy; each core of a processor is busy with an item."""
    count = max(items(example), engine.workers if engine.device == "CPU" else engine.batch)
    return {name: np.resize(value, (count, *value.shape[1:])) for name, value in example.items()}


def _apart(found: np.ndarray, wanted: np.ndarray) -> float:  # type: ignore[type-arg]
    if found.shape != wanted.shape:
        return np.inf
    return float(np.abs(found - wanted).max() / max(float(np.abs(wanted).max()), 1e-6))
