"""A loop as it was at a recorded moment, in a folder that is removed afterwards: steps can be done again there.

Invariant: nothing in the loop's own home is written or removed. What is there of embeddings and weights is linked to,
file by file, so that even a damaged file is only ever taken out of the scratch folder.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alearn.config import Config, parse
from alearn.loop.drawing import blobs
from alearn.loop.report import Report
from alearn.loop.undertaking import Undertaking, opened
from alearn.store.past import Past


@contextmanager
def rebuilt(loop: Undertaking, past: Past, weights: Sequence[str], **sections: Any) -> Iterator[Undertaking]:
    """The loop at a moment, with these weights; `sections` of its config are set to these values.

    Raises:
        ConfigError: the recorded config is not one that this alearn knows.
    """
    with tempfile.TemporaryDirectory(prefix="alearn-replay-") as folder:
        home = Path(folder)
        _link_all(loop.config.home_ / "embeddings", home / "embeddings")
        for digest in dict.fromkeys(weights):
            _link(loop.store.blobs.path(digest), home / "blobs" / digest[:2] / digest)
        config = config_of(loop.config, {**past.state["loop"]["config"], **sections}, home)
        with opened(config, _Quiet(loop.report)) as then:
            loop.store.records.rebuild(past, then.store.records)
            for digest in blobs(then.store.rounds.selections()):
                _link(loop.store.blobs.path(digest), then.store.blobs.path(digest))
            yield then


def config_of(config: Config, recorded: Mapping[str, Any], home: Path) -> Config:
    """The config as it was recorded, for a loop in `home`; where the items are is as it is now."""
    items = config.source.model_dump(mode="json")
    raw = {"items": items, **recorded, "home": str(home)}
    return parse(raw, name=f"The recorded config of loop {config.name}", folder=config.folder)


def _link_all(source: Path, place: Path) -> None:
    for path in sorted(source.glob("*/*.safetensors")):
        _link(path, place / path.parent.name / path.name)


def _link(source: Path, place: Path) -> None:
    if not source.is_file():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        place.symlink_to(source.resolve())
    except OSError:  # a system without links for everybody
        shutil.copyfile(source, place)


@dataclass(frozen=True)
class _Quiet:
    """How far something is, and nothing of what a loop says to people: it has been said."""

    report: Report

    def say(self, text: str) -> None:
        """Nothing."""

    def progress(self, what: str, done: int, total: int | None) -> None:
        """Pass it on."""
        self.report.progress(what, done, total)
