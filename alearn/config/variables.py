"""`${NAME}` and `${NAME:-default}`: the environment's part in the file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Place = tuple[str | int, ...]
"""Where a text is in the file: keys, and positions in lists."""

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


@dataclass
class Filling:
    """Fills values in, and remembers where, and what the environment lacks."""

    texts: dict[Place, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def fill(self, value: Any, place: Place = ()) -> Any:
        """The value with the variables in its strings filled in."""
        if isinstance(value, Mapping):
            return {key: self.fill(inner, (*place, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.fill(inner, (*place, at)) for at, inner in enumerate(value)]
        if not isinstance(value, str) or not _VARIABLE.search(value):
            return value
        self.texts[place] = value
        return _VARIABLE.sub(self._found, value)

    def _found(self, match: re.Match[str]) -> str:
        found: str | None = os.environ.get(match[1], match[2])
        if found is None:
            self.missing.append(match[1])
        return found or ""
