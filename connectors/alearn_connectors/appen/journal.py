"""What must outlive this process: where the loop's job is, which call was begun and not answered, what was ordered.

Invariant: the file is whole, the old or the new one, and on the disk before the call that it announces is made.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal

from alearn.errors import Refused, Unavailable
from alearn_connectors.appen.service import Place

Call = Literal["create", "upload", "order"]


class Journal:
    """The file `journal.json` of one loop; `service` says whose ids are in it."""

    def __init__(self, path: Path, service: str) -> None:
        self.path, self._service = path, service
        self._held: dict[str, Any] | None = None

    def _read(self) -> dict[str, Any]:
        if self._held is None:
            found = read(self.path) or {"service": self._service}
            if found.get("service") != self._service:  # ids of another account or generation mean nothing here
                found = {"service": self._service}
            self._held = found
        return self._held

    def _write(self, **changes: Any) -> None:
        changed = {**self._read(), **changes}
        write(self.path, changed)
        self._held = changed

    @property
    def place(self) -> Place | None:
        """Where the loop's job is, as far as it is known."""
        found = self._read().get("place")
        names = [field.name for field in fields(Place)]
        return Place(**{name: str(found.get(name) or "") for name in names}) if isinstance(found, dict) else None

    def note(self, place: Place | None) -> None:
        """Remember where the job is; None: it is gone."""
        if place != self.place:
            self._write(place=None if place is None else asdict(place))

    def pending(self, call: Call) -> Mapping[str, Any] | None:
        """What was noted of a call that has no answer yet."""
        found = self._read().get("pending", {}).get(call)
        return found if isinstance(found, dict) else None

    def begin(self, call: Call, at: float, **details: Any) -> None:
        """Note a call before it is made."""
        self._write(pending={**self._read().get("pending", {}), call: {"at": at, **details}})

    def done(self, call: Call) -> None:
        """The call had its effect; orders are kept for whoever wants to add up."""
        pending = dict(self._read().get("pending", {}))
        told = pending.pop(call, None)
        orders = self._read().get("orders", [])
        if told is not None:
            self._write(pending=pending, orders=[*orders, told] if call == "order" else orders)

    def orders(self) -> list[Mapping[str, Any]]:
        """The orders that were answered, oldest first."""
        return list(self._read().get("orders", []))

    def settle(self, call: Call, now: float, seconds: float) -> None:
        """Return when there is no unanswered call that may still be at work there; else raise Unavailable."""
        told = self.pending(call)
        left = 0.0 if told is None else seconds - abs(now - float(told.get("at", 0)))
        if left > 0:
            raise Unavailable(
                f"Appen was asked to {call} and the answer was lost. Before it is asked again, alearn waits "
                f"{left:.0f} s more and looks what became of it."
            )


def read(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None when there is no file."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unwritable(error, path) from error
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refused(
            f"{path} must be what alearn wrote. Got something else. Restore it; or look in Appen what is ordered, then "
            "remove it."
        )
    return found


def write(path: Path, value: Mapping[str, Any]) -> None:
    """Replace a file and wait until it is on the disk."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            file.write(json.dumps(value, separators=(",", ":")).encode())
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise _unwritable(error, path) from error


def _sync(folder: Path) -> None:
    """The rename reaches the disk, too, where folders can be opened."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unwritable(error: OSError, path: Path) -> Refused | Unavailable:
    if isinstance(error, PermissionError | NotADirectoryError | IsADirectoryError | FileExistsError):
        return Refused(f"{path} must be a file that can be read and written. {error.strerror}. Correct it.")
    return Unavailable(f"{path} cannot be used now: {error}. It is tried again.")
