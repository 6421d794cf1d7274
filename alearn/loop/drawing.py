"""How the hold-out is drawn: which of its items come next, and for how much each of its labels counts.

It is drawn in the order of its groups' hashes. With `holdout.sampling: weighted` the items that decide the metric most,
as the newest model sees it, come sooner and count for less; the odds are set anew whenever the hold-out has doubled.
The odds of a time are a blob, named by the selection that set them, so that a round can be replayed.

Invariant: an item's chance follows from odds and from how far the drawing has reached, never from its label. Whether it
was drawn depends on nothing else but its hash. Drawn evenly, every label counts for the same.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from alearn.core.estimation import drawing as core
from alearn.core.estimation import odds as odds_of
from alearn.core.keys import unit_interval
from alearn.loop.scoring import Scorer
from alearn.loop.undertaking import Undertaking
from alearn.store.items import Candidate
from alearn.store.tables import ItemRow, PickRow, SelectionRow

FACT = "drawing"
"""Where a selection's facts tell of it."""
FRAME, TIMES = 20_000, 4
"""Of a larger hold-out's items, so many that come first by their hash, or so many times those that may be drawn, are
enough to draw from."""
FEWEST = 8
"""Hold-out items that are drawn evenly before any odds are set."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Odds:
    """Of `keys`, all that the hold-out was drawn from at a time: the odds, and up to where each was drawn before."""

    keys: tuple[str, ...]
    odds: Floats
    before: Floats

    @cached_property
    def row(self) -> dict[str, int]:
        """Where each key is."""
        return {key: at for at, key in enumerate(self.keys)}

    @cached_property
    def everywhere(self) -> float:
        """Up to which place every item was drawn before."""
        return float(self.before.min()) if self.keys else 0.0

    def to_bytes(self) -> bytes:
        """As a file, the same for the same content."""
        file = io.BytesIO()
        np.savez(file, keys=np.array(self.keys, dtype="S"), odds=self.odds, before=self.before)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Odds:
        """What `to_bytes` wrote."""
        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            keys = tuple(key.decode() for key in found["keys"].tolist())
            return cls(keys, found["odds"], found["before"])


@dataclass(frozen=True, eq=False)
class Drawing:
    """The drawing as it stands: by these `odds`, it has reached to `reach` of `top`; none: evenly.

    The items that it draws from have places in [0, top): one whose limit is `top` is drawn for certain. `size` items
    had been drawn when the odds were set, `blob` keeps them, and `even` says that they are all the same.
    """

    seed: int
    top: float = 1.0
    odds: Odds | None = None
    blob: str = ""
    reach: float = 0.0
    size: int = 0
    even: bool = True

    def facts(self) -> dict[str, object]:
        """What a selection remembers of it, as JSON types; nothing where it was never drawn but evenly."""
        if self.odds is None:
            return {}
        reach = None if math.isinf(self.reach) else self.reach
        told = {"odds": self.blob, "reach": reach, "size": self.size, "top": self.top, "even": self.even}
        return {FACT: told}

    def place(self, group: str) -> float:
        """Where a group stands, in [0, 1): the smaller, the sooner it is drawn."""
        return unit_interval(group, self.seed)

    def order(self, candidates: Iterable[Candidate]) -> list[tuple[float, str]]:
        """The items that the hold-out is drawn from, of these, in the order in which they are drawn: (place over odds,
        key). Where the drawing was before they came, it makes up for them first, at 0.
        """
        places = ((self.place(one.group), one.key) for one in candidates)
        if self.odds is None:
            return sorted(places)
        return sorted((self._turn(key, place), key) for place, key in places if place < self.top)

    def limit(self, key: str) -> float:
        """Up to which place the item is drawn by now, in [0, top]."""
        chance, before = self._odds(key)
        return float(core.limits([chance], self.reach, [before], top=self.top)[0])

    def passed(self, one: Candidate) -> bool:
        """Whether it has gone past the item: one that is not drawn all the same was not there then."""
        return bool(core.passed(self.place(one.group), max(self.limit(one.key), self.floor)))

    @cached_property
    def floor(self) -> float:
        """Up to which place every item was drawn that was there when the odds were set, whatever its odds."""
        if self.odds is None:
            return math.inf
        found = core.limits(self.odds.odds, self.reach, self.odds.before, top=self.top)
        return float(found.min(initial=self.top))

    def weights(self, keys: Sequence[str], groups: Sequence[str]) -> Floats | None:
        """For how much each label counts, (n,), mean 1; None: for the same."""
        if self.odds is None:
            return None
        place = [self.place(group) for group in groups]
        return core.weights(place, [self.limit(key) for key in keys], top=self.top)

    def draw(self, left: Iterable[Candidate], count: int) -> tuple[list[str], Drawing]:
        """The next `count` keys of those that are left, and the drawing that has come so far."""
        order = self.order(left)
        drawn, rest = order[:count], order[count:]
        if self.odds is None or not drawn:
            return [key for _, key in drawn], self
        behind = rest[0][0] if rest else math.inf
        return [key for _, key in drawn], replace(self, reach=max(self.reach, behind))

    def _odds(self, key: str) -> tuple[float, float]:
        """An item's odds, and up to where it was drawn before; what came later has those of the average, and counts as
        drawn where all were.
        """
        if self.odds is None:
            return 1.0, 0.0
        at = self.odds.row.get(key)
        if at is None:
            return 1.0, self.odds.everywhere
        return float(self.odds.odds[at]), float(self.odds.before[at])

    def _turn(self, key: str, place: float) -> float:
        chance, before = self._odds(key)
        return 0.0 if core.passed(place, before) else place / chance


def drawing_of(loop: Undertaking, selections: Sequence[SelectionRow]) -> Drawing:
    """The drawing as these selections, oldest first, have left it.

    Raises:
        StoreError: the odds' blob is lost or damaged.
    """
    seed = loop.config.seed
    told = next((found for row in reversed(selections) if (found := json.loads(row.facts).get(FACT))), None)
    if told is None:
        return Drawing(seed)
    reach = math.inf if told["reach"] is None else told["reach"]
    found = Odds.from_bytes(loop.store.blobs.get(told["odds"]))
    return Drawing(seed, told["top"], found, told["odds"], reach, told["size"], told["even"])


def drawing_now(loop: Undertaking) -> Drawing:
    """The drawing as it stands; raises StoreError where the odds' blob is lost or damaged."""
    return drawing_of(loop, loop.store.rounds.selections())


