"""Where alearn keeps what belongs to the user and not to one loop."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """What can be made again: deleting it costs only time. The environment variable ALEARN_CACHE replaces it."""
    return _folder("ALEARN_CACHE", "XDG_CACHE_HOME", Path(".cache"), mac="Caches")


def data_folder() -> Path:
    """What people have made, such as the annotations in the private Label Studio. ALEARN_DATA replaces it."""
    return _folder("ALEARN_DATA", "XDG_DATA_HOME", Path(".local") / "share", mac="Application Support")


def _folder(own: str, xdg: str, usual: Path, *, mac: str) -> Path:
    if given := os.environ.get(own):
        return Path(given).expanduser().absolute()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / mac
    else:
        base = Path(os.environ.get(xdg) or Path.home() / usual)
    return base / "alearn"
