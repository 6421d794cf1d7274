"""Chosen networks; how much of a network a version trained, and where it comes from; versions placed by a person."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table and four columns; what is there was trained on the linear rung."""
    op.create_table(
        "choice",
        sa.Column("loop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("labels", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=True),
        sa.Column("tap", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["loop_id"], ["loop.id"]),
        sa.PrimaryKeyConstraint("loop_id", "labels"),
    )
    op.add_column("version", sa.Column("rung", sa.Text(), nullable=False, server_default="linear"))
    op.add_column("version", sa.Column("parent", sa.Text(), nullable=True))
    op.add_column("version", sa.Column("facts", sa.Text(), nullable=False, server_default="{}"))
    op.add_column("round", sa.Column("placed", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Remove them."""
    op.drop_column("round", "placed")
    for name in ("facts", "parent", "rung"):
        op.drop_column("version", name)
    op.drop_table("choice")
