"""What a loop remembers, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from alearn.core.consensus import consensus
from alearn.core.schema import LabelSchema
from alearn.errors import ConfigError, LeaseLost, StoreError
from alearn.store import Look, Store, migrations
from alearn.store.database import Database
from alearn.store.tables import AnnotationRow, VersionRow

NOW = "2026-01-01T00:00:00+00:00"
SCHEMA = LabelSchema(("crow", "owl"))


def items(*keys: str, holdout: bool = False) -> list[dict[str, Any]]:
    return [
        {"key": key, "uri": None, "text": f"text of {key}", "group": key, "truth": "owl", "holdout": holdout}
        for key in keys
    ]


def said(id_: str, value: str | None, annotator: str = "ann", **more: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "annotator": annotator,
        "value": value,
        "skipped": False,
        "refused": None,
        "lead_time": 1.0,
        "updated_at": "2026-01-01T00:00:01Z",
    } | more


def closing(rows: Sequence[AnnotationRow], labeled: bool, opinions: int) -> str | None:
    return "labeled" if labeled else "skipped" if any(row.skipped for row in rows) else None


def collect(store: Store, *states: tuple[str, list[dict[str, Any]]], **more: Any) -> int:
    return store.annotations.collect(
        states, **{"cursor": None, "resolve": consensus, "closing": closing, "at": NOW} | more
    )


def pick(store: Store, *keys: str, purpose: str = "query") -> None:
    rows = [
        {"key": key, "round": 1, "rank": at, "purpose": purpose, "strategy": "random", "score": at / 10}
        | {"label": None, "confidence": None}
        for at, key in enumerate(keys)
    ]
    places = {row["key"]: {"score": row["score"], "label": None, "confidence": None} for row in rows}
    store.rounds.choose(rows, places, version="q1", round_=0)


def test_items_are_added_once(store: Store) -> None:
    """Adding twice, also within one call, is adding once, and the counters say what is there."""
    assert store.items.add([*items("a", "b"), *items("a")]) == 2
    assert store.items.add([*items("b", "c"), *items("h", holdout=True)]) == 2
    assert store.look() == Look(items=4, pool_left=3, holdout_left=1)
    assert [one.key for one in store.items.candidates()] == ["a", "b", "c", "h"]


def test_quarantined_items_are_not_candidates(store: Store) -> None:
    """What cannot be used is put aside with its reason, whether it became an item or not."""
    store.items.add(items("a", "b"))
    pick(store, "a")
    store.items.quarantine({"a": "truncated", "b": "truncated"}, at=NOW, keyed=True)
    store.items.quarantine({"c.png": "empty"}, at=NOW, keyed=False)
    assert store.items.candidates() == []
    assert {row.place: row.reason for row in store.items.quarantined()} == {
        "a": "truncated",
        "b": "truncated",
        "c.png": "empty",
    }
    seen = store.look()
    assert (seen.pool_left, seen.open) == (0, 0)


def test_a_label_follows_its_annotations(store: Store) -> None:
    """Created, changed, joined by a second opinion, and deleted: the label is always the consensus of what is there."""
    store.items.add(items("a"))
    pick(store, "a")
    assert collect(store, ("a", [said("1", "owl")]), cursor="c1") == 1
    assert store.annotations.training(holdout=False).values == ("owl",)
    assert store.look().open == 0
    assert collect(store, ("a", [said("1", "owl")])) == 0, "a repeat changes nothing"
    assert collect(store, ("a", [said("1", "crow", updated_at="2026-01-01T00:00:02Z")])) == 1
    assert store.annotations.training(holdout=False).values == ("crow",)
    assert collect(store, ("a", [])) == 1
    assert store.annotations.training(holdout=False).values == ()
    assert store.look().open == 1, "an item that lost its label is asked again"
    assert store.look().queue_stale, "and the queue is ordered anew, so that it is seen"
    assert [row.deleted for row in store.annotations.all()] == [True], "what was said is never lost"
    assert store.loop().cursor == "c1"


def version(key: str = "v", **more: Any) -> dict[str, Any]:
    made_of = {"weights": "w", "trunk": "t", "recipe": "{}", "training_set": "s", "labels": 2, "created_at": NOW}
    return {"key": key, **made_of, **more}


def round_of(store: Store, number: int, version: str = "v") -> dict[str, Any]:
    seq = store.annotations.training(holdout=False).label_seq
    row = {"number": number, "version": version, "label_seq": seq, "labels": 2}
    return {**row, "libraries": "{}", "seconds": 0.0, "at": NOW}


def test_changes_are_counted_from_the_last_round(store: Store) -> None:
    """Labels that moved since a version was trained are what makes the next one due."""
    store.items.add(items("a", "b"))
    collect(store, ("a", [said("1", "owl")]), ("b", [said("2", "owl")]))
    assert store.look().changed == 2
    store.rounds.trained(version(), round_of(store, 1))
    assert store.look().changed == 0
    collect(store, ("a", [said("1", "owl"), said("3", "owl", "bob")]))
    assert store.look().changed == 0, "a second voice for the same label is no news for the model"
    collect(store, ("b", [said("2", "crow")]))
    assert store.look().changed == 1


def test_skips_close_and_strangers_are_ignored(store: Store) -> None:
    """A skipped item is not open; a task whose key is nobody's changes nothing."""
    store.items.add(items("a"))
    pick(store, "a")
    collect(store, ("a", [said("1", None, skipped=True)]), ("nobody", [said("2", "owl")]))
    assert (store.look().open, store.look().labels) == (0, 0)


