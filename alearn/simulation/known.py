"""The items whose answers are known, and the part of them that tests.

Invariant: the test part follows from the items and the seed alone, and never splits a group.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from alearn.config import Config
from alearn.core.keys import fingerprint, unit_interval
from alearn.errors import DataError
from alearn.loop.intake import take_in
from alearn.loop.undertaking import Undertaking
from alearn.store.blobs import write_whole

TEST_SHARE, TEST_MOST = 0.2, 2_000
"""The test part: at most this share of the items, and at most so many."""
FEWEST = 20
"""Items with a known answer below which nothing is simulated."""


@dataclass(frozen=True, slots=True)
class Known:
    """An item as a loop takes it in, with its answer `truth`. Exactly one of `uri` and `text` is set."""

    key: str
    uri: str | None
    text: str | None
    group: str
    truth: str


def known_of(loop: Undertaking) -> list[Known]:
    """The items of a config's source that come with an answer, by key.

    Raises:
        DataError: hardly any does, or the source cannot be read.
    """
    take_in(loop)
    keys = [one.key for one in loop.store.items.candidates()]
    truths, groups = loop.store.items.truths(keys), loop.store.items.groups(keys)
    contents = loop.store.items.contents(truths)
    found = [
        Known(key, contents[key].uri, contents[key].text, groups[key], truths[key])
        for key in keys
        if truths.get(key) in loop.schema.classes
    ]
    return _enough(found, loop.config, len(keys))


def labeled_of(loop: Undertaking) -> list[Known]:
    """The labels that a loop has, its hold-out's included, as if they were known answers; by key.

    Raises:
        DataError: the loop has hardly any label.
    """
    rows = loop.store.annotations.labels()
    found = [Known(item.key, item.uri, item.text, item.group, str(label.value)) for label, item in rows]
    if len(found) < FEWEST:
        raise DataError(
            f"`alearn simulate --replay` needs a loop with {FEWEST} labels or more. {loop.config.name!r} has "
            f"{len(found)}. Run `alearn run` first, or leave --replay out for items whose answers are known."
        )
    return found


def _enough(found: list[Known], config: Config, items: int) -> list[Known]:
    if len(found) >= FEWEST:
        return found
    raise DataError(
        f"`alearn simulate` needs {FEWEST} items or more whose answers are known and are among `task.classes`. Loop "
        f"{config.name!r} has {len(found)} of {items}. Set `items.truth: folder` or `items.truth_column`, or replay "
        "the labels of a loop that has run: --replay."
    )


def split(items: Sequence[Known], seed: int) -> tuple[list[Known], list[Known]]:
    """The pool and the test part, each by key; groups are drawn by a hash with the seed until the part is full."""
    sizes: dict[str, int] = {}
    for one in items:
        sizes[one.group] = sizes.get(one.group, 0) + 1
    room = min(int(TEST_SHARE * len(items)), TEST_MOST)
    test: set[str] = set()
    for group in sorted(sizes, key=lambda name: (unit_interval(f"simulated test\0{name}", seed), name)):
        if sizes[group] <= room:
            test.add(group)
            room -= sizes[group]
        if not room:
            break
    return [one for one in items if one.group not in test], [one for one in items if one.group in test]


def identity(items: Iterable[Known]) -> str:
    """A fingerprint of items and answers."""
    return fingerprint([[one.key, one.group, one.truth] for one in items])


def keep(items: Sequence[Known], path: Path) -> None:
    """Write the items where the processes of an experiment read them."""
    write_whole(path, json.dumps([asdict(one) for one in items], ensure_ascii=False).encode())


@lru_cache(maxsize=1)
def kept(path: Path) -> tuple[Known, ...]:
    """The items of a file that `keep` wrote; once per process."""
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return tuple(Known(**row) for row in rows)
