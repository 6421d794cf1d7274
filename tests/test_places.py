"""Where alearn keeps what belongs to the user."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from alearn.places import cache_folder, data_folder


@pytest.mark.skipif(sys.platform != "linux", reason="each system has its own folders")
def test_the_users_own_settings_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """ALEARN_CACHE, then XDG_CACHE_HOME, then ~/.cache; and the same for data."""
    for name in ("ALEARN_CACHE", "XDG_CACHE_HOME", "ALEARN_DATA", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert cache_folder() == Path.home() / ".cache/alearn"
    assert data_folder() == Path.home() / ".local/share/alearn"
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    monkeypatch.setenv("XDG_DATA_HOME", "/elsewhere/data")
    assert cache_folder() == Path("/elsewhere/alearn")
    assert data_folder() == Path("/elsewhere/data/alearn")
    monkeypatch.setenv("ALEARN_CACHE", "/mine")
    monkeypatch.setenv("ALEARN_DATA", "~/mine")
    assert cache_folder() == Path("/mine")
    assert data_folder() == Path.home() / "mine"
