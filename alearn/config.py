"""The YAML file of a loop, as values that cannot be wrong.

Invariant: a `Config` that exists is valid; every range and every default is written in a field here, and only here, and
`alearn config schema` prints them for editors. Unknown keys are errors, so a typing mistake never becomes a default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from alearn.core.annotators import Profile
from alearn.core.keys import fingerprint
from alearn.core.schema import DataKind, LabelSchema, TaskType
from alearn.core.stopping import Budget, Target
from alearn.errors import ConfigError

Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of the file: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class ItemSpec(Section):
    """Where the items come from. Exactly one of `path` and `package`."""

    path: str | None = Field(None, description="A folder, a .csv, .jsonl or .parquet file, or an fsspec URL (s3://…)")
    package: Literal["elpv", "digits"] | None = Field(None, description="A data set that an installed package ships")
    text_column: str = Field("text", description="Column that holds the text of a text item")
    image_column: str = Field("image", description="Column that holds an image's path or URL")
    group_column: str | None = Field(None, description="Items with the same value are never split by the hold-out")
    truth_column: str | None = Field(None, description="Known answers, for robots and simulated annotators only")
    truth: Literal["folder"] | None = Field(None, description="`folder`: the known answer is the parent folder's name")
    recursive: bool = Field(True, description="Look into subfolders")
    max_mb: float = Field(64, gt=0, le=4096, description="Larger files are quarantined; megabytes")
    max_pixels: int = Field(100_000_000, ge=1, description="Larger images are quarantined; width times height")

    @model_validator(mode="after")
    def _one_source(self) -> ItemSpec:
        if (self.path is None) == (self.package is None):
            raise ValueError("needs exactly one of `path` and `package`")
        return self


class TaskSpec(Section):
    """What annotators are asked."""

    type: TaskType = "classification"
    data: DataKind = Field(description="What an item is made of: image or text")
    classes: tuple[str, ...] = Field(description="The answers, in the order annotators see them")
    question: str = Field("", max_length=500, description="One sentence shown above each item")

    @field_validator("classes")
    @classmethod
    def _sound(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        LabelSchema(classes)
        return classes


class ModelSpec(Section):
    """Which pretrained network, and what is trained on it."""

    name: str = Field(
        "auto", description="`auto`, a name of `alearn models`, or torchvision:…, timm:…, sentence-transformers:…"
    )
    size: int | None = Field(None, ge=8, le=1024, description="Side of the square an image is resized to, pixels")
    head: Literal["logistic"] = "logistic"
    strength: float | None = Field(None, gt=0, description="Inverse L2 regularisation of the head; none: the default")


class QuerySpec(Section):
    """Which items are asked about, and how many in a round."""

    strategy: str = Field(
        "uncertainty_herding", description="A strategy's name, modal:NAME, or package.module:function"
    )
    cold_start: str = Field("max_herding", description="The strategy while there is no model to ask")
    batch: int = Field(32, ge=1, le=10_000, description="New labels per round")


class QueueSpec(Section):
    """How many open tasks annotators find. A queue is filled to `high` when it has fallen to `low`."""

    low: int | None = Field(None, ge=0, le=100_000, description="none: a quarter of the batch")
    high: int | None = Field(None, ge=1, le=200_000, description="none: `low` + batch")


class HoldoutSpec(Section):
    """The items that measure the model and are never trained on."""

    size: int = Field(200, ge=0, le=100_000, description="Labels to ask for; 0: no hold-out, and no target")
    share: Share = Field(0.2, description="At most this share of the groups, drawn by their hash")
    rate: Share = Field(0.5, description="Share of each batch that goes to the hold-out until it is full")


class TargetSpec(Section):
    """When the loop has done its job."""

    metric: Literal["accuracy", "f1", "macro_f1", "average_precision", "auroc"] = "accuracy"
    value: float = Field(gt=0, le=1, description="Reached when the lower confidence bound on the hold-out passes it")
    positive: str | None = Field(None, description="The class that f1, average_precision and auroc are about")
    confidence: float = Field(0.95, ge=0.5, lt=1, description="One-sided confidence of the lower bound")


class BudgetSpec(Section):
    """What may be spent at most."""

    labels: int | None = Field(None, ge=1, description="Labels in all, the hold-out's included; none: no limit")


class ConsensusSpec(Section):
    """How annotations become labels."""

    skips: int = Field(1, ge=1, le=100, description="An item skipped by this many annotators is put aside")


class PlatformSpec(Section):
    """Where people annotate."""

    name: str = Field("label-studio", description="label-studio, files, simulated, or an installed connector's name")
    options: Mapping[str, Any] = Field(default_factory=dict, description="What that connector understands")
    poll: float = Field(2.0, gt=0, le=3600, description="Seconds between two looks while waiting for annotators")


class RobotSpec(Section):
    """How robot annotators behave where `alearn quickstart` or a benchmark lets them work."""

    count: int = Field(2, ge=1, le=64)
    accuracy: Share = 0.97
    skip_rate: Share = 0.0
    seconds: float = Field(5.0, gt=0, description="Median seconds that a person would need for an item")


class StoreSpec(Section):
    """Where the rows are kept."""

    url: str | None = Field(
        None, description="An SQLAlchemy URL; none: SQLite in the home folder. ${VARIABLES} are filled in"
    )


class Config(Section):
    """One loop."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$", description="Lower-case letters, digits, `.`, `_`, `-`")
    items: ItemSpec
    task: TaskSpec
    model: ModelSpec = ModelSpec()
    query: QuerySpec = QuerySpec()
    queue: QueueSpec = QueueSpec()
    holdout: HoldoutSpec = HoldoutSpec()
    target: TargetSpec | None = None
    budget: BudgetSpec = BudgetSpec()
    consensus: ConsensusSpec = ConsensusSpec()
    platform: PlatformSpec = PlatformSpec()
    robots: RobotSpec = RobotSpec()
    store: StoreSpec = StoreSpec()
    home: str | None = Field(None, description="Folder for everything the loop keeps; none: runs/NAME beside this file")
    seed: int = Field(0, ge=0, lt=2**31)
    folder: Path = Field(Path(), exclude=True, description="Set by alearn: the folder this file is in", repr=False)

    @model_validator(mode="after")
    def _fits(self) -> Config:
        if self.target and self.holdout.size == 0:
            raise ValueError("`target` needs a hold-out: set `holdout.size` above 0, or remove `target`")
        if self.target and self.target.positive is not None and self.target.positive not in self.task.classes:
            raise ValueError(
                f"`target.positive` must be one of {', '.join(self.task.classes)}, not {self.target.positive!r}"
            )
        if self.high <= self.low:
            raise ValueError(f"`queue.high` must be above `queue.low`, which is {self.low}, not {self.high}")
        return self

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
        return Budget(labels=self.budget.labels)

    @property
    def profile(self) -> Profile:
        """The robots' behaviour."""
        robots = self.robots
        return Profile(accuracy=robots.accuracy, skip_rate=robots.skip_rate, seconds=robots.seconds, seed=self.seed)

    @property
    def source(self) -> ItemSpec:
        """The `items` section with its path meant from the file's folder."""
        path = self.items.path
        local = path is not None and "://" not in path
        return self.items.model_copy(update={"path": str(self.folder / str(path))}) if local else self.items

    @property
    def home_(self) -> Path:
        """The loop's folder; relative paths are meant from the file's folder."""
        return (self.folder / (self.home or f"runs/{self.name}")).resolve()

    @property
    def recipe(self) -> Mapping[str, Any]:
        """What, besides the labels, decides the weights of a version."""
        return {"model": self.model.model_dump(), "classes": list(self.task.classes), "seed": self.seed}

    @property
    def terms(self) -> str:
        """A fingerprint of what the stopping decision depends on, so that a changed target is decided anew."""
        target = self.target.model_dump() if self.target else None
        return fingerprint([target, self.budget.model_dump()])[:16]


