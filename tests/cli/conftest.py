"""A loop in a folder of its own, and the command line as a person types it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from sklearn.datasets import load_digits

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
def loop(tmp_path: Path) -> Path:
    """A config over sixty digits, answered by simulated annotators at once."""
    digits = load_digits()
    for at, (image, truth) in enumerate(zip(digits.images[:60], digits.target[:60], strict=True)):
        place = tmp_path / "photos" / ("even" if truth % 2 == 0 else "odd")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 15).astype(np.uint8)).resize((16, 16)).save(place / f"{at}.png")
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
