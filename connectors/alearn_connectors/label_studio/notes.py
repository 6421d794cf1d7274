"""What this machine remembers of a project: small JSON files in the loop's home.

Invariant: every file is whole or absent, and none is needed: what it says is checked against Label Studio, or found
there again. They save requests; and they say what was begun and not confirmed when a process was killed.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Notes:
    """A folder of named notes."""

    folder: Path

    def read(self, name: str) -> Any:
        """What was written under a name; None when nothing was, or when it cannot be read."""
        with suppress(OSError, ValueError):
            return json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
        return None

    def write(self, name: str, value: Any) -> None:
        """Replace what is under a name; None removes it."""
        path = self.folder / f"{name}.json"
        if value is None:
            path.unlink(missing_ok=True)
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(f".{os.getpid()}.new")
        aside.write_text(json.dumps(value, separators=(",", ":")), encoding="utf-8")
        aside.replace(path)

    def of(self, name: str) -> Notes:
        """The notes in a subfolder."""
        return Notes(self.folder / name)
