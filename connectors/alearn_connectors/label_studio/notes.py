"""What this machine remembers of a project: small JSON files in the loop's home, and secrets beside them.

Invariant: every file is whole or absent, and none is needed: what it says is checked against Label Studio, or found
there again. They save requests; and they say what was begun and not confirmed when a process was killed. A secret that
was lost is made anew, and told to Label Studio by the next `subscribe`.
"""

from __future__ import annotations

import json
import os
import secrets
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

    def secret(self, name: str) -> str:
        """The random token of this name, which only the owner of the file can read; made at its first use."""
        known = self.known_secret(name)
        if known is not None:
            return known
        self.folder.mkdir(parents=True, exist_ok=True)
        aside = self.folder / f"{name}.{os.getpid()}.new"
        aside.unlink(missing_ok=True)
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(made := secrets.token_urlsafe(32))
        aside.replace(self._secret_file(name))
        return made

    def known_secret(self, name: str) -> str | None:
        """The token of this name; None while nobody has made it."""
        with suppress(OSError, ValueError):
            return self._secret_file(name).read_text(encoding="ascii").strip() or None
        return None

    def _secret_file(self, name: str) -> Path:
        return self.folder / f"{name}.secret"

    def of(self, name: str) -> Notes:
        """The notes in a subfolder."""
        return Notes(self.folder / name)
