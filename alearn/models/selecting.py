"""From the names of pretrained networks to the one that suits a team's labels, and where to cut it.

Only the labeled items are embedded, once per network, behind several taps at a time. Invariant: a network that cannot
be loaded or run is left out with its reason, and the others go on; a speed that is told was measured here and now.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.core.geometry import spread
from alearn.core.keys import unit_interval
from alearn.core.metrics import METRICS
from alearn.core.schema import DataKind
from alearn.data.decode import MAX_PIXELS
from alearn.errors import ModelError
from alearn.models.cache import ActivationCache
from alearn.models.embeddings import Entry, embed_items
from alearn.models.engines import rate
from alearn.models.rank import FEW, Candidate, Row, rank
from alearn.models.trunk import Trunk, example_of, load_trunk
from alearn.models.zoo import size_for
from alearn.places import cache_folder

MOST_LABELS = 1000
"""More labels are not looked at: what a thousand cannot tell apart is as good."""
MOST_TAPS = 7
"""Of one network, evenly over the last two thirds of its depth; what is before them has never won."""
MEASURED = 5
"""Candidates, the first ones, whose speed and size are measured unless somebody says how many."""

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, how much of it is, and of how much."""


@dataclass(frozen=True)
class Cost:
    """Of a network cut at its tap, measured: parameters, megabytes of them in float32, items per second and on what."""

    parameters: int
    megabytes: float
    items_per_second: float
    engine: str


@dataclass(frozen=True)
class Option:
    """A ranked network and tap; `cost` is None where it was not measured. `last`: the tap is behind the whole network.

    `width` is the length of its embeddings, of four bytes a number.
    """

    row: Row
    width: int
    last: bool
    cost: Cost | None = None

    @property
    def network(self) -> str:
        """Its name."""
        return self.row.candidate.network

    @property
    def tap(self) -> str | None:
        """As a config's `model.tap` says it: None where the network is used whole."""
        return None if self.last else self.row.candidate.tap

    @property
    def title(self) -> str:
        """For people."""
        return self.network if self.last else f"{self.network} behind {self.tap}"


@dataclass(frozen=True)
class Selection:
    """All candidates, the first choice first; those that cannot be told from the best; {name: why} of those left out.

    `labels` were looked at. `reason` says in a sentence why the first is the first.
    """

    rows: Sequence[Option]
    left_out: dict[str, str]
    labels: int
    reason: str

    @property
    def first(self) -> Option:
        """The choice."""
        return self.rows[0]

    @property
    def ties(self) -> list[Option]:
        """The others that are tied with the best score."""
        return [option for option in self.rows[1:] if option.row.tied]


def select(
    names: Sequence[str],
    data: DataKind,
    items: Sequence[Entry],
    y: Sequence[int] | NDArray[np.intp],
    classes: int,
    *,
    metric: str,
    positive: int | None = None,
    size: int | None = None,
    seed: int,
    folder: Path,
    report: Progress | None = None,
    groups: Sequence[Any] | None = None,
    trunks: Path | None = None,
    max_pixels: int = MAX_PIXELS,
    measured: int = MEASURED,
) -> Selection:
    """Rank the networks of these names, cut behind their taps, on labeled items and their class numbers `y`.

    `size`: of images, none: each network's own. Embeddings are kept under `folder`, exported networks under `trunks`
    (none: where loops keep them), so that a second call has little to do. `groups` as in `rank`. Unreadable items are
    passed over. Of the first `measured` candidates the cost is measured, each cut for itself.

    Raises:
        ModelError: not one network can be used; the text says why of each.
        Unreachable: the items' storage does not answer now.
    """
    told = report or (lambda _what, _done, _total: None)
    tied_together = [key for key, _, _ in items] if groups is None else groups
    labels = _Labels(items, np.asarray(y, dtype=np.intp), tied_together).sampled(MOST_LABELS, seed)
    how = _How(data, size, trunks or cache_folder() / "trunks", folder, max_pixels, told)
    embedded, left_out = _embedded(list(dict.fromkeys(names)), labels.items, how)
    if not embedded:
        why = " ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise ModelError(f"One candidate at least must be usable. None is. {why or 'Name one.'}")
    readable = set.intersection(*(one.readable for one in embedded))
    labels = labels.only(readable)
    rows = rank(
        [candidate for one in embedded for candidate in one.candidates([key for key, _, _ in labels.items])],
        labels.y,
        classes,
        metric=metric,
        positive=positive,
        groups=labels.groups,
        seed=seed,
        report=lambda done, total: told("Comparing candidates", done, total),
    )
    last = {one.name: one.taps[-1] for one in embedded}
    options = [Option(row, row.candidate.x.shape[1], row.candidate.tap == last[row.candidate.network]) for row in rows]
    options = [_measured(option, how) if at < measured else option for at, option in enumerate(options)]
    return Selection(options, left_out, len(labels.y), in_words(options, len(labels.y), metric))


@dataclass(frozen=True, eq=False)
class _Labels:
    """Labeled items, their class numbers and their groups."""

    items: Sequence[Entry]
    y: NDArray[np.intp]
    groups: Sequence[Any]

    def only(self, keys: set[str]) -> _Labels:
        """Those of some keys."""
        return self._at([at for at, (key, _, _) in enumerate(self.items) if key in keys])

    def sampled(self, most: int, seed: int) -> _Labels:
        """At most so many: of each class the same share, or one where there is room, by the hash of their keys."""
        if len(self.y) <= most:
            return self
        of_class: dict[int, list[int]] = defaultdict(list)
        for at in sorted(range(len(self.y)), key=lambda at: unit_interval(self.items[at][0], seed)):
            of_class[int(self.y[at])].append(at)
        share = {at: place / len(ats) for ats in of_class.values() for place, at in enumerate(ats)}
        return self._at(sorted(sorted(share, key=lambda at: (share[at], at))[:most]))

    def _at(self, rows: list[int]) -> _Labels:
        return _Labels([self.items[at] for at in rows], self.y[rows], [self.groups[at] for at in rows])


