"""`alearn holdout`: how many labels, before anybody is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from alearn.core.estimation import exact


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config with a target; its items need not be there."""
    raw: dict[str, Any] = {
        "name": "sizes",
        "items": {"path": "items"},
        "task": {"data": "text", "classes": ["no", "yes"]},
        "model": {"name": "pixels"},
        "holdout": {"size": 200},
        "target": {"metric": "accuracy", "value": 0.9},
    }
    path = tmp_path / "sizes.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def test_the_labels_do_what_they_promise(alearn: Any, config: Path) -> None:
    """The interval of so many labels is as narrow as was asked for, and a better model passes the target."""
    found = alearn("holdout", config, "--margin", "0.03", "--json").json
    n = found["wanted"]["labels"]
    interval = exact(round(0.9 * n), n)
    assert (interval.high - interval.low) / 2 == pytest.approx(0.03, abs=0.001)
    assert found["margin"] > 0.03
    needed = {one["true"]: one["labels"] for one in found["passing"]}
    assert exact(round(0.95 * needed[0.95]), needed[0.95], confidence=0.9).low >= 0.9 - 0.005
    assert needed[0.91] > needed[0.95]


def test_a_margin_is_a_share(alearn: Any, config: Path) -> None:
    """Three points are 0.03."""
    refused = alearn("holdout", config, "--margin", "3")
    assert refused.code == 2
    assert "0.03 are three points" in refused.err
