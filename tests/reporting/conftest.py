"""A real loop over four hundred digits, answered by two simulated annotators, and its report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from alearn.config import Config, parse
from alearn.loop.controller import run
from alearn.loop.undertaking import opened
from alearn.reporting.gathering import gather

Make = Callable[..., Config]


@pytest.fixture(scope="session")
def make(digit_photos: Any, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A loop's config, in a home of its own, with some sections changed."""
    photos = digit_photos(tmp_path_factory.mktemp("photos"), 400)

    def config(**sections: Any) -> Config:
        home = tmp_path_factory.mktemp("loop")
        raw: dict[str, Any] = {
            "name": "parity",
            "items": {"path": str(photos), "truth": "folder"},
            "task": {"data": "image", "classes": ["even", "odd"], "question": "Even?"},
            "model": {"name": "pixels"},
            "query": {"batch": 30, "strategy": "margin"},
            "holdout": {"size": 70, "share": 0.3},
            "target": {"metric": "accuracy", "value": 0.97},
            "budget": {"labels": 230},
            "consensus": {"overlap": 0.2},
            "platform": {"name": "simulated", "options": {"annotators": 2, "accuracy": 0.9, "seconds": 4}},
            "home": str(home / "home"),
        }
        for name, value in sections.items():
            raw[name] = {**raw.get(name, {}), **value} if isinstance(value, dict) else value
        return parse({key: value for key, value in raw.items() if value is not None}, name="parity.yaml", folder=home)

    return config


@pytest.fixture(scope="session")
def ran(make: Make) -> Config:
    """The config of a loop at its end; do not change the loop."""
    config = make()
    with opened(config) as loop:
        run(loop)
    return config


@pytest.fixture(scope="session")
def numbers(ran: Config) -> dict[str, Any]:
    """Its report."""
    with opened(ran, create=False) as loop:
        return gather(loop, "my loop.yaml")
