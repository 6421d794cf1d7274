"""What alembic runs; the connection comes from `upgrade`, and the transaction with it."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

import alearn.store.tables  # noqa: F401 - fills the metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=SQLModel.metadata, transactional_ddl=False
)
context.run_migrations()
