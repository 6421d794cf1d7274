"""The automatic labels on the platform, where people look at them, filter them and correct one.

A task that carries one is nobody's question: it is no pick, counts for nothing, and stands behind the queue. When
somebody answers it, the answer comes home as that of any task which the platform held before the loop asked about its
item: it becomes a pick that was found, is trained on, and the automatic label goes.

Invariant: only items outside the hold-out are shown, because an answer to a suggestion that the model was sure of would
make what is measured look better than it is; and only items that nobody was asked about. Whoever shows holds the loop's
lease, so that no queue is pushed meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from alearn.errors import ConfigError
from alearn.loop.steps import collect, prepare
from alearn.loop.undertaking import Undertaking
from alearn.platform import Proposal, Proposed, Suggesting, Task
from alearn.store.tables import AutomaticRow

WHAT = "Automatic labels on the platform"
"""What the progress is called."""
VERSION = 16
"""So many letters of a version's key name it on the platform."""


@dataclass(frozen=True)
class Shown:
    """What came of showing automatic labels; see `Proposed`.

    `held_out` are those of the hold-out and `asked` those that people were asked about, which are not shown; neither
    are `later`, beyond the limit.
    """

    proposed: Proposed
    held_out: int = 0
    asked: int = 0
    later: int = 0

    def facts(self) -> dict[str, Any]:
        """As JSON types."""
        told = {**asdict(self.proposed), "refused": len(self.proposed.refused)}
        return {**told, "held_out": self.held_out, "asked": self.asked, "later": self.later}


def require(loop: Undertaking) -> Suggesting:
    """The loop's platform, where it can show automatic labels.

    Raises:
        ConfigError: the loop's platform cannot show them.
    """
    if isinstance(loop.platform, Suggesting):
        return loop.platform
    raise ConfigError(
        f"`platform.name` of loop {loop.config.name!r} must be one that can show automatic labels: label-studio. Got "
        f"{loop.config.platform.name!r}. Leave --suggest out; `alearn export --labels` writes them."
    )


def shown(loop: Undertaking) -> int:
    """How many tasks this machine knows to be shown; without the network."""
    return loop.platform.proposed() if isinstance(loop.platform, Suggesting) else 0


def look(loop: Undertaking) -> None:
    """Bring home what people have done, so that nothing is said of an item that they have answered."""
    prepare(loop)
    collect(loop)


def show(loop: Undertaking, *, limit: int | None = None) -> Shown:
    """Make the automatic labels there are, and no others, those that the platform shows.

    With a `limit` so many, the least sure: of those a look is worth most.
    """
    platform, asked = require(loop), _asked(loop)
    rows = [(row, item.holdout) for row, item in loop.store.automatic.labels()]
    free = [row for row, holdout in rows if not holdout and row.key not in asked]
    free.sort(key=lambda row: (row.confidence, row.key))
    chosen = free if limit is None else free[:limit]
    proposed = platform.propose(
        _proposals(loop, chosen),
        version=chosen[0].version[:VERSION] if chosen else "",
        asked=asked,
        progress=lambda done, total: loop.report.progress(WHAT, done, total),
    )
    held_out = sum(holdout for _, holdout in rows)
    return Shown(proposed, held_out, len(rows) - held_out - len(free), len(free) - len(chosen))


def hide(loop: Undertaking) -> Proposed:
    """Take from the platform what it shows, but for what people have begun with."""
    return require(loop).propose(
        [],
        version="",
        asked=_asked(loop),
        progress=lambda done, total: loop.report.progress(WHAT, done, total),
    )


def _asked(loop: Undertaking) -> Collection[str]:
    """The items that people were asked about, or have answered; of a copy only the other was."""
    return {pick.key for pick in loop.store.rounds.picks() if pick.closed != "copy"}


def _proposals(loop: Undertaking, rows: Sequence[AutomaticRow]) -> list[Proposal]:
    contents = loop.store.items.contents([row.key for row in rows])
    return [
        Proposal(Task(row.key, contents[row.key].uri, contents[row.key].text), row.label, row.confidence)
        for row in rows
        if row.key in contents
    ]
