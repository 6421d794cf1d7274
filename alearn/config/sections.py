"""The sections of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator, model_validator

from alearn.config.secrets import masked
from alearn.core.schema import DataKind, LabelSchema, TaskType
from alearn.core.strategies import STRATEGIES
from alearn.errors import ConfigError

Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of the file: frozen, unknown keys are errors, and passwords are not in its repr."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, masked(value)


class ItemSpec(Section):
    """Where the items come from. Exactly one of `path` and `package`."""

    path: str | None = Field(None, description="A folder, a .csv, .jsonl or .parquet file, or an fsspec URL (s3://…)")
    package: Literal["elpv", "digits"] | None = Field(None, description="A data set that an installed package ships")
    text_column: str = Field("text", description="Column that holds the text of a text item")
    image_column: str = Field("image", description="Column that holds an image's path or URL")
    group_column: str | None = Field(
        None, description="Items with the same value are never split by the hold-out, nor by cross-validation"
    )
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
        try:
            LabelSchema(classes)
        except ConfigError as error:
            raise ValueError(str(error)) from None  # so that it is named beside the file's other faults
        return classes


Rung = Literal["linear", "blocks", "whole"]
"""How much of a network is trained: a linear head, its last blocks, or all of it."""


class ModelSpec(Section):
    """Which pretrained network, how much of it is used, and how much of it is trained."""

    name: str = Field(
        "auto",
        description="auto (chosen on the loop's own labels), a name that `alearn models` lists, torchvision:NAME, "
        "timm:NAME, sentence-transformers:NAME, or NAME@FILE with weights of your own",
    )
    candidates: tuple[str, ...] = Field(
        (), description="What `auto` and `alearn select` choose among; none: the networks whose weights are here"
    )
    size: int | None = Field(None, ge=8, le=1024, description="Side of the square an image is resized to, pixels")
    tap: str | None = Field(None, description="The stage that the network is cut behind; none: the last")
    engine: Literal["auto", "cuda", "openvino", "onnxruntime", "torch"] = Field(
        "auto",
        description="What runs the frozen part; auto: the fastest here, measured once. Training and pruning use an "
        "NVIDIA GPU where there is one with auto and cuda, and keep to the CPU with the others",
    )
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="Of the frozen part; float32 gives the same on every machine"
    )
    ladder: Rung = Field(
        "blocks",
        description="The highest rung that training may climb, where cross-validation says it pays: linear, blocks "
        "(the last ones, from cached activations) or whole",
    )
    head: Literal["logistic"] = "logistic"
    strength: float | None = Field(None, gt=0, description="Inverse L2 regularisation of the head; none: the default")

    @model_validator(mode="after")
    def _fits(self) -> ModelSpec:
        if self.name == "auto" and self.tap is not None:
            raise ValueError("`tap` belongs to a network: set `name`, or remove `tap`, which auto chooses")
        if self.name != "auto" and self.candidates:
            raise ValueError("`candidates` are what auto chooses among: set `name: auto`, or remove `candidates`")
        return self


_COLD = [name for name, row in STRATEGIES.items() if row.needs <= {"embeddings"}]


class QuerySpec(Section):
    """Which items are asked about, and how many in a round."""

    strategy: str = Field(
        "auto",
        description=f"{', '.join(STRATEGIES)}, modal:NAME, power:NAME, or package.module:function",
    )
    cold_start: str = Field(
        "max_herding",
        description=f"The strategy while there is no model to ask: {', '.join(_COLD)}, or another that needs none",
    )
    batch: int = Field(32, ge=1, le=10_000, description="New labels per round")
    copies: Literal["once", "each"] = Field(
        "once",
        description="Near copies (a picture saved again, resized or a little brighter; a text but for case, "
        "punctuation or a word of many) are asked about once, not at all beside a hold-out item; each: like all others",
    )


class QueueSpec(Section):
    """How many open tasks annotators find. A queue is filled to `high` when it has fallen to `low`."""

    low: int | None = Field(
        None, ge=0, le=100_000, description="none: a quarter of the batch, and what people answer in 20 s"
    )
    high: int | None = Field(None, ge=1, le=200_000, description="none: `low`, and a batch or as many again")


class RetrainSpec(Section):
    """When a new version is trained: whichever comes first. It is never trained without new labels."""

    labels: int | None = Field(None, ge=1, description="After so many changed labels; none: the batch")
    share: float | None = Field(None, gt=0, description="After so many, as a share of those that it was trained on")
    minutes: float | None = Field(None, gt=0, description="After so long")


class GuardSpec(Section):
    """A share of each batch that is drawn at random, and what the chosen items have to beat."""

    share: float = Field(0.1, ge=0, le=0.5, description="Of each batch, hold-out items counted in; 0: no guard")
    feeds: Literal["training", "holdout"] = Field("training", description="Where those go when the hold-out is full")


class HoldoutSpec(Section):
    """The items that measure the model and are never trained on."""

    size: int = Field(200, ge=0, le=100_000, description="Labels to ask for; a target needs 30; 0: no hold-out")
    share: Share = Field(0.2, description="At most this share of the groups, drawn by their hash")
    rate: Share = Field(0.5, description="Share of each batch that goes to the hold-out until it is full")
    sampling: Literal["even", "weighted"] = Field(
        "even",
        description="weighted: items that decide the metric most are likelier to be drawn, and count for less, which "
        "takes fewer labels where few items decide (a rare class); even: all alike",
    )
    most: int | None = Field(
        None, ge=0, le=100_000, description="It grows to this while only its size keeps the target open; none: 4 × size"
    )


class TargetSpec(Section):
    """When the loop has done its job."""

    metric: Literal["accuracy", "f1", "macro_f1", "average_precision", "auroc"] = "accuracy"
    value: float = Field(gt=0, lt=1, description="Reached when the lower confidence bound on the hold-out passes it")
    positive: str | None = Field(None, description="The class that f1, average_precision and auroc are about")
    confidence: float = Field(0.95, ge=0.5, lt=1, description="One-sided confidence of the lower bound")


class BudgetSpec(Section):
    """What may be spent at most."""

    labels: int | None = Field(None, ge=1, description="Labels in all, the hold-out's included; none: no limit")
    hours: float | None = Field(None, gt=0, description="Annotators' hours, as the platform times them; none: no limit")
    money: float | None = Field(
        None, gt=0, description="Money, in the currency of `costs`, which says what work costs; none: no limit"
    )
    days: float | None = Field(None, gt=0, description="Days since the loop began; none: no limit")


class CostsSpec(Section):
    """What annotators' work costs. Both prices may be set, and are added."""

    annotation: float | None = Field(
        None, ge=0, description="Of each submitted annotation, second opinions and test questions included, skips not"
    )
    hour: float | None = Field(None, ge=0, description="Of an annotator's hour, as the platform times it")
    currency: str = Field("EUR", min_length=1, max_length=20, description="The word for it")


