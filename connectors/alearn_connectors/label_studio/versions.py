"""What this machine knows of the versions of predictions in a project.

Invariant: a version is noted before anything of it is written, and noted as whole after it has been counted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from alearn_connectors.label_studio.notes import Notes

LINGER = 3600.0
"""A task that has left the queue may be open in somebody's browser for this long, seconds: as long as it is locked."""

_NAME = "queue"


@dataclass
class Version:
    """The predictions of one version: the keys that have one; whether all of them were seen to be there; when one of
    their tasks was in the queue last, in seconds of the wall clock; and the keys that were being written last.
    """

    keys: set[str] = field(default_factory=set)
    whole: bool = False
    wanted: float = 0.0
    trying: set[str] = field(default_factory=set)

    def complete(self) -> None:
        """What was being written is there."""
        self.keys |= self.trying
        self.trying, self.whole = set(), True


@dataclass
class Versions:
    """All versions that this machine wrote and has not deleted, and the one that the project serves."""

    current: str = ""
    by_name: dict[str, Version] = field(default_factory=dict)

    @classmethod
    def read(cls, notes: Notes) -> Versions:
        """As they were noted; empty when they were not."""
        noted: Mapping[str, Any] = notes.read(_NAME) or {}
        return cls(
            str(noted.get("current", "")),
            {
                str(name): Version(
                    set(one["keys"]), bool(one["whole"]), float(one["wanted"]), set(one.get("trying", ()))
                )
                for name, one in noted.get("versions", {}).items()
            },
        )

    def write(self, notes: Notes) -> None:
        """Note them."""
        versions = {
            name: {
                "keys": sorted(one.keys),
                "whole": one.whole,
                "wanted": one.wanted,
                "trying": sorted(one.trying),
            }
            for name, one in self.by_name.items()
        }
        notes.write(_NAME, {"current": self.current, "versions": versions})

    def begin(self, name: str, version: Version, keys: Collection[str]) -> None:
        """Predictions of a version are about to be written: it is not whole meanwhile."""
        version.whole, version.trying = False, set(keys)
        self.by_name[name] = version

    def serve(self, name: str, keys: Collection[str], now: float) -> None:
        """The project serves these keys by this version now."""
        self.current = name
        for other, version in self.by_name.items():
            if other == name or not version.keys.isdisjoint(keys):
                version.wanted = now

    def queued(self) -> set[str]:
        """The keys of the version that the project serves."""
        return set(self.by_name[self.current].keys) if self.current in self.by_name else set()

    def due(self, now: float) -> list[str]:
        """The versions that can be deleted: none of their tasks was in the queue for a while."""
        return sorted(name for name, one in self.by_name.items() if name != self.current and now - one.wanted >= LINGER)

    def forget(self, names: Collection[str]) -> None:
        """These were deleted."""
        for name in names:
            self.by_name.pop(name, None)
