"""`alearn quickstart`: a new loop each time, a summary, and nothing left running."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Alearn = Callable[..., Any]


def test_a_quickstart_of_a_config(loop: Path, alearn: Alearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels and a model folder are there at the end, and the summary says where; a second one begins anew."""
    monkeypatch.chdir(tmp_path)
    said = alearn("quickstart", loop, "--json")
    assert said.code == 0, said.err
    assert (said.json["outcome"], said.json["labels"]) == ("done", 40)
    assert Path(said.json["labels_file"]).read_text().count("\n") == 41
    assert (Path(said.json["model_folder"]) / "predict.py").exists()
    words = alearn("quickstart", loop).out
    for part in ("labels.csv", "model", "rounds", "minutes", "40 spent of 60 items"):
        assert part in words


def test_a_quickstart_that_does_not_exist(alearn: Alearn) -> None:
    """The shipped ones are listed."""
    said = alearn("quickstart", "tulips")
    assert said.code == 2
    assert "digits, intents, solar-cells" in said.err


@pytest.mark.timeout(300)
def test_the_whole_way_through_label_studio(
    label_studio: Any, edit: Callable[..., Path], alearn: Alearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A robot annotates through a real server's API, the budget is spent, and doctor finds nothing wrong."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", label_studio.token)
    options = {"url": label_studio.url, "media_root": str(label_studio.media_root), "title": label_studio.new_title()}
    loop = edit(platform={"name": "label-studio", "poll": 0.2, "options": options}, robots={"count": 1})
    ran = alearn("run", loop, "--robots", "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["outcome"], ran.json["labels"]) == ("done", 40)
    found = alearn("doctor", loop, "--json").json
    assert [one for one in found if not one["ok"]] == []
