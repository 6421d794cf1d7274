"""What both generations of the API can do, as one interface, and the values that cross it.

Invariant: nothing here waits for a decision or keeps count of money: a service does what it is told once, and whoever
tells it writes that down first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from alearn.errors import Refused
from alearn_connectors.appen.budget import Terms

KEY = "alearn_id"
"""The column that carries an item's key."""

State = Literal["draft", "running", "paused", "finished", "canceled"]


@dataclass(frozen=True)
class Place:
    """Where a loop's rows are. `project` is "" in `v1`; `design` is a fingerprint of what the job was told to ask."""

    job: str = ""
    project: str = ""
    design: str = ""


@dataclass(frozen=True)
class Row:
    """An item on its way to Appen. With `answer` it is a test question."""

    key: str
    content: Mapping[str, str]
    answer: str | None = None


@dataclass(frozen=True)
class Standing:
    """How a job stands: `ordered` rows are paid for or about to be, `waiting` are there and not ordered.

    Test questions are in neither number. `terms` is what the job itself says of its price; with `by_itself` it orders
    what comes without being told.
    """

    state: State
    ordered: int
    waiting: int
    terms: Terms = field(default_factory=Terms)
    by_itself: bool = False


@dataclass(frozen=True)
class Judgment:
    """What a contributor said of a row. `trust` in [0, 1]; `tainted`: the contributor was removed, it is void."""

    id: str
    worker: str
    answer: str | None
    trust: float | None
    tainted: bool
    started_at: str
    created_at: str


class Service(Protocol):
    """One account of Appen, through one generation of its API. Methods raise Unavailable or Refused."""

    def reach(self) -> None:
        """Return when the account answers and accepts the key."""
        ...

    def find(self, known: Place | None) -> Place | None:
        """The loop's job, looked for by its title; `known` is what was noted of an attempt that was cut off."""
        ...

    def create(self, known: Place | None, note: Callable[[Place], None]) -> Place:
        """Create the job; `note` is told of every part that exists."""
        ...

    def adopt(self, place: Place) -> Place:
        """Look at the job, and bring its settings in line with the config; raises Missing when it is gone."""
        ...

    def keys(self, place: Place) -> frozenset[str]:
        """The keys of all rows that are there."""
        ...

    def add(self, place: Place, rows: Sequence[Row]) -> None:
        """Send rows; they are there, in this order, when this returns. Called for rows that are not there."""
        ...

    def set_gold(self, place: Place, rows: Sequence[Row]) -> None:
        """Make test questions of rows that are there; idempotent."""
        ...

    def standing(self, place: Place) -> Standing:
        """How the job stands now."""
        ...

    def order(self, place: Place, standing: Standing) -> None:
        """Let contributors work on all that is waiting: this spends money."""
        ...

    def look(self, place: Place) -> Mapping[str, str]:
        """{key: fingerprint of its judgments} of all rows with judgments."""
        ...

    def judgments(self, place: Place, key: str) -> Sequence[Judgment]:
        """All judgments of one row, after a look."""
        ...

    def subscribe(self, place: Place, address: str | None) -> bool:
        """Have webhooks sent to `address`, or to nobody; whether they will be."""
        ...


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """The value, when it is a JSON object; else Refused."""
    if not isinstance(value, dict):
        raise _odd(what, "a JSON object", value)
    return value


def listing(value: Any, what: str) -> Sequence[Any]:
    """The value, when it is a JSON array; else Refused."""
    if not isinstance(value, list):
        raise _odd(what, "a JSON array", value)
    return value


def text(value: Any, what: str) -> str:
    """The value as text, when it is one or a whole number; else Refused."""
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise _odd(what, "text", value)
    return str(value)


def number(value: Any, what: str) -> int:
    """The value, when it is a whole number of at least 0; else Refused."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _odd(what, "a whole number", value)
    return value


def itself(job: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
    """The job, when it is the one of this place; else Refused."""
    if str(job.get("id")) != place.job:
        raise _odd("A job's id", f"{place.job}, which was asked for,", job.get("id"))
    return job


def _odd(what: str, wanted: str, value: Any) -> Refused:
    return Refused(
        f"{what} of Appen's answer must be {wanted}. Got {type(value).__name__}. The API is not the one that this "
        "connector was written for: look at `platform.options.url` and `platform.options.api`, and report it."
    )
