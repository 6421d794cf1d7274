"""`alearn health`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageEnhance


@pytest.fixture
def ran(alearn: Any, loop: Path, edit: Callable[..., Path]) -> Path:
    """A loop that has run over sixty digits, of which ten are there twice, with two careless annotators."""
    for path in sorted((loop.parent / "photos").rglob("*.png"))[:10]:
        with Image.open(path) as image:
            ImageEnhance.Brightness(image).enhance(0.8).save(path.with_name(f"{path.stem}-dark.png"))
    options = {"annotators": 2, "accuracy": [0.8, 0.8]}
    edit(budget={"labels": 50}, platform={"name": "simulated", "options": options})
    assert alearn("run", loop).code == 0
    return loop


def test_health_tells_what_was_found(alearn: Any, ran: Path) -> None:
    """In words for people, and all of it as JSON."""
    said = alearn("health", ran)
    assert said.code == 0
    assert "20 items in 10 families" in said.out
    assert "Suspected labels" in said.out
    found = alearn("health", ran, "--json").json
    assert [len(one["items"]) for one in found["families"]] == [2] * 10
    assert sum(found["classes"].values()) == 50
    assert found["suspects"]
    assert found["asked"] is None
    assert {"key", "what", "given", "suggested", "confidence", "probability"} <= found["suspects"][0].keys()


def test_review_asks_again_once(alearn: Any, ran: Path) -> None:
    """It tells what it did; said again, it does nothing; `alearn run` brings the answers."""
    first = alearn("health", ran, "--review", "3", "--json").json["asked"]
    assert len(first["now"]) == 3
    again = alearn("health", ran, "--review", "3")
    assert "0 labels; 3 others are being asked about already" in again.out
    assert alearn("run", ran).code == 0
    found = alearn("health", ran, "--json").json
    assert all(one["opinions"] == 2 for one in found["suspects"] if one["key"] in first["now"])


def test_bad_numbers_are_refused(alearn: Any, ran: Path) -> None:
    """In one sentence, with exit code 2 and nothing asked."""
    said = alearn("health", ran, "--review", "0")
    assert said.code == 2
    assert "--review must be a number of labels, at least 1. Got 0." in said.err
    assert alearn("health", ran, "--review", "many").code == 2


def test_health_of_no_loop(alearn: Any, loop: Path) -> None:
    """A loop that was never begun has none."""
    said = alearn("health", loop)
    assert said.code == 2
    assert "Traceback" not in said.err


def test_help_has_an_example(alearn: Any) -> None:
    """As every command's."""
    assert "alearn health alearn.yaml --review 20" in " ".join(alearn("health", "--help").out.split())