class PlateauSpec(Section):
    """Stop when more labels would gain next to nothing."""

    labels: int = Field(100, ge=1, description="So many more labels …")
    gain: float = Field(0.005, gt=0, lt=1, description="… would gain less than this, most likely")


class StabilitySpec(Section):
    """Stop when successive models say the same of the pool."""

    kappa: float = Field(0.99, gt=0, le=1, description="Their mean agreement, as Cohen's kappa, …")
    rounds: int = Field(3, ge=1, le=100, description="… over so many rounds")


class ChangesSpec(Section):
    """Stop when a new model puts next to no item of the pool into another class than the one before."""

    most: float = Field(0.01, ge=0, lt=1, description="The mean share of changed answers is at most this, …")
    rounds: int = Field(3, ge=1, le=100, description="… over so many rounds")


class UncertaintySpec(Section):
    """Stop when the model is sure of the items of the pool."""

    most: float = Field(0.1, gt=0, lt=1, description="The mean entropy is at most this, 1 being a guess, …")
    rounds: int = Field(3, ge=1, le=100, description="… over so many rounds")


class StopSpec(Section):
    """Rules besides the target and the budget; none is on unless it is written down."""

    plateau: PlateauSpec | None = Field(None, description="`{}` for the defaults")
    stability: StabilitySpec | None = Field(None, description="`{}` for the defaults")
    changes: ChangesSpec | None = Field(None, description="`{}` for the defaults")
    uncertainty: UncertaintySpec | None = Field(None, description="`{}` for the defaults")
    combine: Literal["any", "all"] = Field("any", description="Whether one of them is enough, or all are needed")


class ConsensusSpec(Section):
    """How annotations become labels."""

    method: Literal["majority", "weighted", "dawid_skene"] = Field(
        "weighted", description="One vote each; votes weighted by trust; or trust and labels found together"
    )
    skips: int = Field(1, ge=1, le=100, description="An item skipped by this many annotators is put aside")
    overlap: Share = Field(0.0, description="Share of the items that a second person answers, too")
    agreement: Share = Field(0.6, description="Answers that agree less than this are not enough")
    doubts: bool = Field(False, description="Ask about a label again that the model strongly doubts")
    opinions: int = Field(3, ge=1, le=20, description="At most so many people answer one item, test questions apart")
    tests: float = Field(
        0.0, ge=0, le=0.5,
        description="Share of an annotator's items that are test questions: items with a known answer "
        "(`items.truth_column`), and those whose annotation was marked as the truth",
    )  # fmt: skip
    trust: float = Field(
        0.75, gt=0, lt=0.9, description="Annotators whose accuracy is below this are flagged, and their answers checked"
    )


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

    @field_serializer("url")
    def _shown(self, url: str | None) -> Any:
        return masked(url)
