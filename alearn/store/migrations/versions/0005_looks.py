"""What a look at the hold-out spends of the error that all looks may make."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two columns."""
    op.add_column("round", sa.Column("look", sa.Text(), nullable=True))
    op.add_column("round", sa.Column("holdout_wanted", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Remove them."""
    op.drop_column("round", "holdout_wanted")
    op.drop_column("round", "look")