def test_what_the_platform_already_holds_is_adopted(store: Store) -> None:
    """A label without a pick (an adopted project, a restored store) is a closed pick, so that nobody is asked again."""
    store.items.add([*items("a", "b"), *items("h", holdout=True)])
    collect(store, ("a", [said("1", "owl")]), ("b", []), ("h", [said("2", "crow")]))
    assert {row.key: (row.purpose, row.strategy, row.closed, row.pushed) for row in store.rounds.picks()} == {
        "a": ("query", "found", "labeled", True),
        "b": ("query", "found", None, True),
        "h": ("holdout", "found", "labeled", True),
    }
    seen = store.look()
    assert (seen.pool_left, seen.holdout_left, seen.holdout_held, seen.open, seen.labels) == (0, 0, 1, 1, 2)


def test_another_project_gets_everything_again(store: Store) -> None:
    """When the platform, or its project, is another than before, the cursor is void and open picks are pushed anew."""
    store.items.add(items("a", "b"))
    pick(store, "a", "b")
    assert not store.rounds.prepared("p1", platform="files")
    store.rounds.pushed(["a", "b"], {}, queue="q1", at=NOW)
    collect(store, ("a", [said("1", "owl")]), cursor="c9")
    assert not store.rounds.prepared("p1", platform="files")
    assert store.loop().cursor == "c9"
    assert store.rounds.prepared("p1", platform="simulated")
    seen = store.look()
    assert (store.loop().cursor, seen.unpushed, seen.queue_unapplied, seen.labels) == (None, 1, True, 1)


def test_what_can_be_read_again_is_put_back(store: Store) -> None:
    """Adding an item that had been put aside takes it out of quarantine and opens its pick."""
    store.items.add(items("a", "b"))
    pick(store, "a")
    store.items.quarantine({"a": "truncated", "b": "truncated"}, at=NOW, keyed=True)
    store.items.quarantine({"c.png": "empty"}, at=NOW, keyed=False)
    assert store.items.add(items("a", "b")) == 0
    store.items.found_again(["c.png"])
    assert store.items.quarantined() == []
    assert (store.look().pool_left, store.look().open) == (1, 1)


def test_deleted_tasks_close_and_keep_their_label(store: Store) -> None:
    """A task deleted on the platform is not asked again; a label it had stays."""
    store.items.add(items("a", "b"))
    pick(store, "a", "b")
    store.rounds.pushed(["a", "b"], {}, queue="q1", at=NOW)
    collect(store, ("a", [said("1", "owl")]))
    collect(store, missing=["a", "b"], notices=["two tasks are gone"])
    assert store.rounds.pushed_keys() == [], "and is not reported as gone again"
    assert {row.key: row.closed for row in store.rounds.picks()} == {"a": "labeled", "b": "missing"}
    assert store.look().labels == 1
    assert [row.text for row in store.annotations.notices()] == ["two tasks are gone"]


def test_picks_stay_as_they_were_chosen(store: Store) -> None:
    """Choosing again what was picked changes its place in the queue, never its round."""
    store.items.add(items("a", "b"))
    pick(store, "a", "b")
    again = {"key": "a", "round": 9, "rank": 0, "purpose": "query", "strategy": "margin", "score": 0.0, "label": None}
    store.rounds.choose([again | {"confidence": None}], {"a": {"score": 0.7}}, version="q2", round_=1)
    rows = {row.key: row for row in store.rounds.picks()}
    assert (rows["a"].round, rows["a"].strategy, rows["a"].score) == (1, "random", 0.7)
    assert store.look().queue_unapplied
    store.rounds.pushed(["a", "b"], {"b": "too large"}, queue="q2", at=NOW)
    assert not store.look().queue_unapplied
    assert [(row.key, row.reason) for row in store.items.quarantined()] == [("b", "too large")]
    assert {row.key: (row.pushed, row.closed) for row in store.rounds.picks()} == {
        "a": (True, None),
        "b": (False, "refused"),
    }


