"""`alearn select` ranks networks on a loop's own labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from alearn.config.sections import ModelSpec

Alearn = Callable[..., Any]


def test_without_labels_it_says_what_to_do(alearn: Alearn, loop: Path) -> None:
    """Before the loop was begun, and when nobody has labeled anything yet."""
    said = alearn("select", loop)
    assert said.code == 2
    alearn("add", loop)
    said = alearn("select", loop)
    assert said.code == 2
    assert "alearn run" in said.err


def test_the_labels_of_a_loop_rank_the_candidates(alearn: Alearn, loop: Path) -> None:
    """A table with what was left out and why, and the line for the config; as JSON, all of it."""
    assert alearn("run", loop).code == 0
    said = alearn("select", loop, "--network", "pixels", "--network", "nonsense")
    assert said.code == 0
    for text in ("On 30 labels", "first", "nonsense", "must be auto", "items/s", "fewer than 100 labels"):
        assert text in said.out
    line = next(line for line in said.out.splitlines() if line.startswith("config")).removeprefix("config")
    assert ModelSpec(**yaml.safe_load(line)["model"]).name == "pixels"
    found = alearn("select", loop, "--network", "pixels", "--json").json
    assert found["config"] == {"name": "pixels", "tap": None}
    assert found["metric"] == "accuracy"
    assert found["labels"] == 30
    assert 0 <= found["candidates"][0]["low"] <= found["candidates"][0]["score"] <= found["candidates"][0]["high"] <= 1
    assert found["candidates"][0]["items_per_second"] > 0


def test_no_usable_candidate_is_one_message(alearn: Alearn, loop: Path) -> None:
    """With the reason of each."""
    assert alearn("run", loop).code == 0
    said = alearn("select", loop, "--network", "nonsense", "--network", "minilm")
    assert said.code == 2
    assert "nonsense: " in said.err
    assert "minilm: " in said.err
