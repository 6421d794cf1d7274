"""Automatic labels, and the certificates under which they were given."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two tables."""
    op.create_table(
        "certificate",
        sa.Column("loop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["loop_id"], ["loop.id"]),
        sa.PrimaryKeyConstraint("loop_id", "key"),
    )
    op.create_table(
        "automatic",
        sa.Column("loop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["loop_id"], ["loop.id"]),
        sa.PrimaryKeyConstraint("loop_id", "key"),
    )


def downgrade() -> None:
    """Remove them."""
    op.drop_table("automatic")
    op.drop_table("certificate")