def test_another_schema_is_refused(store: Store, url: str, tmp_path: Path) -> None:
    """A loop's classes cannot change once people were asked; before, a mistyped one can be corrected."""
    mended = LabelSchema(("crow", "owl", "hawk"))
    Store.open("birds", mended, url=url, home=tmp_path, at=NOW).close()
    store.items.add(items("a"))
    pick(store, "a")
    with pytest.raises(ConfigError, match="removed: hawk; new: none"):
        Store.open("birds", SCHEMA, url=url, home=tmp_path, at=NOW)


def test_a_loop_that_has_not_begun_is_named(url: str, tmp_path: Path) -> None:
    """Reading commands do not begin a loop, nor make a file."""
    with pytest.raises(StoreError, match="has not begun"):
        Store.open("fish", SCHEMA, url=url, home=tmp_path, at=NOW, create=False)
    with pytest.raises(StoreError, match="has not begun"):
        Store.open("fish", SCHEMA, url=f"sqlite:///{tmp_path}/none.sqlite3", home=tmp_path, at=NOW, create=False)
    assert not (tmp_path / "none.sqlite3").exists()


def test_two_loops_share_a_database(store: Store, url: str, tmp_path: Path) -> None:
    """The same item in two loops is two items."""
    other = Store.open("trees", SCHEMA, url=url, home=tmp_path, at=NOW)
    store.items.add(items("a"))
    other.items.add(items("a", "b"))
    assert (store.look().items, other.look().items) == (1, 2)
    other.close()


def test_an_overtaken_controller_cannot_write(store: Store, url: str, tmp_path: Path) -> None:
    """After its lease has expired and another owner has come, the first one's writes are refused, whole."""
    second = Store.open("birds", SCHEMA, url=url, home=tmp_path, at=NOW)
    store.lease("one", now=100.0, seconds=10.0, alive=lambda _: True)
    with pytest.raises(LeaseLost, match="one runs it now"):
        second.lease("two", now=105.0, seconds=10.0, alive=lambda _: True)
    store.renew(now=105.0, seconds=10.0)
    with pytest.raises(LeaseLost):
        second.lease("two", now=112.0, seconds=10.0, alive=lambda _: True)
    second.lease("two", now=116.0, seconds=10.0, alive=lambda _: True)
    with pytest.raises(LeaseLost, match="taken over by two"):
        store.items.add(items("a"))
    with pytest.raises(LeaseLost):
        store.renew(now=117.0, seconds=10.0)
    assert second.look().items == 0
    second.items.add(items("a"))
    second.close()


def test_a_dead_owner_is_followed_at_once(store: Store, url: str, tmp_path: Path) -> None:
    """A restart after a kill need not wait for the lease to expire; nor after a clean stop."""
    second = Store.open("birds", SCHEMA, url=url, home=tmp_path, at=NOW)
    store.lease("one", now=100.0, seconds=60.0, alive=lambda _: True)
    second.lease("two", now=101.0, seconds=60.0, alive=lambda owner: owner != "one")
    second.release()
    store.lease("one", now=102.0, seconds=60.0, alive=lambda _: True)
    second.close()


def _claim(url: str, home: Path, owner: str, barrier: Any, won: Any) -> None:
    store = Store.open("race", SCHEMA, url=url, home=home, at=NOW)
    barrier.wait(timeout=60)
    try:
        won.put(store.lease(owner, now=100.0, seconds=60.0, alive=lambda _: True).owner)
    except LeaseLost:
        won.put(None)


def test_of_many_one_gets_the_lease(url: str, tmp_path: Path) -> None:
    """Processes that begin a loop and want its lease at the same moment: one has it, and there is one loop."""
    context = multiprocessing.get_context("spawn")
    won, barrier = context.Queue(), context.Barrier(6)
    rivals = [context.Process(target=_claim, args=(url, tmp_path, f"rival {n}", barrier, won)) for n in range(6)]
    for rival in rivals:
        rival.start()
    found = [won.get(timeout=60) for _ in rivals]
    for rival in rivals:
        rival.join()
    assert sum(owner is not None for owner in found) == 1


