"""Where alearn keeps what belongs to the user and not to one loop."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """alearn's folder in the user's cache; the environment variable ALEARN_CACHE replaces it. Deleting it is harmless."""
    if given := os.environ.get("ALEARN_CACHE"):
        return Path(given).expanduser().absolute()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "alearn"
