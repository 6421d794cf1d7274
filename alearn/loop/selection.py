"""Choosing what to ask about next, and in which order.

Invariant: the same store gives the same picks. Hold-out items are drawn by a hash of their group, never by a strategy,
are shown without a suggestion, and are mixed evenly into the queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alearn.core.keys import fingerprint, unit_interval
from alearn.core.ranking import interleave, queue_scores
from alearn.core.seeds import generator
from alearn.core.strategies import Need, Pool, Strategy, resolve
from alearn.loop.learning import readable
from alearn.loop.scoring import Scorer, scorer
from alearn.loop.undertaking import Undertaking
from alearn.loop.versions import current
from alearn.models.committee import fit_committee
from alearn.store.items import Candidate
from alearn.store.tables import PickRow


@dataclass(frozen=True)
class Field:
    """What is chosen from: the candidates outside the hold-out, row by row, and what the model thinks of them."""

    keys: list[str]
    embeddings: NDArray[np.float32] | None
    proba: NDArray[np.float32] | None
    picked: NDArray[np.bool_]
    labeled: NDArray[np.bool_]
    open: NDArray[np.bool_]
    votes: NDArray[np.float32] | None = None
    labels: NDArray[np.intp] | None = None

    def choose(self, strategy: Strategy, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Up to n rows that were never picked, away from all that is labeled or asked about already."""
        return strategy.select(self._pool(~self.picked, self.labeled | self.open), n, rng)

    def order(self, strategy: Strategy, rows: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.intp]:
        """These rows, in the order in which the strategy would ask about them."""
        return strategy.select(self._pool(rows, self.labeled), int(rows.sum()), rng)

    def _pool(self, selectable: NDArray[np.bool_], labeled: NDArray[np.bool_]) -> Pool:
        return Pool(
            proba=self.proba,
            embeddings=self.embeddings,
            votes=self.votes,
            labels=self.labels,
            selectable=selectable,
            labeled=labeled,
        )


def select(loop: Undertaking) -> None:
    """Fill the queue to its high mark when it is low, and order all of it by the newest version; one transaction."""
    config, store, now = loop.config, loop.store, loop.snapshot()
    round_, picks = store.rounds.last(), store.rounds.picks()
    number = round_.number if round_ else 0
    room = min(config.high - now.open, now.affordable) if now.open <= config.low else 0
    version = current(loop, round_)
    model = None if version is None else scorer(loop, version)
    name, strategy = _strategy(loop, model)
    candidates = _usable(loop, model, strategy)
    held = holdout_draw(
        candidates, picks, room=room, size=config.holdout.size, rate=config.holdout.rate, seed=config.seed
    )
    field = _field(loop, candidates, picks, model, needs=strategy.needs)
    rng = generator(config.seed, config.name, number, f"select-{len(picks)}")
    waiting = field.open.copy()
    waiting[field.choose(strategy, room - len(held), rng)] = True
    order = field.order(strategy, waiting, rng)
    asked = [field.keys[row] for row in order]
    held_open = [pick.key for pick in picks if pick.closed is None and pick.purpose == "holdout"] + held
    _write(loop, field, asked, held_open, picks, round_=number, strategy=name, rng=rng)


def _usable(loop: Undertaking, model: Scorer | None, strategy: Strategy) -> list[Candidate]:
    """The candidates that could be read, by the network where it is asked, and by the version."""
    candidates, lost = loop.store.items.candidates(), frozenset[str]()
    if model is None or strategy.needs & {"embeddings", "votes"}:
        lost = loop.features.ensure([one.key for one in candidates])
    if model is not None:
        lost |= model.ensure([one.key for one in candidates if not (one.holdout or one.key in lost)])
    return [one for one in candidates if one.key not in lost]


def holdout_draw(
    candidates: Sequence[Candidate], picks: Sequence[PickRow], *, room: int, size: int, rate: float, seed: int
) -> list[str]:
    """The hold-out items to ask for now: the next ones by the hash of their group.

    They have `rate` of all places so far and of the new room, and all of it that the pool cannot fill.
    """
    held = sum(pick.purpose == "holdout" and pick.closed in {None, "labeled"} for pick in picks)
    picked = {pick.key for pick in picks}
    left = [one for one in candidates if one.key not in picked]
    spare = room - sum(not one.holdout for one in left)
    count = min(max(round(rate * (len(picks) + room)) - held, spare), size - held, room)
    if count <= 0:
        return []
    drawn = sorted((unit_interval(one.group, seed), one.key) for one in left if one.holdout)
    return [key for _, key in drawn[:count]]


def _field(
    loop: Undertaking,
    candidates: Sequence[Candidate],
    picks: Sequence[PickRow],
    model: Scorer | None,
    *,
    needs: frozenset[Need],
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


def _strategy(loop: Undertaking, model: Scorer | None) -> tuple[str, Strategy]:
    """The configured strategy, or the one for a cold start while there is no model."""
    query = loop.config.query
    name = query.cold_start if model is None else query.strategy
    return name, resolve(name)


def _write(
    loop: Undertaking,
    field: Field,
    asked: Sequence[str],
    held: Sequence[str],
    picks: Sequence[PickRow],
    *,
    round_: int,
    strategy: str,
    rng: np.random.Generator,
) -> None:
    queue = interleave(asked, held, rng)
    scores = queue_scores(len(queue))
    suggestions, known, apart = _suggestions(loop, field, asked), {pick.key for pick in picks}, set(held)
    places = {
        key: {"score": float(score), "label": suggestions.get(key, (None, None))[0]}
        | {"confidence": suggestions.get(key, (None, None))[1]}
        for key, score in zip(queue, scores, strict=True)
    }
    fresh = [
        {"key": key, "round": round_ + 1, "rank": rank, **places[key]}
        | {"purpose": "holdout" if key in apart else "query", "strategy": "holdout" if key in apart else strategy}
        for rank, key in enumerate(queue)
        if key not in known
    ]
    version = f"alearn-r{round_:04d}-{fingerprint(places)[:12]}"
    loop.store.rounds.choose(fresh, places, version=version, round_=round_)


def _suggestions(loop: Undertaking, field: Field, keys: Sequence[str]) -> dict[str, tuple[str, float]]:
    """What the model would answer, and how sure it is, for each of the keys."""
    if field.proba is None:
        return {}
    row = {key: at for at, key in enumerate(field.keys)}
    best = {key: int(field.proba[row[key]].argmax()) for key in keys}
    return {key: (loop.schema.classes[at], float(field.proba[row[key], at])) for key, at in best.items()}
