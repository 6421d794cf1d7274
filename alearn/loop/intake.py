"""Taking items into a loop from where they are.

Invariant: adding twice is adding once, and an interrupted intake is simply done again: the source is marked as read
only when its end was reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from alearn.config import Config, ItemSpec
from alearn.core.keys import fingerprint, unit_interval
from alearn.data import Item, Unreadable, count_hint, read_items
from alearn.errors import ConfigError
from alearn.loop.undertaking import Undertaking
from alearn.platform import Found
from alearn.store.items import as_row

CHUNK = 5_000


@dataclass(frozen=True)
class Intake:
    """What came of reading a source: items seen, of which new, and things that could not be used."""

    seen: int = 0
    added: int = 0
    unreadable: int = 0


def take_in(loop: Undertaking, *, again: bool = False) -> Intake:
    """Add the config's own source, unless it was read to its end before; `again`: even then."""
    source = fingerprint(loop.config.items.model_dump(mode="json"))
    if loop.store.loop().source == source and not again:
        return Intake()
    result = add(loop, loop.config.source)
    loop.store.items.source_read(source)
    return result


def take_in_found(loop: Undertaking, found: Sequence[Found]) -> int:
    """Add what people put onto the platform by hand; returns how many items are new."""
    _same_split(loop)
    items = [Item(one.key, one.uri, one.text, one.key, None) for one in found]
    added = loop.store.items.add([_row(loop, item) for item in items])
    if added:
        loop.report.say(f"{added} items were put onto the platform by hand, and are part of the loop now")
    return added


def _row(loop: Undertaking, item: Item) -> dict[str, Any]:
    share, seed = _split(loop.config)
    return as_row(item, holdout=unit_interval(item.group, seed) < share)


def add(loop: Undertaking, spec: ItemSpec) -> Intake:
    """Add every item of a source; what cannot be read is quarantined with its reason.

    Raises:
        ConfigError: items that are there were divided into pool and hold-out otherwise than the config says.
        DataError: the source itself is missing, empty or of no known kind.
    """
    _same_split(loop)
    total, result = count_hint(spec), Intake()
    stream = read_items(spec, loop.config.task.data, loop.config.home_ / "items")
    aside = frozenset(row.place for row in loop.store.items.quarantined())
    while chunk := list(islice(stream, CHUNK)):
        result = _keep(loop, chunk, result, aside)
        loop.report.progress("Adding items", result.seen, total)
    if result.seen:
        loop.report.progress("Adding items", result.seen, result.seen)
    return result


def _split(config: Config) -> tuple[float, int]:
    """The share of the groups that is held out, and the seed of their hash."""
    return (config.holdout.share if config.holdout.size else 0.0), config.seed


def _same_split(loop: Undertaking) -> None:
    """Refuse to divide new items otherwise than those that are there: a group would be on both sides."""
    share, seed = _split(loop.config)
    wanted = f"share {share:g}, seed {seed}"
    held = loop.store.items.split(wanted)
    if held != wanted:
        raise ConfigError(
            f"`holdout.share` and `seed` of loop {loop.config.name!r} must stay as when its first items came: "
            f"{held}. Got {wanted} (no hold-out is share 0). Put them back, or begin a loop with another `name`."
        )


def _keep(loop: Undertaking, chunk: list[Item | Unreadable], so_far: Intake, aside: frozenset[str]) -> Intake:
    items = [one for one in chunk if isinstance(one, Item)]
    bad = {one.where: one.reason for one in chunk if isinstance(one, Unreadable)}
    rows = [_row(loop, item) for item in items]
    added = loop.store.items.add(rows) if rows else 0
    mended = aside & {str(item.uri) for item in items}
    if mended:
        loop.store.items.found_again(mended)
    if bad:
        loop.store.items.quarantine(bad, at=loop.clock.now(), keyed=False)
    return replace(
        so_far, seen=so_far.seen + len(chunk), added=so_far.added + added, unreadable=so_far.unreadable + len(bad)
    )
