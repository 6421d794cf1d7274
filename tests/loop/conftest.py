"""A small real loop: sixty digits, the pixels themselves as features, simulated annotators."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alearn.config import Config, parse


@pytest.fixture(scope="session")
def photos(digit_photos: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty digits, by parity."""
    return digit_photos(tmp_path_factory.mktemp("photos"), 60)


@pytest.fixture
def config(photos: Path, tmp_path: Path) -> Callable[..., Config]:
    """The loop's config with some sections changed."""

    def make(**sections: Any) -> Config:
        raw: dict[str, Any] = {
            "name": "parity",
            "items": {"path": str(photos), "truth": "folder"},
            "task": {"data": "image", "classes": ["even", "odd"]},
            "model": {"name": "pixels"},
            "query": {"batch": 10, "strategy": "margin"},
            "queue": {"low": 0},
            "holdout": {"size": 10},
            "guard": {"share": 0},
            "budget": {"labels": 30},
            "platform": {"name": "simulated"},
            "home": str(tmp_path / "home"),
        }
        for name, value in sections.items():
            raw[name] = {**raw.get(name, {}), **value} if isinstance(value, dict) else value
        return parse(raw, name="parity.yaml", folder=tmp_path)

    return make