def counts_for(loop: Undertaking, items: Sequence[ItemRow]) -> dict[str, float]:
    """For how much the label of each of the hold-out's items counts, mean 1, by key."""
    found = drawing_now(loop).weights([item.key for item in items], [item.group for item in items])
    weights = np.ones(len(items)) if found is None else found
    return {item.key: round(float(weight), 6) for item, weight in zip(items, weights, strict=True)}


def uneven(loop: Undertaking, keys: Sequence[str]) -> frozenset[str]:
    """Those of the hold-out's keys that even odds would not have drawn by now; the others are drawn at random."""
    now = drawing_now(loop)
    if now.odds is None:
        return frozenset()
    return frozenset(key for key, group in loop.store.items.groups(keys).items() if now.place(group) > now.floor)


def blobs(selections: Sequence[SelectionRow]) -> list[str]:
    """The blobs that these selections' drawings are in."""
    found = [json.loads(row.facts).get(FACT) for row in selections]
    return list(dict.fromkeys(one["odds"] for one in found if one))


def by_drawing(pick: PickRow) -> bool:
    """Whether the drawing chose it: what people had put onto the platform is no random sample."""
    return pick.purpose == "holdout" and pick.strategy != "found"


def renewed(
    loop: Undertaking, now: Drawing, candidates: Sequence[Candidate], picks: Sequence[PickRow], model: Scorer | None
) -> tuple[Drawing, frozenset[str]]:
    """The drawing with odds set anew, where that is due before more is drawn; and the keys of items that turned out to
    be unreadable, which are not drawn.
    """
    drawn = {pick.key for pick in picks if by_drawing(pick)}
    if loop.config.holdout.sampling == "even":
        every = [one for one in candidates if one.holdout]
        return (now if now.even else _set(loop, now, every, drawn, None)), frozenset()
    if model is None or len(drawn) < max(2 * now.size, FEWEST):
        return now, frozenset()
    frame = [one for one in candidates if one.holdout]
    if now.odds is None:
        now = replace(now, top=_top(loop, now, frame))
    frame = [one for one in frame if now.place(one.group) < now.top]
    lost = model.ensure([one.key for one in frame])
    frame = [one for one in frame if one.key not in lost]
    return _set(loop, now, frame, drawn, model), frozenset(lost)


def _top(loop: Undertaking, now: Drawing, frame: Sequence[Candidate]) -> float:
    """Up to which place there are items to draw from: to the hold-out's end, or to where there are enough of them."""
    places, enough = sorted(now.place(one.group) for one in frame), max(FRAME, TIMES * loop.config.holdout_most)
    return places[enough] if len(places) > enough else loop.config.holdout.share


def _set(loop: Undertaking, now: Drawing, frame: Sequence[Candidate], drawn: set[str], model: Scorer | None) -> Drawing:
    """What the drawing has reached becomes what it had reached before; from here on it goes by the model's odds."""
    if now.odds is None:
        place = [now.place(one.group) for one in frame]
        reach = core.reached(place, [one.key in drawn for one in frame])
        before: Floats = np.full(len(frame), min(reach, now.top))
    else:
        before = np.array([now.limit(one.key) for one in frame], dtype=np.float64)
    keys = tuple(one.key for one in frame)
    chosen = np.ones(len(frame)) if model is None else _of_groups(loop, frame, model)
    odds = Odds(keys, chosen, before)
    blob = loop.store.blobs.put(odds.to_bytes())
    return Drawing(now.seed, now.top, odds, blob, 0.0, len(drawn), model is None)


def _of_groups(loop: Undertaking, frame: Sequence[Candidate], model: Scorer) -> Floats:
    """The odds of each item: the mean of its group's, because groups are drawn whole."""
    target = loop.config.stop_at
    metric, positive = (target.metric, target.positive) if target else ("accuracy", None)
    each = odds_of(model.proba([one.key for one in frame]), metric, positive=positive)
    _, group = np.unique([one.group for one in frame], return_inverse=True)
    found: Floats = (np.bincount(group, each) / np.bincount(group))[group]
    return found
