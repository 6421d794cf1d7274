"""A loop in a folder of its own, and the command line as a person types it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from alearn.cli import main


@dataclass(frozen=True)
class Said:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Alearn = Callable[..., Said]


@pytest.fixture
def alearn(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Alearn:
    """Run `alearn ARGUMENTS` in this process."""

    def run(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["alearn", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return run


@pytest.fixture
def loop(digit_photos: Any, tmp_path: Path) -> Path:
    """A config over sixty digits, answered by simulated annotators at once."""
    digit_photos(tmp_path / "photos", 60)
    raw = {
        "name": "parity",
        "items": {"path": "photos", "truth": "folder"},
        "task": {"data": "image", "classes": ["even", "odd"]},
        "model": {"name": "pixels"},
        "query": {"batch": 10},
        "holdout": {"size": 10},
        "budget": {"labels": 40},
        "platform": {"name": "simulated"},
        "home": "home",
    }
    (tmp_path / "parity.yaml").write_text(yaml.safe_dump(raw))
    return tmp_path / "parity.yaml"


@pytest.fixture
def edit(loop: Path) -> Callable[..., Path]:
    """Change keys of the loop's config: edit(query={"batch": 5})."""

    def change(**sections: Any) -> Path:
        raw = yaml.safe_load(loop.read_text())
        for name, value in sections.items():
            raw[name] = {**raw.get(name, {}), **value} if isinstance(value, dict) else value
        loop.write_text(yaml.safe_dump(raw))
        return loop

    return change
