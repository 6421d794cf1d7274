"""What may be answered about an item: the label schema of a loop.

Invariant: the order of the classes is the order of every probability matrix's columns.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from alearn.errors import ConfigError

TaskType = Literal["classification"]
"""The kinds of labeling. Others join as their head, loss, decoding, uncertainty and metric are written."""

JOINER = "\u200d"
"""Joins emoji into one; the only character without a shape of its own that a class name may hold."""

DataKind = Literal["image", "text"]
"""What an item is made of."""


@dataclass(frozen=True)
class LabelSchema:
    """The task type and the names of the classes.

    Raises:
        ConfigError: fewer than two classes, a repeated name, or a name that an annotation platform would alter.
    """

    classes: tuple[str, ...]
    task_type: TaskType = "classification"

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise ConfigError(f"`task.classes` needs at least 2 names. Got {len(self.classes)}. Add the missing ones.")
        seen: set[str] = set()
        for name in self.classes:
            if not name or name != " ".join(name.split()) or not name.replace(JOINER, "").isprintable():
                raise ConfigError(
                    "`task.classes` may hold printable names without leading, trailing or doubled spaces. "
                    f"Got {name!r}. Rename it."
                )
            if name in seen:
                raise ConfigError(f"`task.classes` must be unique. Got {name!r} twice. Remove or rename one.")
            seen.add(name)

    def index(self, name: str) -> int:
        """The column of class `name`; raises KeyError for a stranger."""
        try:
            return self.classes.index(name)
        except ValueError:
            raise KeyError(name) from None

    def indices(self, names: Sequence[str]) -> list[int]:
        """The columns of many names, in their order; raises KeyError for a stranger."""
        column = {name: at for at, name in enumerate(self.classes)}
        return [column[name] for name in names]

    def fingerprint(self) -> str:
        """A hash that changes when, and only when, the meaning of a label changes."""
        return hashlib.sha256(json.dumps([self.task_type, *self.classes]).encode()).hexdigest()[:16]
