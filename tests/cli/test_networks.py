"""`alearn models` says what can be named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alearn.cli.networks import show_models
from alearn.errors import ConfigError


@pytest.fixture(autouse=True)
def nothing_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("TORCH_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_what_is_here_is_shown_and_the_rest_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """A page, not two thousand lines."""
    show_models(None, as_json=False)
    said = capsys.readouterr().out
    assert "efficientnet-lite0" in said
    assert "of torchvision can be downloaded" in said
    assert "torchvision:resnet18" not in said
    assert len(said.splitlines()) < 25


def test_all_of_one_kind_can_be_had_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Those that are here come first."""
    show_models("image", as_json=True, every=True)
    rows = json.loads(capsys.readouterr().out)
    assert {row["data"] for row in rows} == {"image"}
    assert "torchvision:resnet18" in {row["name"] for row in rows}
    here = [row["offline"] for row in rows]
    assert here == sorted(here, reverse=True)


def test_an_unknown_kind_of_data_is_refused() -> None:
    """With the known ones."""
    with pytest.raises(ConfigError, match=r"--data must be image or text\. Got 'video'"):
        show_models("video", as_json=False)
