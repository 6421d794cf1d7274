"""Several opinions, marks of truth, and how far annotators are to be trusted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two columns and a table."""
    op.add_column("pick", sa.Column("opinions", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("annotation", sa.Column("trusted", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "annotator",
        sa.Column("loop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("mean", sa.Float(), nullable=False),
        sa.Column("low", sa.Float(), nullable=False),
        sa.Column("high", sa.Float(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("compared", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("flagged", sa.Boolean(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["loop_id"], ["loop.id"]),
        sa.PrimaryKeyConstraint("loop_id", "name"),
    )


def downgrade() -> None:
    """Remove them."""
    op.drop_table("annotator")
    op.drop_column("annotation", "trusted")
    op.drop_column("pick", "opinions")
