"""The database: opened, brought to the current schema, and written in one transaction per step.

Invariant: a write transaction on SQLite takes the write lock at its start, so it never fails half-way for want of it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError
from sqlmodel import Session, SQLModel

from alearn.errors import StoreError
from alearn.store.migrations import upgrade

ROWS_PER_STATEMENT = 5_000
PATIENCE_MS = 30_000
"""How long SQLite waits for another's lock, milliseconds."""


class Database:
    """One SQLite file, or any database that SQLAlchemy knows, with alearn's tables in it.

    Raises:
        StoreError: it cannot be reached, or holds a schema that this alearn does not know.
    """

    def __init__(self, url: str) -> None:
        try:
            self.url = sa.make_url(url)
            if self.url.get_backend_name() == "sqlite" and self.url.database not in {None, "", ":memory:"}:
                Path(str(self.url.database)).parent.mkdir(parents=True, exist_ok=True)
            self.engine = sa.create_engine(self.url)
            if self.engine.dialect.name not in {"sqlite", "postgresql"}:
                raise StoreError(f"`store.url` must be SQLite or PostgreSQL. Got {shown(url)}. Correct it.")
            if self.engine.dialect.name == "sqlite":
                sa.event.listen(self.engine, "connect", _sqlite_connect)
                sa.event.listen(self.engine, "begin", _sqlite_begin)
            upgrade(self.engine)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
            raise StoreError(
                f"`store.url` must be an SQLAlchemy URL with its driver installed. Got {shown(url)}: {error}."
            ) from error
        except (DatabaseError, OSError) as error:
            raise StoreError(
                f"The store {shown(url)} cannot be opened: {_cause(error)}. Correct `store.url` or start it."
            ) from error
        self._writer = self.engine.execution_options(alearn_write=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session to look with; rows stay usable after it."""
        with _named(self.url), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction: all of it is kept when the block ends, none of it when the block raises."""
        with _named(self.url), Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def upsert(session: Session, table: type[SQLModel], rows: Sequence[Mapping[str, Any]], *, keep: bool = False) -> None:
    """Insert the rows, or where their natural key is there, set their other columns (`keep`: leave those alone)."""
    if not rows:
        return
    target: sa.Table = table.__table__  # type: ignore[attr-defined]
    insert = (postgresql if session.get_bind().dialect.name == "postgresql" else sqlite).insert(target)
    keys = list(target.primary_key.columns)
    updates = {name: insert.excluded[name] for name in rows[0] if target.columns[name] not in keys}
    plain = keep or not updates
    statement = (
        insert.on_conflict_do_nothing() if plain else insert.on_conflict_do_update(index_elements=keys, set_=updates)
    )
    for start in range(0, len(rows), ROWS_PER_STATEMENT):
        session.execute(statement, list(rows[start : start + ROWS_PER_STATEMENT]))


def chunks(keys: Sequence[str], size: int = 500) -> Iterator[Sequence[str]]:
    """The keys in pieces small enough for an IN clause on every database."""
    for start in range(0, len(keys), size):
        yield keys[start : start + size]


def shown(url: str | sa.URL) -> str:
    """The URL without its password, and without its query, where there may be another."""
    try:
        return sa.make_url(url).set(query={}).render_as_string(hide_password=True)
    except ArgumentError:
        return "a text that is no URL"


@contextmanager
def _named(url: sa.URL) -> Iterator[None]:
    """Turn the driver's complaints into a sentence."""
    try:
        yield
    except DatabaseError as error:
        if type(error) not in {DatabaseError, OperationalError}:
            raise  # a broken constraint is our own mistake, not the database's state
        raise StoreError(
            f"The store {shown(url)} failed: {_cause(error)}. Nothing was half-written; run again."
        ) from error


def _cause(error: Exception) -> str:
    return " ".join(str(getattr(error, "orig", None) or error).split())


def _sqlite_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's begin event below opens transactions, not the driver
    connection.execute(f"PRAGMA busy_timeout={PATIENCE_MS}")
    _sqlite_wal(connection)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON", "cache_size=-65536"):
        connection.execute(f"PRAGMA {pragma}")


def _sqlite_wal(connection: Any) -> None:
    """Turn the write-ahead log on. While another connection does so for a new file SQLite refuses without waiting."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _sqlite_begin(connection: sa.Connection) -> None:
    immediate = connection.get_execution_options().get("alearn_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
