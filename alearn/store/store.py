"""The store of one loop: opened by name, kept by its verbs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from sqlmodel import select

from alearn.core.schema import LabelSchema
from alearn.errors import ConfigError, StoreError
from alearn.store import lease as leases
from alearn.store.annotations import Annotations
from alearn.store.automatic import Automatic
from alearn.store.blobs import Blobs
from alearn.store.database import Database, upsert
from alearn.store.items import Items
from alearn.store.lease import Lease
from alearn.store.look import Look, look
from alearn.store.records import Records
from alearn.store.rounds import Rounds
from alearn.store.scope import Scope
from alearn.store.tables import LoopRow, PickRow


class Store:
    """Everything that one loop remembers, by domain: `items`, `annotations`, `automatic` labels, `rounds`, `records` of
    what each step saw, and `blobs` of weights.
    """

    def __init__(self, database: Database, blobs: Blobs, loop_id: int) -> None:
        self._scope = Scope(database, loop_id)
        self.blobs = blobs
        self.items = Items(self._scope)
        self.annotations = Annotations(self._scope)
        self.automatic = Automatic(self._scope)
        self.rounds = Rounds(self._scope)
        self.records = Records(self._scope)

    @classmethod
    def open(
        cls, name: str, schema: LabelSchema, *, url: str | None, home: Path, at: str, create: bool = True
    ) -> Store:
        """Open the loop called `name`, or begin it.

        Raises:
            ConfigError: people have been asked with other classes.
            StoreError: the store cannot be opened, or `create` is False and the loop is not there.
        """
        url = url or f"sqlite:///{home / 'alearn.sqlite3'}"
        if not create and _no_file(url):
            raise _absent(name, home)
        database = Database(url)
        row = _find(database, name)
        if row is None and not create:
            raise _absent(name, home)
        row = row or _begin(database, name, schema, at)
        _same_schema(database, row, schema)
        assert row.id is not None
        return cls(database, Blobs(home / "blobs"), row.id)

    def look(self) -> Look:
        """The numbers that the policy needs."""
        return look(self._scope)

    def loop(self) -> LoopRow:
        """The loop's own row."""
        with self._scope.read() as session:
            return self._scope.loop(session)

    def lease(self, owner: str, *, now: float, seconds: float, alive: Callable[[str], bool]) -> Lease:
        """Become the loop's controller: from here on every write is fenced. Raises LeaseLost when somebody else is."""
        self._scope.lease = leases.acquire(
            self._scope.database, self._scope.loop_id, owner, now=now, seconds=seconds, alive=alive
        )
        return self._scope.lease

    def holder(self, *, now: float) -> str | None:
        """Who controls the loop now; None: nobody, or somebody whose lease has expired."""
        return leases.holder(self._scope.database, self._scope.loop_id, now=now)

    def renew(self, *, now: float, seconds: float) -> None:
        """Remain the controller; raises LeaseLost when overtaken."""
        if self._scope.lease is not None:
            leases.renew(self._scope.database, self._scope.lease, now=now, seconds=seconds)

    def release(self) -> None:
        """Stop being the controller."""
        if self._scope.lease is not None:
            leases.release(self._scope.database, self._scope.lease)
            self._scope.lease = None

    def close(self) -> None:
        """Close the database's connections."""
        self._scope.database.close()


def _no_file(url: str) -> bool:
    """Whether this is an SQLite file that is not there: opening it would make it."""
    return url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///").partition("?")[0]).exists()


def _absent(name: str, home: Path) -> StoreError:
    return StoreError(
        f"Loop {name!r} has not begun: there is nothing in {home}. Run `alearn add` or `alearn run` first."
    )


def _find(database: Database, name: str) -> LoopRow | None:
    with database.read() as session:
        return session.exec(select(LoopRow).where(LoopRow.name == name)).first()


def _begin(database: Database, name: str, schema: LabelSchema, at: str) -> LoopRow:
    """The loop's row; the first of several that begin it at once writes it."""
    fresh = LoopRow(name=name, label_schema=_written(schema), schema_fingerprint=schema.fingerprint(), created_at=at)
    with database.write() as session:
        upsert(session, LoopRow, [fresh.model_dump(exclude={"id"})], keep=True)
        return session.exec(select(LoopRow).where(LoopRow.name == name)).one()


def _written(schema: LabelSchema) -> str:
    return json.dumps({"task_type": schema.task_type, "classes": list(schema.classes)}, ensure_ascii=False)


def _same_schema(database: Database, row: LoopRow, schema: LabelSchema) -> None:
    """Take over other classes as long as nobody has been asked; afterwards they would change what was said."""
    if row.schema_fingerprint == schema.fingerprint():
        return
    with database.write() as session:
        asked = session.exec(select(PickRow.key).where(PickRow.loop_id == row.id).limit(1)).first()
        if asked is None:
            row.label_schema, row.schema_fingerprint = _written(schema), schema.fingerprint()
            session.merge(row)
            return
    before = json.loads(row.label_schema)["classes"]
    gone = [name for name in before if name not in schema.classes]
    new = [name for name in schema.classes if name not in before]
    raise ConfigError(
        f"`task.classes` of loop {row.name!r} must stay as they were when people were asked: {', '.join(before)}. "
        f"Got {', '.join(schema.classes)} (removed: {', '.join(gone) or 'none'}; new: {', '.join(new) or 'none'}). "
        "Put them back, or begin a loop with another `name`."
    )
