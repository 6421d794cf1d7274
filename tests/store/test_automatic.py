"""Automatic labels: apart from people's, replaced as a whole, and gone where a person has spoken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from alearn.core.consensus import consensus
from alearn.core.schema import LabelSchema
from alearn.store import Store
from alearn.store.tables import AnnotationRow

NOW, LATER = "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"


def items(*keys: str, holdout: bool = False) -> list[dict[str, Any]]:
    return [
        {"key": key, "uri": None, "text": f"text of {key}", "group": key, "truth": "owl", "holdout": holdout}
        for key in keys
    ]


def certificate(key: str, at: str = NOW) -> dict[str, Any]:
    return {"key": key, "version": f"version of {key}", "round": 1, "facts": '{"precision": 0.9}', "at": at}


def given(*keys: str, label: str = "owl") -> list[dict[str, Any]]:
    return [{"key": key, "label": label, "confidence": 0.99} for key in keys]


def closing(rows: Sequence[AnnotationRow], labeled: bool, opinions: int) -> str | None:
    return "labeled" if labeled else None


def says(store: Store, key: str, *values: str) -> None:
    """A person's annotations of an item are now these."""
    rows = [
        {"id": f"{key}-{at}", "annotator": "ann", "value": value, "skipped": False, "refused": None}
        | {"lead_time": 1.0, "updated_at": NOW}
        for at, value in enumerate(values)
    ]
    store.annotations.collect([(key, rows)], cursor=None, resolve=consensus, closing=closing, at=NOW)


def labels(store: Store) -> dict[str, tuple[str, str]]:
    return {row.key: (row.label, row.certificate) for row, _ in store.automatic.labels()}


def test_they_are_no_labels(store: Store) -> None:
    """Nothing that is trained on or measured with changes when labels are given; there is less left to ask about."""
    store.items.add([*items("a", "b"), *items("h", holdout=True)])
    says(store, "a", "crow")
    before = store.look(), store.annotations.training(holdout=False), store.annotations.training(holdout=True)
    assert store.automatic.replace(certificate("c"), given("b", "h")) == 2
    after = store.look(), store.annotations.training(holdout=False), store.annotations.training(holdout=True)
    assert after == (replace(before[0], pool_left=before[0].pool_left - 1), *before[1:])
    (row, item), _ = store.automatic.labels()
    assert (row.key, row.label, row.confidence, row.version, row.certificate, row.at, item.text) == (
        "b",
        "owl",
        0.99,
        "version of c",
        "c",
        NOW,
        "text of b",
    )


def test_they_are_replaced_as_a_whole(store: Store) -> None:
    """Whatever was there before is gone; its certificate is kept, and the one that holds now comes last."""
    store.items.add(items("a", "b", "c"))
    store.automatic.replace(certificate("first"), given("a", "b"))
    assert store.automatic.replace(certificate("second", LATER), given("b", "c", label="crow")) == 2
    assert labels(store) == {"b": ("crow", "second"), "c": ("crow", "second")}
    assert [row.key for row in store.automatic.certificates()] == ["first", "second"]
    store.automatic.replace(certificate("second", LATER), given("b", "c", label="crow"))
    assert [row.key for row in store.automatic.certificates()] == ["first", "second"], "the same again is the same"
    store.automatic.replace(certificate("third", NOW), given("a"))
    assert [row.key for row in store.automatic.certificates()][-1] == "third", "whatever the clock says"
    assert store.automatic.withdraw() == 1
    assert (store.automatic.count(), len(store.automatic.certificates())) == (0, 3)


def test_a_persons_label_takes_their_place(store: Store) -> None:
    """In the transaction that brings it, or before they are written; when it is taken back they do not return."""
    store.items.add(items("a", "b", "c"))
    store.automatic.replace(certificate("c"), given("a", "b"))
    says(store, "a", "crow")
    assert labels(store) == {"b": ("owl", "c")}
    assert store.automatic.replace(certificate("d"), given("a", "b", "c")) == 2
    assert labels(store) == {"b": ("owl", "d"), "c": ("owl", "d")}
    says(store, "a")
    assert "a" not in labels(store)
    assert store.automatic.replace(certificate("e"), given("a")) == 1, "nobody says anything of it now"


def test_other_loops_keep_theirs(store: Store, url: str, tmp_path: Any) -> None:
    """Loops share a database, not their labels."""
    other = Store.open("frogs", LabelSchema(("green", "red")), url=url, home=tmp_path, at=NOW)
    store.items.add(items("a"))
    other.items.add(items("a"))
    store.automatic.replace(certificate("c"), given("a"))
    other.automatic.replace(certificate("c"), given("a", label="red"))
    store.automatic.withdraw()
    assert (store.automatic.count(), labels(other)) == (0, {"a": ("red", "c")})
    other.close()
