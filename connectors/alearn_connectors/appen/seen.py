"""Which rows' judgments changed, and when: a number for every change, so that a cursor is a number.

Appen tells what there is, not what changed. Invariant: every change moves `head`; a cursor is such a number and the
file's own name, so that it never fits a file that was made anew, and then everything is told again.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from alearn_connectors.appen.journal import read, write
from alearn_connectors.appen.service import Judgment


class Seen:
    """The file `seen.json` of one loop's job."""

    def __init__(self, path: Path, job: str) -> None:
        self._path = path
        found = read(path) or {}
        fits = found.get("job") == job and found.keys() >= _empty(job).keys()
        self._held: dict[str, Any] = found if fits else _empty(job)
        self._unwritten = not fits

    @property
    def trust(self) -> Mapping[str, float]:
        """{contributor: their trust as last told}."""
        found: dict[str, float] = self._held["trust"]
        return found

    @property
    def cursor(self) -> str:
        """The newest cursor."""
        return self.at(self._held["head"])

    def at(self, number: int) -> str:
        """The cursor behind a change."""
        return f"{self._held['name']}:{number}"

    def take(self, there: Mapping[str, str]) -> None:
        """Number what is new, what differs and what is gone; `there` is {key: fingerprint}."""
        rows: dict[str, list[Any]] = self._held["rows"]
        gone = [key for key, (mark, _) in rows.items() if mark and key not in there]
        changed = [key for key, mark in there.items() if rows.get(key, ("", 0))[0] != mark]
        for key in (*gone, *changed):
            self._held["head"] += 1
            rows[key] = [there.get(key, ""), self._held["head"]]
        if gone or changed or self._unwritten:  # the name must outlive this object, or no cursor of it ever fits
            self.save()

    def since(self, cursor: str | None) -> list[tuple[int, str]]:
        """(number, key) of what changed behind a cursor, oldest first; of everything when it does not fit."""
        name, _, number = (cursor or "").partition(":")
        fits = name == self._held["name"] and number.isdecimal() and int(number) <= self._held["head"]
        low = int(number) if fits else 0
        return sorted((at, key) for key, (_, at) in self._held["rows"].items() if at > low)

    def hear(self, judgments: Iterable[Judgment]) -> list[str]:
        """Take in what judgments say of contributors; returns those that were not known to be removed."""
        trust, removed = self._held["trust"], self._held["removed"]
        fresh: dict[str, None] = {}
        for one in judgments:
            if one.trust is not None:
                trust[one.worker] = one.trust
            if one.tainted and one.worker not in removed:
                fresh[one.worker] = None
                removed.append(one.worker)
        return list(fresh)

    def save(self) -> None:
        """Write it down."""
        write(self._path, self._held)
        self._unwritten = False


def _empty(job: str) -> dict[str, Any]:
    return {"job": job, "name": secrets.token_hex(4), "head": 0, "rows": {}, "trust": {}, "removed": []}
