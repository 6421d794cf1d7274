"""Versions that take minutes are made in a process of their own, while the controller keeps the queue filled.

The process makes what a step would make, and all that the steps after it need: the predictions of the new version, or
the new network's embeddings. The controller writes it down, as if it had made it itself, when the process has ended.

Invariant: one process at a time for each loop. It holds no lease: it writes files by their content, and no row that
decides anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from alearn.config import Config
from alearn.executors import Tell, Work
from alearn.loop import choosing, learning
from alearn.loop.features import Cut
from alearn.loop.plan import Step
from alearn.loop.scoring import scorer
from alearn.loop.steps import enter
from alearn.loop.undertaking import Undertaking, opened
from alearn.store.tables import VersionRow


@dataclass
class Background:
    """What a controller lets others make; `ended` is called, from another thread, when they have."""

    loop: Undertaking
    ended: Callable[[], None]
    _step: Step | None = None
    _work: Work[Any] | None = field(default=None, repr=False)

    @property
    def busy(self) -> bool:
        """Whether something is being made, or is made and not written down yet."""
        return self._work is not None

    def take(self, step: Step) -> bool:
        """Begin a step if it is a long one; returns whether it was."""
        if self._work is not None or not _is_long(self.loop, step):
            return False
        self._step = step
        self._work = Work(MAKE[step], self.loop.config, told=self._tell, ended=self.ended)
        return True

    def settle(self) -> None:
        """Write down what is made; nothing happens while it is being made.

        Raises:
            AlearnError: what making it raised.
        """
        if self._work is None or not self._work.done or self._step is None:
            return
        work, self._work = self._work, None
        SETTLE[self._step](self.loop, work.result())

    def stop(self) -> None:
        """Give up what is being made; what it has kept on disk is used the next time."""
        if self._work is not None:
            self._work.stop()
            self._work = None

    def _tell(self, said: tuple[str, tuple[Any, ...]]) -> None:
        kind, values = said
        (self.loop.report.say if kind == "say" else self.loop.report.progress)(*values)


@dataclass(frozen=True)
class _Relay:
    """A report that is read in another process."""

    tell: Tell

    def say(self, text: str) -> None:
        """Pass it on."""
        self.tell(("say", (text,)))

    def progress(self, what: str, done: int, total: int | None) -> None:
        """Pass it on."""
        self.tell(("progress", (what, done, total)))


def _is_long(loop: Undertaking, step: Step) -> bool:
    return step is Step.CHOOSE or (step is Step.TRAIN and learning.is_long(loop))


def make_version(tell: Tell, config: Config) -> learning.Fitted:
    """A version, and what it says of all items."""
    with opened(config, _Relay(tell), create=False) as loop:
        fitted = learning.fit(loop)
        version = VersionRow(loop_id=0, **fitted.row)
        keys = [one.key for one in loop.store.items.candidates()]
        scorer(loop, version).ensure(keys)
    return fitted


def make_choice(tell: Tell, config: Config) -> dict[str, Any]:
    """A choice of a network, and what that sees in all items."""
    with opened(config, _Relay(tell), create=False) as loop:
        row = choosing.found(loop)
        keys = [one.key for one in loop.store.items.candidates()]
        loop.features.ensure(keys, Cut(row["network"], row["size"], row["tap"]))
    return row


MAKE: Mapping[Step, Callable[..., Any]] = {Step.TRAIN: make_version, Step.CHOOSE: make_choice}
SETTLE: Mapping[Step, Callable[[Undertaking, Any], None]] = {Step.TRAIN: enter, Step.CHOOSE: choosing.settle}