@dataclass(frozen=True)
class _How:
    """What holds for every network: the kind of data, the size of images, where things are kept, who is told."""

    data: DataKind
    size: int | None
    trunks: Path
    folder: Path
    max_pixels: int
    report: Progress

    def trunk(self, name: str, taps: Sequence[str] = ()) -> Trunk:
        """A network, cut; raises ModelError."""
        size = size_for(name, self.size) if self.data == "image" else None
        return load_trunk(name, self.data, size=size, taps=taps, folder=self.trunks)


@dataclass(frozen=True, eq=False)
class _Embedded:
    """A network and what it says of the items: `spans` are its taps' columns, `taps` all that it has."""

    name: str
    parameters: int
    taps: Sequence[str]
    spans: dict[str, tuple[int, int]]
    cache: ActivationCache
    readable: set[str] = field(default_factory=set)

    def candidates(self, keys: Sequence[str]) -> list[Candidate]:
        """One for each tap."""
        x = self.cache.rows(keys)
        pretrained = self.parameters > 0 and not self.name.startswith("random:")
        return [
            Candidate(self.name, tap, x[:, start:stop], self._depth(tap), self.parameters, pretrained)
            for tap, (start, stop) in self.spans.items()
        ]

    def _depth(self, tap: str) -> float:
        return self.taps.index(tap) / (len(self.taps) - 1) if len(self.taps) > 1 else 1.0


def _embedded(names: Sequence[str], items: Sequence[Entry], how: _How) -> tuple[list[_Embedded], dict[str, str]]:
    """Every network's embeddings of the items; and {name: why} of those that cannot be used."""
    found, left_out = [], {}
    for name in names:
        try:
            found.append(_embed(name, items, how))
        except ModelError as error:
            left_out[name] = str(error)
    return found, left_out


def _embed(name: str, items: Sequence[Entry], how: _How) -> _Embedded:
    """The items' embeddings behind several taps, put into a cache; raises ModelError."""
    how.report(f"Loading {name}", 0, 1)
    whole = how.trunk(name)
    taps = spread_taps(whole.about.taps)
    trunk = how.trunk(name, taps) if len(taps) > 1 else whole
    how.report(f"Loading {name}", 1, 1)
    cache = ActivationCache(how.folder / trunk.cache_key[:16], trunk.about.shape)
    bad = embed_items(
        trunk,
        cache,
        items,
        max_pixels=how.max_pixels,
        report=lambda done, total: how.report(f"Embedding with {name}", done, total),
    )
    spans = dict(trunk.about.spans) or {trunk.about.tap or "network": (0, trunk.dim)}
    every = whole.about.taps or tuple(spans)
    readable = {key for key, _, _ in items} - bad.keys()
    if not np.isfinite(cache.rows(sorted(readable))).all():
        raise ModelError(f"The embeddings of {name} must be finite numbers. They are not. Check its weights.")
    return _Embedded(whole.name, whole.about.parameters, every, spans, cache, readable)


def spread_taps(taps: Sequence[str]) -> list[str]:
    """At most MOST_TAPS of a network's taps, evenly over the last two thirds, the last among them."""
    late = taps[len(taps) // 3 :]
    return [late[at] for at in spread(len(late), MOST_TAPS)]


def _measured(option: Option, how: _How) -> Option:
    """The option with what it costs; without, where the network cannot be cut there alone."""
    how.report(f"Measuring {option.title}", 0, 1)
    try:
        trunk = how.trunk(option.network, () if option.tap is None else (option.tap,))
        about = trunk.about
        cost = Cost(about.parameters, about.parameters * 4 / 1e6, items_per_second(trunk), trunk.engine)
    except ModelError:
        return option
    finally:
        how.report(f"Measuring {option.title}", 1, 1)
    return Option(option.row, option.width, option.last, cost)


def items_per_second(trunk: Trunk) -> float:
    """How many prepared items a trunk embeds in a second."""
    batch = list(next(iter(example_of(trunk.about).values())))
    return rate(lambda: trunk.embed(batch), len(batch))


def in_words(options: Sequence[Option], labels: int, metric: str) -> str:
    """Why the first option is the first."""
    first, *others = options
    parts = [f"{first.title}: {_scored(first, labels, metric)}"]
    if labels < FEW:
        parts.append(f"with fewer than {FEW} labels, size and depth count more than scores")
    ties = [one for one in others if one.row.tied]
    worse = next((one for one in others if not one.row.tied), None)
    if ties:
        parts.append(f"{'tied with' if first.row.tied else 'the best scores have'} {_listed(ties)}")
    if worse is not None and first.row.tied:
        parts.append(f"ahead of {worse.title}, {worse.row.score.value:.3f}")
    return "; ".join(parts) + "."


def _scored(option: Option, labels: int, metric: str) -> str:
    score, title = option.row.score, METRICS[metric].title.lower()
    if math.isnan(score.value):
        return f"{labels} labels cannot tell its {title}"
    return f"{title} {score.value:.3f} ({score.low:.3f} to {score.high:.3f}) on {labels} labels, cross-validated"


def _listed(options: Sequence[Option], most: int = 3) -> str:
    more = len(options) - most
    return ", ".join(one.title for one in options[:most]) + (f" and {more} more" if more > 0 else "")
