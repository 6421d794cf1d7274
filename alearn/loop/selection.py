"""Choosing what to ask about next, and in which order.

Invariant: the same store gives the same picks. Hold-out items are drawn by a hash of their group (see `drawing`), never
by a strategy, are shown without a suggestion, and are mixed evenly into the queue. Of near copies one is asked about,
and none where the hold-out has one: when nothing else is left, they are written down as picks that are closed.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.config import Config
from alearn.core.keys import fingerprint
from alearn.core.ranking import interleave, queue_scores
from alearn.core.seeds import generator
from alearn.core.strategies import Need, Pool, Strategy
from alearn.loop.asking import asking, configured
from alearn.loop.believing import EVERYBODY, Review, review
from alearn.loop.copies import Copies, copies_of
from alearn.loop.drawing import drawing_of, renewed
from alearn.loop.guarding import Watch, watch
from alearn.loop.learning import readable
from alearn.loop.recording import Glance, glance
from alearn.loop.scoring import Scorer, scorer
from alearn.loop.undertaking import Undertaking
from alearn.loop.versions import current
from alearn.models.committee import fit_committee
from alearn.store.items import Candidate
from alearn.store.tables import PickRow, SelectionRow


@dataclass(frozen=True)
class Field:
    """What is chosen from: the candidates outside the hold-out, row by row, and what the model thinks of them."""

    keys: list[str]
    embeddings: NDArray[np.float32] | None
    proba: NDArray[np.float32] | None
    picked: NDArray[np.bool_]
    labeled: NDArray[np.bool_]
    open: NDArray[np.bool_]
    random: NDArray[np.bool_]
    votes: NDArray[np.float32] | None = None
    labels: NDArray[np.intp] | None = None
    twins: NDArray[np.intp] | None = None
    barred: NDArray[np.bool_] | None = None
    answered: NDArray[np.bool_] | None = None

    @property
    def unpicked(self) -> NDArray[np.bool_]:
        """Rows that were never picked, are no copy of a hold-out item, and have no automatic label."""
        left = self.unanswered
        return left if self.barred is None else left & ~self.barred

    @property
    def unanswered(self) -> NDArray[np.bool_]:
        """Rows that were never picked, and have no automatic label."""
        return ~self.picked if self.answered is None else ~(self.picked | self.answered)

    @property
    def free(self) -> NDArray[np.bool_]:
        """Of these, the rows that may be picked now: no copy of what is labeled or asked about, one of each family."""
        return self._pool(self.unpicked, self.labeled | self.open).without_twins().selectable

    def draw(self, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Up to n rows that may be picked, at random."""
        left = np.flatnonzero(self.free)
        return rng.choice(left, min(n, len(left)), replace=False)

    def without(self, rows: NDArray[np.intp]) -> Field:
        """The same with these rows picked, and open."""
        picked, open_ = self.picked.copy(), self.open.copy()
        picked[rows] = open_[rows] = True
        return replace(self, picked=picked, open=open_)

    def choose(self, strategy: Strategy, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Up to n rows that were never picked, away from all that is labeled or asked about already."""
        return strategy.select(self._pool(self.unpicked, self.labeled | self.open), n, rng)

    def order(self, strategy: Strategy, rows: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.intp]:
        """These rows, in the order in which the strategy would ask about them."""
        return strategy.select(replace(self._pool(rows, self.labeled), twins=None), int(rows.sum()), rng)

    def _pool(self, selectable: NDArray[np.bool_], labeled: NDArray[np.bool_]) -> Pool:
        return Pool(
            proba=self.proba,
            embeddings=self.embeddings,
            votes=self.votes,
            labels=self.labels,
            twins=self.twins,
            selectable=selectable,
            labeled=labeled,
        )


def select(loop: Undertaking) -> None:
    """Fill the queue to its high mark when it is low, and order all of it by the newest version; one transaction."""
    config, store, now = loop.config, loop.store, loop.snapshot()
    round_, picks, before = store.rounds.last(), store.rounds.picks(), store.rounds.selections()
    number = round_.number if round_ else 0
    seen = glance(loop, number, now.low, now.high)
    room = min(now.high - now.open, now.affordable) if now.open <= now.low else 0
    version = current(loop, round_)
    model = None if version is None else scorer(loop, version)
    needs = configured(loop, model=model is not None).needs
    candidates = _usable(loop, model, needs)
    copies = copies_of(loop, candidates) if config.query.copies == "once" else Copies()
    barred = copies.beside({one.key for one in candidates if one.holdout}) if copies.families else frozenset()
    reviewed = review(loop, picks, [one for one in candidates if one.key not in barred], room)
    watched = watch(loop, picks, before) if model is not None and room else Watch(_share(before, config.guard.share))
    field = _field(
        loop, candidates, picks, model, needs=needs, copies=copies, barred=barred, answered=store.automatic.keys()
    )
    asked_with = asking(loop, field.keys, field.proba, before)
    size = max(_holdout(config, len(picks) + room), store.look().holdout_wanted)
    count = holdout_room(_askable(candidates, field), picks, room=room, size=size, rate=config.holdout.rate)
    drawing, held = drawing_of(loop, before), list[str]()
    if count > 0:
        drawing, lost = renewed(loop, drawing, candidates, picks, model)
        out = lost | {pick.key for pick in picks}
        held, drawing = drawing.draw([one for one in candidates if one.holdout and one.key not in out], count)
    rng = generator(config.seed, config.name, number, f"select-{len(picks)}")
    field = field.without(_rows(field, reviewed.tests))
    drawn = field.draw(_at_random(config, watched.share, room, len(held), rng), rng)
    again = _asked_again(picks, reviewed)
    random = field.random & ~_flags(field, again)
    waiting = field.open & ~field.random & ~_flags(field, [*again, *reviewed.tests])
    wanted = room - len(held) - len(drawn)
    chosen = field.without(drawn).choose(asked_with.strategy, wanted, rng)
    waiting[chosen] = True
    over = _left_over(field, [*chosen, *drawn]) if len(chosen) < wanted else []
    order = field.order(asked_with.strategy, waiting, rng)
    at_random = [field.keys[row] for row in [*np.flatnonzero(field.open & random), *drawn]]
    held_open = [pick.key for pick in picks if pick.closed is None and pick.purpose == "holdout"] + held
    told = {**asked_with.facts, "guard": watched.facts, **_told_of(copies, barred, field), **drawing.facts()}
    selection = {"strategy": asked_with.strategy.name, "reason": asked_with.reason, "facts": json.dumps(told)}
    if room and (not before or before[-1].strategy != asked_with.strategy.name):
        loop.report.say(f"Asking with {asked_with.strategy.name}: {asked_with.reason}")
    held_open = [key for key in held_open if key not in frozenset(again)]
    asked = [field.keys[row] for row in order]
    queue = Asked(asked, at_random, held_open, again, list(reviewed.tests), reviewed.again, over)
    if over:
        loop.report.say(f"{len(over)} items are near copies of others, and are not asked about")
    _write(loop, field, queue, picks, seen=seen, selection=selection, rng=rng)


def _asked_again(picks: Sequence[PickRow], reviewed: Review) -> list[str]:
    """What is asked about though somebody has answered it, or is a test question: those before, and those to be."""
    before = [pick.key for pick in picks if pick.closed is None and (pick.opinions > 1 or pick.purpose == "test")]
    return sorted({*before, *reviewed.again})


def _askable(candidates: list[Candidate], field: Field) -> list[Candidate]:
    """The candidates without the copies that are not asked about now, and those that have an automatic label."""
    if field.twins is None and field.answered is None:
        return candidates
    out = {field.keys[row] for row in np.flatnonzero(~(field.picked | field.free))}
    return [one for one in candidates if one.key not in out]


def _left_over(field: Field, taken: Sequence[int]) -> list[str]:
    """The keys that nobody was asked about, when all that may be picked is taken: they are copies."""
    left = field.unanswered
    left[list(taken)] = False
    return [field.keys[row] for row in np.flatnonzero(left)]


def _told_of(copies: Copies, barred: frozenset[str], field: Field) -> dict[str, Any]:
    """How many items are not asked about because of their copies, of which `holdout` are beside a hold-out item."""
    if not copies.families:
        return {}
    out = int((field.unanswered & ~field.free).sum())
    return {"copies": {"families": len(copies.families), "left_out": out, "holdout": len(barred)}}


def _rows(field: Field, keys: Sequence[str]) -> NDArray[np.intp]:
    """The rows of those of the keys that are in the field."""
    return np.flatnonzero(_flags(field, keys))


def _flags(field: Field, keys: Sequence[str]) -> NDArray[np.bool_]:
    some = frozenset(keys)
    return np.array([key in some for key in field.keys], dtype=bool)


def _share(before: Sequence[SelectionRow], base: float) -> float:
    """The random share as it was last."""
    return float(json.loads(before[-1].facts).get("guard", {}).get("share", base)) if before else base


def _holdout(config: Config, places: int) -> int:
    """How many hold-out items are asked for in all, of so many places."""
    guard = config.guard
    return max(config.holdout.size, round(guard.share * places)) if guard.feeds == "holdout" else config.holdout.size


def _at_random(config: Config, share: float, room: int, held: int, rng: np.random.Generator) -> int:
    """How many of the new places are drawn at random to be trained on; hold-out items are random, too, and count."""
    if config.guard.feeds == "holdout" and share <= config.guard.share:
        return 0
    return max(0, min(room - held, int(share * room + rng.random()) - held))


def _usable(loop: Undertaking, model: Scorer | None, needs: frozenset[Need]) -> list[Candidate]:
    """The candidates that could be read, by the network where it is asked, and by the version."""
    candidates, lost = loop.store.items.candidates(), frozenset[str]()
    if model is None or needs & {"embeddings", "votes"}:
        lost = loop.features.ensure([one.key for one in candidates])
    if model is not None:
        lost |= model.ensure([one.key for one in candidates if not (one.holdout or one.key in lost)])
    return [one for one in candidates if one.key not in lost]


def holdout_room(
    candidates: Sequence[Candidate], picks: Sequence[PickRow], *, room: int, size: int, rate: float
) -> int:
    """How many hold-out items are asked for now, at most `size` in all.

    They have `rate` of all places so far and of the new room, and all of it that the pool cannot fill.
    """
    held = sum(pick.purpose == "holdout" and pick.closed in {None, "labeled"} for pick in picks)
    picked = {pick.key for pick in picks}
    spare = room - sum(not one.holdout for one in candidates if one.key not in picked)
    return min(max(round(rate * (len(picks) + room)) - held, spare), size - held, room)


def _field(
    loop: Undertaking,
    candidates: Sequence[Candidate],
    picks: Sequence[PickRow],
    model: Scorer | None,
    *,
    needs: frozenset[Need],
    copies: Copies,
    barred: frozenset[str],
    answered: frozenset[str],
) -> Field:
    keys = [one.key for one in candidates if not one.holdout]
    embeddings = loop.features.rows(keys) if needs & {"embeddings", "votes"} else None
    by_key = {pick.key: pick for pick in picks}
    return Field(
        keys=keys,
        embeddings=embeddings,
        proba=None if model is None else model.proba(keys),
        votes=_votes(loop, embeddings) if "votes" in needs and embeddings is not None else None,
        labels=_labels(loop, keys) if "labels" in needs else None,
        picked=np.array([key in by_key for key in keys], dtype=bool),
        labeled=np.array([key in by_key and by_key[key].closed == "labeled" for key in keys], dtype=bool),
        open=np.array([key in by_key and by_key[key].closed is None for key in keys], dtype=bool),
        random=np.array([key in by_key and by_key[key].purpose == "random" for key in keys], dtype=bool),
        twins=copies.twins(keys),
        barred=np.array([key in barred for key in keys], dtype=bool) if barred else None,
        answered=np.array([key in answered for key in keys], dtype=bool) if answered else None,
    )


def _votes(loop: Undertaking, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """What each member of a committee of heads, trained on other draws of the labels, thinks of each row."""
    lesson = readable(loop, loop.store.annotations.training(holdout=False), loop.features.cut)
    x, seed = loop.features.rows(lesson.keys), loop.config.seed
    return fit_committee(x, lesson.y, len(loop.schema.classes), seed=seed).votes(embeddings)


def _labels(loop: Undertaking, keys: Sequence[str]) -> NDArray[np.intp]:
    """The class number that each key is labeled with, -1 where it is not."""
    known = loop.store.annotations.training(holdout=False)
    number = dict(zip(known.keys, loop.schema.indices(list(known.values)), strict=True))
    return np.array([number.get(key, -1) for key in keys], dtype=np.intp)


@dataclass(frozen=True)
class Asked:
    """Keys that are asked about, the most informative first; drawn at random to be trained on; of the hold-out; those
    that are asked about again; and new test questions. `opinions` are how many of an item are wanted, by key. `over`
    are copies that are left when nothing else is.
    """

    asked: list[str]
    random: list[str]
    held: list[str]
    again: list[str]
    tests: list[str]
    opinions: Mapping[str, int]
    over: list[str] = dataclasses.field(default_factory=list)

    def mixed(self, rng: np.random.Generator) -> list[str]:
        """All of them; the others everywhere among the asked."""
        found = self.asked
        for others in (self.random, self.again, self.tests, self.held):
            found = interleave(found, others, rng)
        return found

    def purpose(self, key: str, strategy: str) -> dict[str, Any]:
        """What a pick says of why it was picked."""
        if key in self.held:
            return {"purpose": "holdout", "strategy": "holdout"}
        if key in self.tests:
            return {"purpose": "test", "strategy": "test", "opinions": EVERYBODY}
        if key in self.random:
            return {"purpose": "random", "strategy": "random"}
        return {"purpose": "query", "strategy": strategy}


def _write(
    loop: Undertaking,
    field: Field,
    queue: Asked,
    picks: Sequence[PickRow],
    *,
    seen: Glance,
    selection: Mapping[str, str],
    rng: np.random.Generator,
) -> None:
    keys = queue.mixed(rng)
    scores = queue_scores(len(keys))
    suggestions, known = _suggestions(loop, field, [*queue.asked, *queue.random]), {pick.key for pick in picks}
    places = {
        key: {"score": float(score), "label": suggestions.get(key, (None, None))[0]}
        | {"confidence": suggestions.get(key, (None, None))[1]}
        | ({"opinions": queue.opinions[key], "closed": None} if key in queue.opinions else {})
        for key, score in zip(keys, scores, strict=True)
    }
    fresh = [
        {"key": key, "round": seen.round + 1, "rank": rank, **places[key], **queue.purpose(key, selection["strategy"])}
        for rank, key in enumerate(keys)
        if key not in known
    ]
    fresh += [
        {"key": key, "round": seen.round + 1, "rank": rank, "purpose": "query", "strategy": "copies", "score": 1.0}
        | {"label": None, "confidence": None, "closed": "copy"}
        for rank, key in enumerate(queue.over, start=len(keys))
    ]
    version = f"alearn-r{seen.round:04d}-{fingerprint(places)[:12]}"
    selection = {**selection, "at": loop.clock.now()}
    record = seen.record(loop, [pick["key"] for pick in fresh], version)
    loop.store.rounds.choose(fresh, places, version=version, round_=seen.round, selection=selection, record=record)


def _suggestions(loop: Undertaking, field: Field, keys: Sequence[str]) -> dict[str, tuple[str, float]]:
    """What the model would answer, and how sure it is, for each of the keys."""
    if field.proba is None:
        return {}
    row = {key: at for at, key in enumerate(field.keys)}
    best = {key: int(field.proba[row[key]].argmax()) for key in keys}
    return {key: (loop.schema.classes[at], float(field.proba[row[key], at])) for key, at in best.items()}
