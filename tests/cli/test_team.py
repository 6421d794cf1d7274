"""`alearn annotators`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_annotators_are_shown(alearn: Callable[..., Any], edit: Callable[..., Any]) -> None:
    """By name, with their accuracy where it is known; their cost where an hour's is told; as JSON, too."""
    options = {"annotators": 3, "accuracy": [1.0, 1.0, 0.5]}
    path = edit(platform={"name": "simulated", "options": options}, consensus={"overlap": 0.5})
    alearn("run", path)
    shown = alearn("annotators", path, "--hourly", "18")
    assert shown.code == 0
    assert all(f"annotator-{number}" in shown.out for number in (1, 2, 3))
    assert "Krippendorff" in shown.out
    found = alearn("annotators", path, "--json").json
    assert [one["name"] for one in found["annotators"]] == ["annotator-1", "annotator-2", "annotator-3"]
    assert all(0 < one["low"] <= one["mean"] <= one["high"] <= 1 for one in found["annotators"])
    assert -1 < found["alpha"] <= 1
