"""The one door between a loop and whatever people annotate in.

A connector is a module found by the entry-point group `alearn.platforms`; this file is the only reader of that group.
The loop sees nothing of a platform but `Platform`; a connector sees nothing of alearn but this file, `alearn.core` and
`alearn.errors`. Methods raise `Unavailable` (the controller tries again) or `Refused` (it reports), nothing else.

Invariant: everything is keyed by the item's key, which travels inside the platform's task, never by the platform's ids
alone.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

from alearn.core.annotators import Profile
from alearn.core.schema import DataKind, LabelSchema
from alearn.errors import ConfigError, PlatformError

GROUP = "alearn.platforms"


@dataclass(frozen=True)
class Task:
    """An item on its way to annotators. Exactly one of `uri` (an image's path or URL) and `text` is set."""

    key: str
    uri: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class QueueEntry:
    """One place in the queue. `score` in [0, 1]: 0 = ask first.

    `label` and `confidence` are the suggestion; None where there is none, or where it would bias the answer (hold-out).
    So many people as `opinions` says are to answer, each once; a platform that cannot ask another leaves it at one.
    """

    key: str
    score: float
    label: str | None = None
    confidence: float | None = None
    opinions: int = 1


@dataclass(frozen=True)
class Queue:
    """The whole order in which the open tasks are to be asked. `version` is a fingerprint of the entries.

    A version is at most 64 characters of [a-z0-9.-].
    """

    version: str
    entries: tuple[QueueEntry, ...] = ()


@dataclass(frozen=True)
class Annotation:
    """What one annotator said of one item, as the platform holds it now.

    `id` is unique over everything the platform ever held for this loop. `value` is a class name, or None when the item
    was skipped, submitted empty, or answered with something outside the schema (then `refused` says what, in words).
    Times are ISO 8601 in UTC; `lead_time` is in seconds. `trusted`: a person has marked it as the truth.
    """

    id: str
    key: str
    annotator: str
    value: str | None = None
    skipped: bool = False
    refused: str | None = None
    lead_time: float | None = None
    updated_at: str = ""
    trusted: bool = False


@dataclass(frozen=True)
class TaskState:
    """All annotations that one task holds now. One that is no longer listed was deleted on the platform."""

    key: str
    annotations: tuple[Annotation, ...] = ()


@dataclass(frozen=True)
class Found:
    """An item that somebody put onto the platform by hand; `key` is the hash of its content (`core.keys.content_key`).

    Exactly one of `uri` (an absolute path or a URL that this machine can read) and `text` is set.
    """

    key: str
    uri: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class Pull:
    """What changed since a cursor.

    `states` may repeat what was seen before, and be about what is `found`: items that the loop did not know. `missing`
    (only after a resync) are keys that were pushed and are gone.
    `notices` are sentences for the people who run the loop (a label config edited by hand, an unknown task).
    """

    states: tuple[TaskState, ...] = ()
    cursor: str | None = None
    missing: frozenset[str] = frozenset()
    notices: tuple[str, ...] = ()
    found: tuple[Found, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One probe of `alearn doctor`: what was looked at, whether it is well, and what to do when it is not."""

    what: str
    ok: bool
    advice: str = ""


def _nothing_known(keys: Sequence[str]) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Setting:
    """What a connector is told of the loop that opens it.

    `home` is a folder the connector may keep files in, under a subfolder of its own. `known` returns the answers that
    are already known (simulations, robots) for those of the keys that have one; it may be called from any thread.
    `skips`: an item is put aside when so many annotators have skipped it. `options` is the config's `platform.options`;
    an unknown key in it is a ConfigError.
    """

    loop: str
    schema: LabelSchema
    data: DataKind
    home: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    skips: int = 1
    known: Callable[[Sequence[str]], Mapping[str, str]] = _nothing_known


class Platform(Protocol):
    """Where tasks are shown to annotators."""

    def prepare(self) -> str:
        """Create or adopt the project; idempotent. Returns a reference that a person and `links` understand."""
        ...

    def push(self, tasks: Sequence[Task], queue: Queue) -> Mapping[str, str]:
        """Make the tasks exist and give the open queue its order; idempotent.

        A task whose key is already there is left alone. Returns {key: reason} of the tasks the platform cannot take;
        the others are there when this returns.
        """
        ...

    def pull(self, cursor: str | None, *, pushed: Sequence[str] | None = None) -> Pull:
        """What changed since `cursor` (None: everything). With `pushed`, also which of those keys are gone."""
        ...

    def links(self) -> Mapping[str, str]:
        """Where a person looks: {"project": url, …}."""
        ...

    def check(self) -> Sequence[Finding]:
        """Probe what the loop relies on, without changing anything that lasts."""
        ...

    def close(self) -> None:
        """Release what this object holds here; the platform itself goes on."""
        ...


@dataclass(frozen=True)
class Call:
    """An HTTP request that reached `alearn serve` below a loop's address.

    `path` is what follows that address, with a leading slash; the names of `headers` are in lower case.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # they may carry a secret
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """What is answered: an HTTP status, and a value that is sent as JSON."""

    status: int = 200
    content: Any = None


@dataclass(frozen=True)
class Suggestion:
    """What a model version believes of an item: a class, and how surely, in [0, 1]."""

    label: str
    confidence: float


class Host(Protocol):
    """What `alearn serve` offers to a platform that hears a call. Nothing here waits for training."""

    def wake(self) -> None:
        """Something may have changed: the controller looks as soon as it can. Many calls are one look."""
        ...

    def train(self) -> None:
        """Train on the labels there are as soon as that can be done, however few are new."""
        ...

    def version(self) -> str | None:
        """The newest model version's key; None before the first."""
        ...

    def suggest(self, keys: Sequence[str]) -> Mapping[str, Suggestion]:
        """What is believed of those of the items that may get a suggestion and of which something is known."""
        ...


@runtime_checkable
class Listening(Protocol):
    """A platform that can say when something changes. The loop is complete without it: a call is a hint to look."""

    def subscribe(self, address: str | None) -> bool:
        """Let the platform call `address` (what `hear` gets is below it) from now on; None: no longer. Idempotent.

        Returns whether it will call. What an earlier address left behind is removed. Called by the controller only,
        after `prepare`, and again now and then.
        """
        ...

    def hear(self, call: Call, host: Host) -> Reply:
        """Answer a call in milliseconds, from any thread, without the network. 404 for a path that is not known.

        The body is not believed: it can at most wake the loop. What is not signed as it should be is answered with 401.
        """
        ...


@dataclass(frozen=True)
class Proposal:
    """A task with a label that no person gave, and how sure it is, in [0, 1]."""

    task: Task
    label: str
    confidence: float


@dataclass(frozen=True)
class Proposed:
    """What came of proposing: so many proposals are there, of which `new` were written now.

    So many tasks were `removed`, and `kept` though they are no longer proposed, because people have begun with them.
    `refused` says of keys why the platform cannot take them.
    """

    there: int = 0
    new: int = 0
    removed: int = 0
    kept: int = 0
    refused: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Suggesting(Protocol):
    """A platform that can show labels which no person gave, on tasks that stand behind the queue.

    People may look at them there, and correct one: that is an annotation like any other.
    """

    def propose(
        self,
        proposals: Sequence[Proposal],
        *,
        version: str,
        asked: Collection[str],
        progress: Callable[[int, int], None],
    ) -> Proposed:
        """Make these, and no others, what is proposed; idempotent, and whatever was cut short is completed.

        Nobody is given such a task while the queue holds one for them; then the first proposals come first. No push
        changes them, and a pull tells of one only when somebody has touched it. `version` names what made the labels,
        in at most 40 characters of [a-z0-9.-]: the same one says the same of an item. `asked` are keys that the loop
        has asked about: their tasks are its own. The other tasks that are proposed no longer are removed, unless
        people have begun with them. `progress` is told (done, total). Called by whoever holds the loop's lease, after
        `prepare`.
        """
        ...

    def proposed(self) -> int:
        """How many tasks this machine knows to be proposed; without the network."""
        ...


class Server(Protocol):
    """A private server that alearn runs for a person: loopback only, in an environment of its own."""

    def up(self, progress: Callable[[str], None]) -> Mapping[str, str]:
        """Install when needed, start when needed; returns {"url", "username", "password_file", "token_file", …}."""
        ...

    def down(self) -> bool:
        """Stop it; False when it was not running."""
        ...

    def status(self) -> Mapping[str, str] | None:
        """What `up` returned, or None when it is not running."""
        ...


class Robots(Protocol):
    """Annotators that work through the platform's own API, as people do. A context: entering starts them."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def answered(self) -> int:
        """How many tasks they have submitted or skipped so far."""
        ...


@runtime_checkable
class Connector(Protocol):
    """What a connector's module offers. `server` and `robots` may be missing."""

    def open(self, setting: Setting) -> Platform:
        """A platform for this loop; raises ConfigError for wrong options, and does not touch the network."""
        ...


def names() -> list[str]:
    """The connectors that are installed."""
    return sorted({point.name for point in importlib.metadata.entry_points(group=GROUP)})


def connector(name: str) -> Connector:
    """The connector called `name`.

    Raises:
        ConfigError: no such connector is installed.
        PlatformError: it is installed but cannot be imported.
    """
    for point in importlib.metadata.entry_points(group=GROUP):
        if point.name == name:
            try:
                module: Connector = point.load()
            except ImportError as error:
                owner = f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"
                raise PlatformError(f"Connector {name!r} of {owner} cannot be imported: {error}.") from error
            return module
    known = ", ".join(names())
    raise ConfigError(f"`platform.name` must be one of {known}. Got {name!r}. Install its package or correct it.")


def connect(name: str, setting: Setting) -> Platform:
    """Open the platform called `name` for a loop."""
    return connector(name).open(setting)


def server(name: str) -> Server:
    """The private server that connector `name` can run; ConfigError when it has none."""
    make = getattr(connector(name), "server", None)
    if make is None:
        raise ConfigError(f"`platform.name` {name!r} has no private server to start. Use label-studio, or start yours.")
    made: Server = make()
    return made


def has_robots(name: str) -> bool:
    """Whether connector `name` can run robot annotators; where annotators are simulated there is no need for them."""
    return hasattr(connector(name), "robots")


def robots(name: str, setting: Setting, profile: Profile, count: int = 1) -> Robots:
    """Robot annotators for connector `name`; ConfigError when it has none."""
    make = getattr(connector(name), "robots", None)
    if make is None:
        raise ConfigError(f"`platform.name` {name!r} has no robot annotators. Use label-studio, or answer yourself.")
    made: Robots = make(setting, profile, count)
    return made