def load(path: Path | str) -> Config:
    """Read and check the file of a loop.

    `${NAME}` and `${NAME:-default}` in strings are filled in from the environment.

    Raises:
        ConfigError: the file is missing, is not YAML, or holds a wrong key, type or value; every fault is named.
    """
    path = Path(path)
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"The config must be an existing file. Got {path}. `alearn init` writes one.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}. Correct the path or the file.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path.name} is not YAML: {' '.join(str(error).split())}. Correct it there.") from error
    if not isinstance(raw, dict):
        raise ConfigError(
            f"{path.name} must hold keys and values at its top. Got {type(raw).__name__}. See `alearn init`."
        )
    return parse(raw, name=path.name, folder=path.resolve().parent)


def parse(raw: Mapping[str, Any], *, name: str, folder: Path) -> Config:
    """Check what a file called `name` in `folder` holds; raises ConfigError as `load` does."""
    try:
        return Config.model_validate({**_filled(raw, name), "folder": folder})
    except ValidationError as error:
        faults = [_sentence(dict(fault), name) for fault in error.errors()]
        raise ConfigError("\n".join(faults)) from None


_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def _filled(value: Any, name: str) -> Any:
    """The value with the environment's variables filled into its strings."""
    if isinstance(value, Mapping):
        return {key: _filled(inner, name) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, name) for inner in value]
    return _VARIABLE.sub(lambda match: _variable(match, name), value) if isinstance(value, str) else value


