"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create all tables."""
    op.create_table(
        "loop",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("label_schema", sa.Text(), nullable=False),
        sa.Column("schema_fingerprint", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("holdout_items", sa.Integer(), nullable=False),
        sa.Column("label_seq", sa.Integer(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("project", sa.Text(), nullable=True),
        sa.Column("queue_wanted", sa.Text(), nullable=True),
        sa.Column("queue_applied", sa.Text(), nullable=True),
        sa.Column("queue_round", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("split", sa.Text(), nullable=True),
        sa.Column("platform", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "annotation",
        sa.Column("loop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("annotator", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("skipped", sa.Boolean(), nullable=False),
        sa.Column("refused", sa.Text(), nullable=True),
        sa.Column("lead_time", sa.Float(), nullable=True),
        sa.Column("updated_at", sa.Text(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["loop_id"],
            ["loop.id"],
        ),
        sa.PrimaryKeyConstraint("loop_id", "id"),
    )
    op.create_index("annotation_key", "annotation", ["loop_id", "key"], unique=False)
    op.create_table(
        "item",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("loop_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("grp", sa.Text(), nullable=False),
        sa.Column("truth", sa.Text(), nullable=True),
        sa.Column("holdout", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["loop_id"],
            ["loop.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("loop_id", "key", name="item_key"),
    )
    op.create_table(
        "label",
        sa.Column("loop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("agreement", sa.Float(), nullable=False),
        sa.Column("annotators", sa.Integer(), nullable=False),
        sa.Column("holdout", sa.Boolean(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["loop_id"],
            ["loop.id"],
        ),
        sa.PrimaryKeyConstraint("loop_id", "key"),
    )
    op.create_index("label_seq", "label", ["loop_id", "seq"], unique=False)
    op.create_table(
        "lease",
        sa.Column("loop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["loop_id"],
            ["loop.id"],
        ),
        sa.PrimaryKeyConstraint("loop_id"),
    )
    op.create_table(
        "metric",
        sa.Column("loop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("round", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("low", sa.Float(), nullable=True),
        sa.Column("high", sa.Float(), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["loop_id"],
            ["loop.id"],
        ),
        sa.PrimaryKeyConstraint("loop_id", "round", "name"),
    )
    op.create_table(
        "notice",
        sa.Column("loop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["loop_id"],
            ["loop.id"],
        ),
        sa.PrimaryKeyConstraint("loop_id", "text"),
    )
    op.create_table(
        "pick",
        sa.Column("loop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("pushed", sa.Boolean(), nullable=False),
        sa.Column("closed", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["loop_id"],
            ["loop.id"],
        ),
        sa.PrimaryKeyConstraint("loop_id", "key"),
    )
    op.create_index("pick_open", "pick", ["loop_id", "closed", "pushed"], unique=False)
    op.create_table(
        "quarantine",
        sa.Column("loop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("holdout", sa.Boolean(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["loop_id"],
            ["loop.id"],
        ),
        sa.PrimaryKeyConstraint("loop_id", "place"),
    )
    op.create_table(
        "round",
        sa.Column("loop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("label_seq", sa.Integer(), nullable=False),
        sa.Column("labels", sa.Integer(), nullable=False),
        sa.Column("holdout_labels", sa.Integer(), nullable=False),
        sa.Column("libraries", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("measured", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("terms", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["loop_id"],
            ["loop.id"],
        ),
        sa.PrimaryKeyConstraint("loop_id", "number"),
    )
    op.create_table(
        "version",
        sa.Column("loop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("weights", sa.Text(), nullable=False),
        sa.Column("trunk", sa.Text(), nullable=False),
        sa.Column("recipe", sa.Text(), nullable=False),
        sa.Column("training_set", sa.Text(), nullable=False),
        sa.Column("labels", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["loop_id"],
            ["loop.id"],
        ),
        sa.PrimaryKeyConstraint("loop_id", "key"),
    )


def downgrade() -> None:
    """Remove all tables."""
    for name in (
        "version",
        "round",
        "quarantine",
        "pick",
        "notice",
        "metric",
        "lease",
        "label",
        "item",
        "annotation",
        "loop",
    ):
        op.drop_table(name)
