"""A loop at work: its config, its store, its platform and its features, opened together and closed together.

Invariant: nothing here decides anything and no progress is kept here; all of it can be thrown away and opened again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from alearn import platform as door
from alearn.config import Config
from alearn.core.schema import LabelSchema
from alearn.core.stopping import payable
from alearn.core.strategies import resolve, resolve_cold_start
from alearn.errors import ModelError
from alearn.loop.features import Features, current_cut
from alearn.loop.pace import Pace
from alearn.loop.plan import Policy, Snapshot, choice_due, training_due
from alearn.loop.recipe import is_stale
from alearn.loop.report import Report, Silent
from alearn.loop.spending import spent
from alearn.platform import Platform, Setting
from alearn.store import Look, Store

FINAL = frozenset({"target", "budget", "plateau", "stability"})
"""Decisions that more items do not change."""
MOST_AHEAD = 4
"""Batches that are asked ahead of the newest version at most, however fast people are."""


@dataclass(frozen=True)
class Clock:
    """Time as an argument."""

    @staticmethod
    def seconds() -> float:
        """Since the epoch."""
        return time.time()

    @staticmethod
    def now() -> str:
        """ISO 8601 in UTC, to the second."""
        return datetime.now(UTC).isoformat(timespec="seconds")

    @staticmethod
    def sleep(seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@dataclass
class Undertaking:
    """One loop, opened."""

    config: Config
    store: Store
    report: Report = field(default_factory=Silent)
    clock: Clock = field(default_factory=Clock)
    pace: Pace | None = None
    """Of people who answer while the loop goes on; None: those who answer wait for it."""

    @property
    def schema(self) -> LabelSchema:
        """The classes, in the order of every probability matrix's columns."""
        return self.config.schema_

    @property
    def setting(self) -> Setting:
        """What a connector is told of this loop."""
        config = self.config
        question = {"question": config.task.question} if config.task.question else {}
        return Setting(
            loop=config.name,
            schema=self.schema,
            data=config.task.data,
            home=config.home_,
            options=question | dict(config.platform.options),
            seed=config.seed,
            skips=config.consensus.skips,
            known=self.store.items.truths,
        )

    @cached_property
    def platform(self) -> Platform:
        """Where people annotate; opened at the first use."""
        return door.connect(self.config.platform.name, self.setting)

    @cached_property
    def features(self) -> Features:
        """The pretrained network and what it has said of the items; loaded at the first use."""
        return Features(self.config, self.store, self.report, self.clock.now)

    def verify(self) -> None:
        """Find out now, not after an hour of work, that a strategy, connector or option does not exist.

        Raises:
            StrategyError, ConfigError, PlatformError, ModelError: what the config names is not there.
        """
        resolve(self.config.query.strategy)
        resolve_cold_start(self.config.query.cold_start)
        assert self.platform
        self._load()

    def _load(self) -> None:
        """Load the network."""
        choice = self.store.rounds.choice() if self.config.model.name == "auto" else None
        try:
            assert self.features.trunk
        except ModelError as error:
            if choice is None:
                raise
            raise ModelError(
                f"The network that was chosen on {choice.labels} labels, {choice.network}, must still be here. It "
                f"cannot be loaded: {error} Put it back, or name another in `model.name`."
            ) from error

    def snapshot(self, *, busy: bool = False, asked: bool = False) -> Snapshot:
        """What there is now, as the policy looks at it; `busy`, a version is being made; `asked`, one is wanted."""
        config, seen = self.config, self.store.look()
        size = max(config.holdout.size, seen.holdout_wanted)
        selectable = seen.pool_left + min(seen.holdout_left, max(size - seen.holdout_held, 0))
        limit, paid = config.spend.labels, self._paid(seen)
        affordable = selectable if limit is None else max(limit - seen.labels - seen.open, 0)
        affordable = affordable if paid is None else min(affordable, paid)
        over = not (seen.open or seen.changed or min(selectable, affordable))
        decided = seen.kind is not None and seen.terms == config.terms and not (seen.kind == "go" and over)
        changed = seen.changed if seen.labels > seen.holdout_labels else 0
        hurry, low, high = self._marks(None if paid is None else seen.open + paid)
        return Snapshot(
            prepared=seen.prepared,
            open=seen.open,
            unpushed=seen.unpushed,
            changed=changed,
            due=self._due(seen, changed, asked=asked),
            busy=busy,
            round=seen.round,
            evaluated=seen.measured == config.measured_for,
            unchosen=self._unchosen(seen),
            stale=self._stale(seen),
            decided=decided,
            stopped=decided and (seen.kind in FINAL or (seen.kind == "empty" and selectable == 0)),
            selectable=selectable,
            affordable=affordable,
            queue_stale=seen.queue_stale,
            queue_unapplied=seen.queue_unapplied,
            batch=config.query.batch,
            low=low,
            high=high,
            hurried=seen.open <= hurry,
        )

    def _paid(self, seen: Look) -> int | None:
        """How many items the money pays for besides those that are open; None: as many as there are."""
        budget = self.config.spend
        if budget.money is None:
            return None
        paid = payable(budget, spent(self.config, self.store, seen.labels, now=self.clock.seconds()))
        return None if paid is None else max(paid - seen.open, 0)

    def _marks(self, most: int | None) -> tuple[int, int, int]:
        """Of the open items: at how many there is hurry, -1 while nobody answers; the queue's low and high mark. What
        the config does not fix fits how fast people are. Money pays for `most`, which is in the marks because they are
        what is recorded: a replay does not know what was paid.
        """
        config, queue = self.config, self.config.queue
        answers = 0 if self.pace is None else self.pace.ahead(self.clock.seconds())
        ahead = min(answers, MOST_AHEAD * config.query.batch)
        low = config.low if queue.low is not None else max(config.low, ahead)
        high = config.high if queue.high is not None else low + max(config.query.batch, ahead)
        high = high if most is None else max(min(high, most), 1)
        low = min(low, high - 1)
        return low // 2 if answers and low else -1, low, high

    def _due(self, seen: Look, changed: int, *, asked: bool) -> bool:
        """Whether the policy of retraining asks for a version."""
        spec = self.config.retrain
        policy = Policy(
            labels=spec.labels or self.config.query.batch,
            share=spec.share,
            seconds=None if spec.minutes is None else 60 * spec.minutes,
        )
        at = None if seen.trained_at is None else datetime.fromisoformat(seen.trained_at).timestamp()
        age = None if at is None else self.clock.seconds() - at
        return training_due(policy, changed=changed, labels=seen.trained_on, seconds=age, asked=asked)

    def _stale(self, seen: Look) -> bool:
        """Whether the newest version is another than the present recipe would make, or its weights are lost."""
        if seen.recipe is None or seen.weights is None:
            return False
        trunk = self.features.trunk.fingerprint if "features" in self.__dict__ else None
        other = is_stale(self.config, current_cut(self.config, self.store), seen.recipe, trunk)
        return (other and not seen.placed) or seen.weights not in self.store.blobs

    def _unchosen(self, seen: Look) -> bool:
        """Whether a pretrained network is to be chosen now."""
        if self.config.model.name != "auto":
            return False
        last = self.store.rounds.choice()
        return choice_due(seen.labels - seen.holdout_labels, last.labels if last else None)

    def close(self) -> None:
        """Close what was opened."""
        if "platform" in self.__dict__:
            self.platform.close()
        self.store.close()


@contextmanager
def opened(config: Config, report: Report | None = None, *, create: bool = True) -> Iterator[Undertaking]:
    """Open a loop for the length of a block.

    Raises:
        ConfigError: it was begun with other classes.
        StoreError: the store cannot be opened, or `create` is False and there is no such loop.
    """
    clock = Clock()
    store = Store.open(
        config.name, config.schema_, url=config.store.url, home=config.home_, at=clock.now(), create=create
    )
    undertaking = Undertaking(config, store, report or Silent(), clock)
    try:
        yield undertaking
    finally:
        undertaking.close()
