"""The whole of the file, and what follows from it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr, model_validator

from alearn.config.secrets import masked
from alearn.config.sections import (
    BudgetSpec,
    ConsensusSpec,
    CostsSpec,
    GuardSpec,
    HoldoutSpec,
    ItemSpec,
    ModelSpec,
    PlatformSpec,
    QuerySpec,
    QueueSpec,
    RetrainSpec,
    RobotSpec,
    Section,
    StopSpec,
    StoreSpec,
    TargetSpec,
    TaskSpec,
)
from alearn.config.variables import Place
from alearn.core.annotators import Profile
from alearn.core.keys import fingerprint
from alearn.core.schema import LabelSchema
from alearn.core.stopping import FEWEST, Budget, Target


class Config(Section):
    """One loop."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$", description="Lower-case letters, digits, `.`, `_`, `-`")
    items: ItemSpec
    task: TaskSpec
    model: ModelSpec = ModelSpec()
    query: QuerySpec = QuerySpec()
    queue: QueueSpec = QueueSpec()
    retrain: RetrainSpec = RetrainSpec()
    holdout: HoldoutSpec = HoldoutSpec()
    guard: GuardSpec = GuardSpec()
    target: TargetSpec | None = None
    budget: BudgetSpec = BudgetSpec()
    costs: CostsSpec = CostsSpec()
    stop: StopSpec = StopSpec()
    consensus: ConsensusSpec = ConsensusSpec()
    platform: PlatformSpec = PlatformSpec()
    robots: RobotSpec = RobotSpec()
    store: StoreSpec = StoreSpec()
    home: str | None = Field(None, description="Folder for everything the loop keeps; none: runs/NAME beside this file")
    seed: int = Field(0, ge=0, lt=2**31)
    _folder: Path = PrivateAttr(Path())
    _texts: Mapping[Place, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def of(cls, values: Mapping[str, Any], *, folder: Path, texts: Mapping[Place, str]) -> Config:
        """The config that a file in `folder` holds; `texts` are those in which a variable was filled in, as written.

        Raises:
            ValidationError: pydantic's, of all faults.
        """
        config = cls.model_validate(values)
        config._folder, config._texts = folder, texts
        return config

    @model_validator(mode="after")
    def _fits(self) -> Config:
        if faults := list(self._misfits()):
            raise ValueError("\n".join(faults))
        return self

    def _misfits(self) -> Iterator[str]:
        """What is sound alone and not together."""
        if self.high <= self.low:
            yield f"`queue.high` must be above `queue.low`, which is {self.low}, not {self.high}"
        if self.budget.money is not None and not (self.costs.annotation or self.costs.hour):
            yield (
                "`budget.money` is reckoned from what work costs: set `costs.annotation` or `costs.hour` above 0, or "
                "both, or remove `budget.money`"
            )
        if self.target is None:
            return
        classes, labels = self.task.classes, self.budget.labels
        if self.target.positive is not None and self.target.positive not in classes:
            yield f"`target.positive` must be one of {', '.join(classes)}, not {masked(self.target.positive)!r}"
        if self.holdout.size < FEWEST:
            yield (
                f"`target` is judged on {FEWEST} hold-out labels or more: set `holdout.size` to at least {FEWEST}, "
                f"not {self.holdout.size}, or remove `target`"
            )
        for name in ("share", "rate"):
            if getattr(self.holdout, name) == 0:
                yield f"`target` needs hold-out labels: set `holdout.{name}` above 0, or remove `target`"
        if labels is not None and labels <= FEWEST:
            yield (
                f"`target` is judged on {FEWEST} hold-out labels or more, and some must be left to learn from: set "
                f"`budget.labels` above {FEWEST}, not {labels}, or remove `target`"
            )

    @property
    def folder(self) -> Path:
        """The folder that the file is in."""
        return self._folder

    @property
    def texts(self) -> Mapping[Place, str]:
        """Where the file has variables: the text there as it is written, with nothing filled in."""
        return self._texts

    @property
    def schema_(self) -> LabelSchema:
        """The label schema that the `task` section says."""
        return LabelSchema(self.task.classes, self.task.type)

    @property
    def low(self) -> int:
        """The queue's low mark, default filled in."""
        return self.query.batch // 4 if self.queue.low is None else self.queue.low

    @property
    def high(self) -> int:
        """The queue's high mark, default filled in."""
        return self.low + self.query.batch if self.queue.high is None else self.queue.high

    @property
    def stop_at(self) -> Target | None:
        """The target as the stopping rule takes it."""
        if self.target is None:
            return None
        spec, classes = self.target, self.task.classes
        positive = None if spec.positive is None else classes.index(spec.positive)
        return Target(metric=spec.metric, value=spec.value, positive=positive, confidence=spec.confidence)

    @property
    def spend(self) -> Budget:
        """The budget as the stopping rule takes it."""
        limits = self.budget
        return Budget(limits.labels, limits.hours, limits.money, limits.days, self.costs.currency)

    @property
    def holdout_most(self) -> int:
        """To how many labels the hold-out may grow."""
        size, most = self.holdout.size, self.holdout.most
        return max(size, 4 * size if most is None else most)

    @property
    def profile(self) -> Profile:
        """The robots' behaviour."""
        robots = self.robots
        return Profile(accuracy=robots.accuracy, skip_rate=robots.skip_rate, seconds=robots.seconds, seed=self.seed)

    @property
    def source(self) -> ItemSpec:
        """The `items` section with its path absolute; it is meant from the file's folder, and `~` is the user's."""
        path = self.items.path
        if path is None or "://" in path:
            return self.items
        return self.items.model_copy(update={"path": os.path.abspath(self.folder / os.path.expanduser(path))})

    @property
    def home_(self) -> Path:
        """The loop's folder; relative paths are meant from the file's folder."""
        return (self.folder / os.path.expanduser(self.home or f"runs/{self.name}")).resolve()

    @property
    def recipe(self) -> Mapping[str, Any]:
        """What, besides the labels and the network, decides the weights of a version."""
        model = self.model.model_dump(include={"precision", "ladder", "head", "strength"})
        return {"model": model, "classes": list(self.task.classes), "seed": self.seed}

    @property
    def measured_for(self) -> str:
        """A fingerprint of what metrics depend on besides the model and the hold-out."""
        target = self.stop_at
        return fingerprint([target.positive, target.confidence] if target else [])[:16]

    @property
    def terms(self) -> str:
        """A fingerprint of what the stopping decision depends on, so that a changed target is decided anew."""
        target = self.target.model_dump() if self.target else None
        costs = self.costs.model_dump() if self.budget.money is not None else None
        limits = self.budget.model_dump(exclude=None if costs else {"money"})
        depends = [target, limits, self.stop.model_dump(), self.holdout_most]
        return fingerprint([*depends, costs] if costs else depends)[:16]
