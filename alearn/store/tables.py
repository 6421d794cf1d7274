"""The rows of alearn, each with a natural key, so that every write can be repeated.

Invariant: no relationships and no lazy loading; a row that was handed out is a value. Times are ISO 8601 in UTC, except
the lease's, which are compared and therefore seconds since the epoch.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, Text, UniqueConstraint
from sqlmodel import Field, SQLModel


def _loop_key() -> int:
    """The first half of most natural keys."""
    return Field(sa_column=Column(Integer, ForeignKey("loop.id"), primary_key=True, autoincrement=False))  # type: ignore[no-any-return]


class LoopRow(SQLModel, table=True):
    """One active-learning undertaking.

    `items` and `holdout_items` count the item rows, so that looking does not. `label_seq` grows by one with every label
    that changes. `cursor` is the platform's, `queue_wanted` and `queue_applied` are queue versions: intent, and
    effect; `queue_round` is the round whose version made the order, -1 when it must be made anew. `source` is the
    fingerprint of the item source that was read to its end, `split` says how items were divided into pool and hold-out.
    `platform` names what `project` and `cursor` are about.
    """

    __tablename__ = "loop"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    label_schema: str = Field(sa_type=Text)
    schema_fingerprint: str = Field(sa_type=Text)
    created_at: str = Field(sa_type=Text)
    items: int = 0
    holdout_items: int = 0
    label_seq: int = 0
    cursor: str | None = Field(default=None, sa_type=Text)
    project: str | None = Field(default=None, sa_type=Text)
    queue_wanted: str | None = Field(default=None, sa_type=Text)
    queue_applied: str | None = Field(default=None, sa_type=Text)
    queue_round: int = 0
    source: str | None = Field(default=None, sa_type=Text)
    split: str | None = Field(default=None, sa_type=Text)
    platform: str | None = Field(default=None, sa_type=Text)


class ItemRow(SQLModel, table=True):
    """One thing to be labeled. `key` is the hash of its content; `truth` is only for robots and simulations."""

    __tablename__ = "item"
    __table_args__ = (UniqueConstraint("loop_id", "key", name="item_key"),)

    id: int | None = Field(default=None, primary_key=True)
    loop_id: int = Field(foreign_key="loop.id")
    key: str = Field(sa_type=Text)
    uri: str | None = Field(default=None, sa_type=Text)
    text: str | None = Field(default=None, sa_type=Text)
    group: str = Field(sa_column=Column("grp", Text, nullable=False))
    truth: str | None = Field(default=None, sa_type=Text)
    holdout: bool = False


class QuarantineRow(SQLModel, table=True):
    """Something that could not be used, and why. `key` and `holdout` are set when there is an item row for it."""

    __tablename__ = "quarantine"

    loop_id: int = _loop_key()
    place: str = Field(sa_column=Column(Text, primary_key=True))
    key: str | None = Field(default=None, sa_type=Text)
    holdout: bool | None = None
    reason: str = Field(sa_type=Text)
    at: str = Field(sa_type=Text)


class PickRow(SQLModel, table=True):
    """An item that was chosen to be asked about.

    `purpose` is "query", "random" (drawn to be trained on, whatever a strategy thinks), "holdout" or "test" (a test
    question, which every annotator is to answer). So many as `opinions` says are to answer. `score` is its
    place in the queue (0 = ask first), `label` and `confidence` the suggestion. `pushed`: the platform has it.
    `closed` says why it is no longer open: labeled, skipped, empty, refused, missing, unreadable. `strategy` is "found"
    for a task that was on the platform before anybody picked it.
    """

    __tablename__ = "pick"
    __table_args__ = (Index("pick_open", "loop_id", "closed", "pushed"),)

    loop_id: int = _loop_key()
    key: str = Field(sa_column=Column(Text, primary_key=True))
    round: int
    rank: int
    purpose: str = Field(sa_type=Text)
    strategy: str = Field(sa_type=Text)
    score: float
    label: str | None = Field(default=None, sa_type=Text)
    confidence: float | None = None
    pushed: bool = False
    closed: str | None = Field(default=None, sa_type=Text)
    opinions: int = 1


class AnnotationRow(SQLModel, table=True):
    """What one annotator said, as the platform held it when it was last seen; `deleted` when it is gone there.

    `trusted`: a person has marked it as the truth.
    """

    __tablename__ = "annotation"
    __table_args__ = (Index("annotation_key", "loop_id", "key"),)

    loop_id: int = _loop_key()
    id: str = Field(sa_column=Column(Text, primary_key=True))
    key: str = Field(sa_type=Text)
    annotator: str = Field(sa_type=Text)
    value: str | None = Field(default=None, sa_type=Text)
    skipped: bool = False
    refused: str | None = Field(default=None, sa_type=Text)
    lead_time: float | None = None
    updated_at: str = Field(sa_type=Text)
    deleted: bool = False
    trusted: bool = False


class AnnotatorRow(SQLModel, table=True):
    """How far an annotator is to be trusted, as last reckoned (see `alearn.core.trust.Standing`)."""

    __tablename__ = "annotator"

    loop_id: int = _loop_key()
    name: str = Field(sa_column=Column(Text, primary_key=True))
    mean: float
    low: float
    high: float
    asked: int
    compared: int
    weight: float
    flagged: bool
    at: str = Field(sa_type=Text)


class LabelRow(SQLModel, table=True):
    """What is believed of an item after consensus. `value` is None where a label has been taken back."""

    __tablename__ = "label"
    __table_args__ = (Index("label_seq", "loop_id", "seq"),)

    loop_id: int = _loop_key()
    key: str = Field(sa_column=Column(Text, primary_key=True))
    value: str | None = Field(default=None, sa_type=Text)
    agreement: float = 0.0
    annotators: int = 0
    holdout: bool = False
    seq: int = 0
    updated_at: str = Field(sa_type=Text)


class CertificateRow(SQLModel, table=True):
    """A promise under which labels were given automatically, by the version of a round; kept when they are replaced.

    `facts` is a JSON object: precision, confidence, thresholds, what was found on the hold-out, how many were labeled.
    """

    __tablename__ = "certificate"

    loop_id: int = _loop_key()
    key: str = Field(sa_column=Column(Text, primary_key=True))
    version: str = Field(sa_type=Text)
    round: int
    facts: str = Field(sa_type=Text)
    at: str = Field(sa_type=Text)


class AutomaticRow(SQLModel, table=True):
    """The label that a version gave to an item which no person has labeled, how sure it was, and its certificate."""

    __tablename__ = "automatic"

    loop_id: int = _loop_key()
    key: str = Field(sa_column=Column(Text, primary_key=True))
    label: str = Field(sa_type=Text)
    confidence: float
    version: str = Field(sa_type=Text)
    certificate: str = Field(sa_type=Text)
    at: str = Field(sa_type=Text)


class ChoiceRow(SQLModel, table=True):
    """A pretrained network that was chosen for the loop on the evidence of so many labels, and why.

    `tap`: behind which stage it is cut, None: the last. `size`: the side of its images.
    """

    __tablename__ = "choice"

    loop_id: int = _loop_key()
    labels: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    network: str = Field(sa_type=Text)
    size: int | None = None
    tap: str | None = Field(default=None, sa_type=Text)
    reason: str = Field(sa_type=Text)
    at: str = Field(sa_type=Text)


class SelectionRow(SQLModel, table=True):
    """With what a round's items were chosen and ordered, and why. `round` is the one that chose: 0 before any training.

    `facts` is a JSON object: the phase, the share drawn at random, what the guard found, and what the round's version
    answered of some items, to be compared with the next one's.
    """

    __tablename__ = "selection"

    loop_id: int = _loop_key()
    round: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    strategy: str = Field(sa_type=Text)
    reason: str = Field(sa_type=Text)
    facts: str = Field(sa_type=Text)
    at: str = Field(sa_type=Text)


class VersionRow(SQLModel, table=True):
    """A trained model: its key is the hash of (recipe, trunk, training set), its weights a blob.

    `rung` says how much of the network was trained: linear, blocks or whole. `parent` is the version that it was pruned
    from, or that was the newest before it. `facts` is a JSON object: what the ladder found, what pruning cost.
    """

    __tablename__ = "version"

    loop_id: int = _loop_key()
    key: str = Field(sa_column=Column(Text, primary_key=True))
    weights: str = Field(sa_type=Text)
    trunk: str = Field(sa_type=Text)
    recipe: str = Field(sa_type=Text)
    training_set: str = Field(sa_type=Text)
    labels: int
    created_at: str = Field(sa_type=Text)
    rung: str = Field(default="linear", sa_type=Text)
    parent: str | None = Field(default=None, sa_type=Text)
    facts: str = Field(default="{}", sa_type=Text)


class RoundRow(SQLModel, table=True):
    """A point of the learning curve. `kind`, `reason` and `terms` are the stopping decision, None until it is taken.

    `measured` fingerprints what the metrics were measured for (positive class, confidence of the bounds); None until
    they are. `label_seq` is the loop's when the training set was read. `libraries` is a JSON object of versions.
    `placed`: its version was made current by a person, and stays until new labels bring another. `look` is a JSON
    object: what the look at the hold-out spent of the error that all looks may make, None where no target could be
    judged. `holdout_wanted`: to how many hold-out labels it was decided to grow, None: no more than the config says.
    """

    __tablename__ = "round"

    loop_id: int = _loop_key()
    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    version: str = Field(sa_type=Text)
    label_seq: int
    labels: int
    holdout_labels: int = 0
    libraries: str = Field(sa_type=Text)
    seconds: float = 0.0
    at: str = Field(sa_type=Text)
    measured: str | None = Field(default=None, sa_type=Text)
    kind: str | None = Field(default=None, sa_type=Text)
    reason: str | None = Field(default=None, sa_type=Text)
    terms: str | None = Field(default=None, sa_type=Text)
    placed: bool = False
    look: str | None = Field(default=None, sa_type=Text)
    holdout_wanted: int | None = None


class MetricRow(SQLModel, table=True):
    """One number about a round's version on the hold-out, with its interval where it has one."""

    __tablename__ = "metric"

    loop_id: int = _loop_key()
    round: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    name: str = Field(sa_column=Column(Text, primary_key=True))
    value: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    n: int = 0


class RecordRow(SQLModel, table=True):
    """What a step saw when it did its work for a round (see `alearn.store.records`).

    `step` is train, evaluate or select. `changes` is a JSON object: what is other than in the row before. `facts` is
    another: what the step did.
    """

    __tablename__ = "record"

    loop_id: int = _loop_key()
    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    round: int
    step: str = Field(sa_type=Text)
    changes: str = Field(sa_type=Text)
    facts: str = Field(sa_type=Text)
    at: str = Field(sa_type=Text)


class NoticeRow(SQLModel, table=True):
    """A sentence for the people who run the loop, kept once however often it is said; `at` is the latest time."""

    __tablename__ = "notice"

    loop_id: int = _loop_key()
    text: str = Field(sa_column=Column(Text, primary_key=True))
    at: str = Field(sa_type=Text)


class LeaseRow(SQLModel, table=True):
    """Who may write for a loop now. `fence` grows with every new owner, so that a late writer is known as late."""

    __tablename__ = "lease"

    loop_id: int = _loop_key()
    owner: str = Field(sa_type=Text)
    expires_at: float
    fence: int
