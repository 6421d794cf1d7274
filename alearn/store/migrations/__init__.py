"""Bringing a database to the schema that this alearn knows, by alembic.

Invariant: a database is changed only from here; opening one that is current costs one query.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from alearn.errors import StoreError

HEAD = "0007"

LOCK = 0x616C6561726E
"""The advisory lock under which PostgreSQL is migrated: "alearn" in ASCII."""


def upgrade(engine: sa.Engine) -> None:
    """Create or migrate the tables.

    Raises:
        StoreError: the database was written by a newer alearn.
    """
    found = _revision(engine)
    if found == HEAD:
        return
    if found is not None and found > HEAD:
        raise StoreError(
            f"The store {engine.url.set(query={}).render_as_string()} must have schema {HEAD} or older. "
            f"Got {found}, written by a newer alearn. Update alearn."
        )
    _run(engine)


def _revision(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        return found


def _run(engine: sa.Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    with engine.execution_options(alearn_write=True).begin() as connection:
        if engine.dialect.name == "postgresql":  # SQLite's write lock is held from the beginning of the transaction
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        if _revision_in(connection) == HEAD:
            return  # another process was faster while this one waited for the lock
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision_in(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return found