def _variable(match: re.Match[str], name: str) -> str:
    found = os.environ.get(match[1], match[2])
    if found is None:
        raise ConfigError(
            f"{name} needs the environment variable {match[1]}. It is not set. "
            f"Set it, or write ${{{match[1]}:-default}}."
        )
    return found


def _sentence(fault: Mapping[str, Any], name: str) -> str:
    """One of pydantic's faults in the words of this project."""
    at = ".".join(str(part) for part in fault["loc"]) or "the file"
    message = str(fault["msg"]).removeprefix("Value error, ").rstrip(".")
    given = fault["input"]
    if fault["type"] == "extra_forbidden":
        return f"`{at}` in {name} is not a key that alearn knows{_near(fault['loc'])}. Remove or correct it."
    if fault["type"] == "missing":
        return f"`{at}` in {name} is missing and has no default. Add it."
    if fault["type"] == "value_error":
        return f"{name}: {message}." if message.startswith("`") else f"`{at}` in {name} {message}."
    return f"`{at}` in {name}: {message[:1].lower()}{message[1:]}. Got {given!r}. {_default(fault['loc'])}"


def _section(parts: tuple[Any, ...]) -> type[BaseModel] | None:
    """The model in which the last of the parts is, or should be, a field."""
    model: type[BaseModel] = Config
    for part in parts[:-1]:
        field = model.model_fields.get(str(part))
        inner = (
            [kind for kind in (field.annotation, *getattr(field.annotation, "__args__", ())) if field] if field else []
        )
        sections = [kind for kind in inner if isinstance(kind, type) and issubclass(kind, Section)]
        if not sections:
            return None
        model = sections[0]
    return model


def _near(parts: tuple[Any, ...]) -> str:
    """The known keys beside an unknown one."""
    model = _section(parts)
    known = [key for key in model.model_fields if key != "folder"] if model else []
    return f"; known here are {', '.join(known)}" if known else ""


def _default(parts: tuple[Any, ...]) -> str:
    """What to do about a wrong value."""
    model = _section(parts)
    field = model.model_fields.get(str(parts[-1])) if model and parts else None
    if field is None or field.is_required():
        return "Correct it."
    if field.default is None:
        return "Correct it, or remove the line."
    return f"Correct it, or remove the line for the default, {field.default}."
