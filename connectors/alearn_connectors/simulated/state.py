"""What the simulated platform remembers: tasks, their order, and everything that was ever said of them, in SQLite.

Invariant: every change is one transaction and moves `head`, the number of the newest change; a cursor is such a number
and the file's own name, so that it never fits a file that was made anew.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alearn.errors import Refused, Unavailable
from alearn.platform import Annotation, Finding, Queue, TaskState

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""When the simulated time begins; it goes on by what the annotators need, so that it is the same in every run."""

_TABLES = """
CREATE TABLE IF NOT EXISTS task (key TEXT PRIMARY KEY, place INTEGER, score REAL, label TEXT, confidence REAL,
  changed INTEGER NOT NULL DEFAULT 0, opinions INTEGER NOT NULL DEFAULT 1) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS annotation (id TEXT PRIMARY KEY, key TEXT NOT NULL, annotator TEXT NOT NULL, value TEXT,
  skipped INTEGER NOT NULL, refused TEXT, lead_time REAL, updated_at TEXT NOT NULL, number INTEGER NOT NULL,
  deleted INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS annotation_key ON annotation (key, annotator);
CREATE INDEX IF NOT EXISTS task_changed ON task (changed);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Answered:
    """One answer on its way into the file."""

    key: str
    annotator: str
    value: str | None = None
    skipped: bool = False
    refused: str | None = None
    lead_time: float | None = None


class State:
    """The state file; it is created at its first use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    # --- what a platform does -----------------------------------------------------------------------------------------

    def prepare(self) -> str:
        """Create or adopt the file; returns its name, which is another for a file made anew."""
        with self._change() as db:
            return _file_name(db)

    def push(self, keys: Iterable[str], queue: Queue) -> None:
        """Add the tasks that are not there, and give the open ones their order; those not in the queue are closed."""
        keys = list(dict.fromkeys(keys))
        last = len(queue.entries)
        with self._change() as db:
            db.executemany("INSERT OR IGNORE INTO task (key) VALUES (?)", [(key,) for key in keys])
            db.execute("UPDATE task SET place = NULL, score = NULL, label = NULL, confidence = NULL")
            db.executemany("UPDATE task SET place = ? WHERE key = ?", [(last, key) for key in keys])
            db.executemany(
                "UPDATE task SET place = ?, score = ?, label = ?, confidence = ?, opinions = ? WHERE key = ?",
                [
                    (place, one.score, one.label, one.confidence, one.opinions, one.key)
                    for place, one in enumerate(queue.entries)
                ],
            )

    def is_newest(self, cursor: str | None) -> bool:
        """Whether everything that happened so far was told with this cursor."""
        with self._change() as db:
            return _number(db, cursor) == _head(db)

    def open(self, asked: Callable[[str, int], Sequence[str]], limit: int | None) -> list[tuple[str, str]]:
        """The next (task, annotator) pairs without an answer, in the order of the queue, at most `limit`."""
        found: list[tuple[str, str]] = []
        with self._change() as db:
            heard = set(db.execute("SELECT key, annotator FROM annotation WHERE NOT deleted"))
            for key, opinions in db.execute(
                "SELECT key, opinions FROM task WHERE place IS NOT NULL ORDER BY place, key"
            ):
                found += [(key, name) for name in asked(key, opinions) if (key, name) not in heard]
                if limit is not None and len(found) >= limit:
                    return found[:limit]
        return found

    def submit(self, answers: Sequence[Answered], *, share: int = 1) -> list[str]:
        """Write answers in one transaction; returns their ids. `share` people work at the same time."""
        with self._change() as db:
            number = _head(db)
            return [_insert(db, one, number + at, share) for at, one in enumerate(answers, 1)]

    def since(self, cursor: str | None) -> tuple[tuple[TaskState, ...], str]:
        """The tasks that changed behind a cursor, and the new cursor."""
        with self._change() as db:
            number, head = _number(db, cursor), _head(db)
            keys = db.execute("SELECT key FROM task WHERE changed > ? ORDER BY changed, key", (number,)).fetchall()
            states = tuple(TaskState(key, _annotations(db, key)) for (key,) in keys)
            return states, f"{_file_name(db)}:{head}"

    def keys(self) -> frozenset[str]:
        """Every task there is."""
        with self._change() as db:
            return frozenset(key for (key,) in db.execute("SELECT key FROM task"))

    def check(self) -> Finding:
        """Whether the file can be opened; does not create it."""
        what = f"The state of the simulated annotators, {self.path}, can be used"
        if not self.path.exists():
            place = next(one for one in self.path.parents if one.exists())
            writable = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
            return Finding(what, writable, "" if writable else f"Make {place} a folder that can be written.")
        try:
            self.keys()
        except (Refused, Unavailable) as error:
            return Finding(what, False, str(error))
        return Finding(what, True)

    def close(self) -> None:
        """Close the file; it is opened again when it is used again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # --- what a person does, in tests ---------------------------------------------------------------------------------

    def edit(self, identity: str, value: str | None) -> None:
        """Change what an annotation says."""
        with self._change() as db:
            moment = _pass_time(db, 1.0)
            change = "UPDATE annotation SET value = ?, skipped = 0, updated_at = ? WHERE id = ?"
            db.execute(change, (value, moment, identity))
            _touch(db, identity)

    def delete_annotation(self, identity: str) -> None:
        """Delete an annotation; its id is never given again."""
        with self._change() as db:
            db.execute("UPDATE annotation SET deleted = 1 WHERE id = ?", (identity,))
            _touch(db, identity)

    def delete_task(self, key: str) -> None:
        """Delete a task with all that was said of it; like on other platforms, a pull does not tell."""
        with self._change() as db:
            db.execute("UPDATE annotation SET deleted = 1 WHERE key = ?", (key,))
            db.execute("DELETE FROM task WHERE key = ?", (key,))

    def queue(self) -> list[tuple[str, str | None]]:
        """The open tasks in their order: (key, suggestion)."""
        with self._change() as db:
            return db.execute("SELECT key, label FROM task WHERE place IS NOT NULL ORDER BY place, key").fetchall()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """One transaction; sqlite3's errors in the door's words."""
        try:
            if self._connection is None:
                self._connection = _connected(self.path)
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
        except sqlite3.OperationalError as error:
            raise Unavailable(f"{self.path} cannot be used now: {error}. It is tried again.") from error
        except (sqlite3.DatabaseError, PermissionError, NotADirectoryError, FileExistsError) as error:
            raise Refused(f"{self.path} must be an SQLite file that can be written. {error}. Remove it.") from error
        except OSError as error:
            raise Unavailable(f"{self.path} cannot be used now: {error}. It is tried again.") from error


def _connected(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    try:
        # A killed process loses nothing; a power cut may lose the newest answers, which are then given again, the same.
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_TABLES)
        if "opinions" not in {row[1] for row in db.execute("PRAGMA table_info(task)")}:  # a file of an older alearn
            db.execute("ALTER TABLE task ADD COLUMN opinions INTEGER NOT NULL DEFAULT 1")
        db.execute("INSERT OR IGNORE INTO meta VALUES ('name', ?)", (secrets.token_hex(4),))
    except sqlite3.Error:
        db.close()
        raise
    return db


def _file_name(db: sqlite3.Connection) -> str:
    return str(db.execute("SELECT value FROM meta WHERE name = 'name'").fetchone()[0])


def _head(db: sqlite3.Connection) -> int:
    found = db.execute("SELECT value FROM meta WHERE name = 'head'").fetchone()
    return 0 if found is None else int(found[0])


def _number(db: sqlite3.Connection, cursor: str | None) -> int:
    """The change a cursor stands for; 0, before everything, when it is none of this file."""
    name, _, number = (cursor or "").partition(":")
    known = name == _file_name(db) and number.isdecimal() and int(number) <= _head(db)
    return int(number) if known else 0


def _pass_time(db: sqlite3.Connection, seconds: float) -> str:
    """Let simulated time go on; returns the moment, ISO 8601 in UTC."""
    found = db.execute("SELECT value FROM meta WHERE name = 'seconds'").fetchone()
    now = (0.0 if found is None else float(found[0])) + seconds
    db.execute("INSERT OR REPLACE INTO meta VALUES ('seconds', ?)", (now,))
    return (EPOCH + timedelta(seconds=now)).isoformat(timespec="milliseconds")


def _insert(db: sqlite3.Connection, said: Answered, number: int, share: int) -> str:
    before = "SELECT count(*) FROM annotation WHERE key = ? AND annotator = ?"
    (times,) = db.execute(before, (said.key, said.annotator)).fetchone()
    identity = f"{said.annotator}/{said.key}/{times + 1}"
    moment = _pass_time(db, (said.lead_time or 1.0) / share)
    db.execute(
        "INSERT INTO annotation (id, key, annotator, value, skipped, refused, lead_time, updated_at, number)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (identity, said.key, said.annotator, said.value, said.skipped, said.refused, said.lead_time, moment, number),
    )
    _touch(db, identity)
    return identity


def _touch(db: sqlite3.Connection, identity: str) -> None:
    """The task of this annotation changed just now."""
    head = _head(db) + 1
    db.execute("INSERT OR REPLACE INTO meta VALUES ('head', ?)", (head,))
    db.execute("UPDATE task SET changed = ? WHERE key = (SELECT key FROM annotation WHERE id = ?)", (head, identity))


def _annotations(db: sqlite3.Connection, key: str) -> tuple[Annotation, ...]:
    columns = "id, key, annotator, value, skipped, refused, lead_time, updated_at"
    rows = db.execute(f"SELECT {columns} FROM annotation WHERE key = ? AND NOT deleted ORDER BY number, id", (key,))  # noqa: S608
    return tuple(
        Annotation(id_, key, annotator, value, bool(skipped), refused, lead_time, at)
        for id_, key, annotator, value, skipped, refused, lead_time, at in rows
    )
