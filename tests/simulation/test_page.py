"""What people read: sentences and one page."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from alearn.config import Config, parse
from alearn.simulation.design import Design
from alearn.simulation.drawing import Axis
from alearn.simulation.experiment import Found
from alearn.simulation.page import page
from alearn.simulation.results import results_of, write_table
from alearn.simulation.words import words

HOSTILE = "pkg:<script>alert(1)</script>"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    raw = {"name": "parity", "items": {"path": "x"}, "task": {"data": "text", "classes": ["a", "b"]}}
    return parse(raw, name="parity.yaml", folder=tmp_path)


def found(design: Design, heights: dict[str, float]) -> Found:
    """Runs whose curves rise to 1 the faster the higher their number."""
    rng, rows = np.random.default_rng(0), []
    for run in design.runs():
        values = [1 - np.exp(-heights[run.strategy] * at) + 0.01 * rng.normal() for at in range(1, 9)]
        rounds = [{"round": at, "labels": 10 * at, "values": {"accuracy": value}} for at, value in enumerate(values, 1)]
        row = {
            "strategy": run.strategy,
            "seed": run.seed,
            "batch": run.batch,
            "noise": run.noise,
            "pool": 80,
            "test": 20,
        }
        rows.append({**row, "rounds": rounds, "select_seconds": [0.1], "seconds": {"total": 1.0}})
    full = {seed: {"values": {"accuracy": 0.9}} for seed in range(design.seeds)}
    return Found(100, "pixels", rows, full, [("a run", "it <broke>")])


def results(config: Config, *, seeds: int = 8, replay: bool = False) -> dict[str, Any]:
    heights = {"margin": 1.0, HOSTILE: 0.95, "random": 0.4}
    design = Design(tuple(heights), seeds, (10,), (0.0,), 80)
    return results_of(config, design, found(design, heights), replay=replay)


def test_the_better_strategy_is_told_with_what_it_saves(config: Config) -> None:
    said = words(results(config))
    assert re.match(r"margin needs \d+ labels for 95 % of the full-data accuracy, random \d+: \d+% saved", said[0])
    assert not any("cannot show" in one for one in said)


def test_too_few_seeds_are_said_to_be_too_few(config: Config) -> None:
    """Three strategies are three pairs: with Holm's correction seven seeds are needed."""
    assert any("--seeds 7" in one for one in words(results(config, seeds=3)))


def test_a_replay_says_whether_active_learning_helped(config: Config) -> None:
    said = words(results(config, replay=True))
    assert any(one.startswith("Did active learning help here? Yes") for one in said)
    few = words(results(config, seeds=2, replay=True))
    assert any("show no difference" in one for one in few)


def test_the_page_stands_alone_and_escapes_what_comes_from_outside(config: Config) -> None:
    text = page(results(config))
    assert "<script" not in text
    assert "it &lt;broke&gt;" in text
    assert not re.search(r"(src|href)=", text)
    HTMLParser().feed(text)
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(drawings) > 2
    for one in drawings:
        ElementTree.fromstring(one)
    assert "NaN" not in text
    assert "nan" not in re.sub(r"[a-z]*nan[a-z]+", "", text)


def test_an_axis_has_round_ticks_within_its_range() -> None:
    axis = Axis(0.613, 0.987, 0, 100)
    assert axis.ticks() == [0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
    assert [axis(0.613), axis(0.987)] == [0, 100]
    assert Axis(5, 5, 0, 1).ticks()


def test_a_table_has_a_row_per_round(config: Config, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed: pip install 'alearn[parquet]'")
    assert write_table(tmp_path / "results.parquet", results(config)["runs"])
    assert parquet.read_table(tmp_path / "results.parquet").num_rows == 3 * 8 * 8