def test_a_rival_waits_until_the_lease_is_decided(store: Store, url: str, tmp_path: Path) -> None:
    """One that looks while another takes an expired lease over does not take it over as well."""
    store.lease("old", now=0.0, seconds=1.0, alive=lambda _: True)
    second = Store.open("birds", SCHEMA, url=url, home=tmp_path, at=NOW)
    third = Store.open("birds", SCHEMA, url=url, home=tmp_path, at=NOW)
    outcomes: list[object] = []

    def rival() -> None:
        try:
            outcomes.append(third.lease("third", now=10.0, seconds=60.0, alive=lambda _: True))
        except LeaseLost as error:
            outcomes.append(error)

    with second._scope.database.write() as session:
        session.execute(sa.text("UPDATE lease SET owner = 'second', fence = 2, expires_at = 70"))
        session.execute(sa.text("UPDATE loop SET label_seq = label_seq"))
        waiting = threading.Thread(target=rival)
        waiting.start()
        waiting.join(timeout=0.5)
        assert waiting.is_alive(), "the rival waits for the transaction"
    waiting.join(timeout=30)
    assert isinstance(outcomes[0], LeaseLost)
    second.close()
    third.close()


def test_migrations_give_the_tables_that_the_code_knows(url: str) -> None:
    """The migrations and the table classes say the same."""
    database = Database(url)
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), SQLModel.metadata) == []
    database.close()


def test_a_version_is_placed_and_found_by_how_its_key_begins(store: Store) -> None:
    """An older version becomes current by a round of its own; what it is stays as it was written."""
    store.rounds.trained(version("aa1"), round_of(store, 1, "aa1"))
    store.rounds.trained(version("ab2", rung="blocks", parent="aa1", facts='{"n": 1}'), round_of(store, 2, "ab2"))
    assert [row.key for row in store.rounds.versions("a")] == ["aa1", "ab2"]
    assert [row.rung for row in store.rounds.versions()] == ["linear", "blocks"]
    assert store.rounds.versions("%") == []
    assert not store.look().placed
    store.rounds.placed(round_of(store, 3, "aa1"))
    assert (store.look().round, store.look().placed) == (3, True)
    last = store.rounds.last()
    assert last is not None
    assert last.version == "aa1"


def test_the_choice_on_the_most_labels_counts(store: Store) -> None:
    """However often and in whatever order choices are written."""
    assert store.rounds.choice() is None
    for labels, network in ((300, "later"), (30, "first"), (300, "later")):
        row = {"labels": labels, "network": network, "size": 96, "tap": None, "reason": "best", "at": NOW}
        store.rounds.chosen(row)
    found = store.rounds.choice()
    assert found is not None
    assert (found.network, found.labels) == ("later", 300)


def test_a_store_of_the_first_release_is_migrated_with_what_it_holds(url: str) -> None:
    """Versions that were trained before there was a ladder stood on its lowest rung."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with sa.create_engine(url).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO loop (id, name, label_schema, schema_fingerprint, created_at, items, holdout_items, "
            "label_seq, queue_round) VALUES (1, 'birds', '{}', 'x', 'now', 0, 0, 0, 1)"
        )
        connection.exec_driver_sql("INSERT INTO version VALUES (1, 'v', 'w', 't', '{}', 's', 2, 'now')")
    database = Database(url)
    with database.read() as session:
        (row,) = session.exec(sa.select(VersionRow)).scalars()
        assert (row.key, row.rung, row.parent, row.facts) == ("v", "linear", None, "{}")
    database.close()


def test_a_newer_database_is_left_alone(url: str) -> None:
    """An older alearn does not touch what a newer one has written."""
    Database(url).close()
    with sa.create_engine(url).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="newer alearn"):
        Database(url)


@pytest.mark.parametrize(
    "wrong",
    [
        "nonsense",
        "nosuchdb://x",
        "mysql://me:hunter2@127.0.0.1/x",
        "postgresql+psycopg://nobody:hunter2@127.0.0.1:1/x",
        "postgresql+psycopg://127.0.0.1:1/x?password=hunter2",
    ],
)
def test_a_wrong_url_is_a_sentence_without_the_password(wrong: str) -> None:
    """A store that cannot be opened is named, its password is not."""
    with pytest.raises(StoreError, match="store") as error:
        Database(wrong)
    assert "hunter2" not in str(error.value)


def test_many_begin_a_new_store_at_once(tmp_path: Path) -> None:
    """`alearn run` and `alearn status` on a loop that is a moment old: each waits for the other, none fails."""
    for at in range(8):
        together, failed = threading.Barrier(6), list[BaseException]()

        def begin(url: str = f"sqlite:///{tmp_path / f'{at}.sqlite3'}", together: Any = together) -> None:
            together.wait()
            try:
                Database(url).close()
            except BaseException as error:
                failed.append(error)  # noqa: B023 - joined below

        threads = [threading.Thread(target=begin) for _ in range(6)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert not failed
