"""Automatic labels: what the newest measured version may label, under which promise, and where they are kept."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alearn.config import Config, parse
from alearn.core.consensus import consensus
from alearn.errors import ModelError
from alearn.loop.autolabel import More, Terms, give, measured, more, offer
from alearn.loop.controller import run
from alearn.loop.evidence import evidence
from alearn.loop.plan import Step
from alearn.loop.replaying import replay
from alearn.loop.scoring import scorer
from alearn.loop.status import status_of
from alearn.loop.undertaking import Undertaking, opened
from alearn.store import automatic
from alearn.store.tables import AutomaticRow

ITEMS = 600
TERMS = Terms(0.85)


def made_config(folder: Path, home: Path, **sections: Any) -> Config:
    raw: dict[str, Any] = {
        "name": "parity",
        "items": {"path": str(folder), "truth": "folder"},
        "task": {"data": "image", "classes": ["even", "odd"]},
        "model": {"name": "pixels"},
        "query": {"batch": 60, "strategy": "margin"},
        "holdout": {"size": 150, "share": 0.4},
        "budget": {"labels": 300},
        "platform": {"name": "simulated"},
        "home": str(home),
    }
    return parse({**raw, **sections}, name="parity.yaml", folder=home)


@pytest.fixture(scope="module")
def grown(digit_photos: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six hundred digits, and the home of a loop that has spent its budget on them."""
    folder: Path = tmp_path_factory.mktemp("grown")
    digit_photos(folder / "photos", ITEMS)
    (folder / "home").mkdir()
    with opened(made_config(folder / "photos", folder / "home")) as loop:
        assert run(loop).step is Step.DONE
    return folder


@pytest.fixture
def config(grown: Path, tmp_path: Path) -> Config:
    """That loop, a copy of it."""
    shutil.copytree(grown / "home", tmp_path / "home")
    return made_config(grown / "photos", tmp_path / "home")


@pytest.fixture
def loop(config: Config) -> Iterator[Undertaking]:
    """That loop, opened."""
    with opened(config) as opened_:
        yield opened_


def given(loop: Undertaking) -> dict[str, str]:
    return {row.key: row.label for row, _ in loop.store.automatic.labels()}


def says(loop: Undertaking, key: str, value: str) -> None:
    """A person labels an item."""
    row = {"id": f"by-hand-{key}", "annotator": "ann", "value": value, "skipped": False, "refused": None}
    row |= {"lead_time": 1.0, "updated_at": "2026-01-01T00:00:00Z"}
    loop.store.annotations.collect(
        [(key, [row])],
        cursor=None,
        resolve=consensus,
        closing=lambda rows, labeled, opinions: "labeled" if labeled else None,
        at=loop.clock.now(),
    )


def test_an_offer_is_what_the_version_is_sure_of(loop: Undertaking) -> None:
    """Every item that nobody was asked about and that reaches the threshold, with what the version says of it."""
    made = offer(loop, TERMS)
    _, version = measured(loop)
    picked = {pick.key for pick in loop.store.rounds.picks()}
    rest = [one.key for one in loop.store.items.candidates() if one.key not in picked]
    proba = scorer(loop, version).proba(rest)
    sure = proba.max(axis=1) >= made.certificate.thresholds[0]
    assert made.certificate.certified
    assert made.keys == [key for key, yes in zip(rest, sure, strict=True) if yes]
    assert made.labels == [loop.schema.classes[at] for at in proba[sure].argmax(axis=1)]
    assert made.sureness == pytest.approx(proba[sure].max(axis=1))
    assert (made.found.holdout, made.found.pool, made.found.labeled) == (150, len(rest), len(made.keys))
    assert made.found.asked == len(picked) - 150
    assert given(loop) == {}, "nothing is written"


def test_they_are_as_right_as_was_promised(loop: Undertaking) -> None:
    """The truth of these items is known."""
    made = offer(loop, TERMS)
    truth = loop.store.items.truths(made.keys)
    right = np.mean([truth[key] == label for key, label in zip(made.keys, made.labels, strict=True)])
    assert right >= TERMS.precision
    assert made.found.wrong < (1 - TERMS.precision) * made.found.taken


def test_nothing_of_the_loop_changes(loop: Undertaking) -> None:
    """What is trained on and measured with is the same afterwards; there is less to ask about, and status says why."""
    store = loop.store
    before = store.annotations.training(holdout=False), store.annotations.training(holdout=True), loop.snapshot()
    held = {one.key for one in store.items.candidates() if one.holdout}
    assert status_of(loop)["automatic"] is None
    made = offer(loop, TERMS)
    assert give(loop, made) == len(made.keys) == len(given(loop)) > 0
    assert before == (
        store.annotations.training(holdout=False),
        store.annotations.training(holdout=True),
        replace(loop.snapshot(), selectable=loop.snapshot().selectable + len(set(made.keys) - held)),
    )
    told = status_of(loop)["automatic"]
    assert (told["labels"], told["precision"], told["version"]) == (len(made.keys), TERMS.precision, made.version)
    assert json.dumps(told, allow_nan=False)
    assert run(loop).step is Step.DONE
    assert len(given(loop)) == len(made.keys)


def test_they_are_replaced_when_it_is_done_again(loop: Undertaking) -> None:
    """Other terms, other labels; the same offer again changes nothing but the time."""
    loose, strict = offer(loop, Terms(0.8)), offer(loop, TERMS)
    give(loop, loose)
    before = given(loop)
    give(loop, loose)
    assert (given(loop), len(loop.store.automatic.certificates())) == (before, 1)
    give(loop, strict)
    assert set(given(loop)) == set(strict.keys) < set(loose.keys)
    assert len(loop.store.automatic.certificates()) == 2


def test_a_person_is_believed_more(loop: Undertaking) -> None:
    """What a person labels loses its automatic label, also when that happens between the offer and the writing."""
    made = offer(loop, TERMS)
    first, second = made.keys[:2]
    says(loop, first, "even")
    assert give(loop, made) == len(made.keys) - 1
    says(loop, second, "odd")
    assert set(given(loop)) == set(made.keys) - {first, second}
    assert {first, second} & set(offer(loop, TERMS).keys) == set()


@pytest.mark.parametrize("moment", ["certificate", "labels"])
def test_killed_while_writing_it_is_as_before(config: Config, moment: str) -> None:
    """All of it is written or nothing; the same command again does it."""
    with opened(config) as loop:
        give(loop, offer(loop, Terms(0.8)))
        before = given(loop)
    pid = os.fork()
    if not pid:
        inner = automatic.upsert

        def killing(session: Any, table: Any, *args: Any, **kwargs: Any) -> None:
            if (table is AutomaticRow) == (moment == "labels"):
                os.kill(os.getpid(), signal.SIGKILL)
            inner(session, table, *args, **kwargs)

        try:
            automatic.upsert = killing
            with opened(config) as loop:
                give(loop, offer(loop, TERMS))
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    with opened(config) as loop:
        assert given(loop) == before
        assert len(loop.store.automatic.certificates()) == 1
        made = offer(loop, TERMS)
        give(loop, made)
        assert set(given(loop)) == set(made.keys)


def test_too_small_a_holdout_certifies_nothing(loop: Undertaking) -> None:
    """150 labels with errors cannot show 99.5 %; it is said how many could show something."""
    made = offer(loop, Terms(0.995))
    assert (made.keys, made.certificate.certified, made.found.labeled) == ([], False, 0)
    assert made.found.errors > 0
    assert made.more is None or made.more.labels > 150


def test_each_class_has_its_own_threshold(loop: Undertaking) -> None:
    """The promise is then of every class's labels."""
    made = offer(loop, Terms(0.8, per_class=True))
    even, odd = made.certificate.thresholds
    assert even != odd
    assert made.facts()["thresholds"] == {
        name: at if np.isfinite(at) else None for name, at in (("even", even), ("odd", odd))
    }
    least = {"even": even, "odd": odd}
    assert all(sure >= least[label] for label, sure in zip(made.labels, made.sureness, strict=True))


def test_items_of_a_group_are_one_witness(grown: Path, tmp_path: Path) -> None:
    """Of every group that the hold-out holds one label counts, whatever the model says of the others."""
    rows = [
        (f"{one},g{at // 5},{one.parent.name}") for at, one in enumerate(sorted((grown / "photos").glob("*/*.png")))
    ]
    (tmp_path / "items.csv").write_text("\n".join(["image,group,truth", *rows]))
    source = {"path": str(tmp_path / "items.csv"), "group_column": "group", "truth_column": "truth"}
    made = made_config(grown, tmp_path, items=source, holdout={"size": 60, "share": 0.4}, budget={"labels": 120})
    with opened(made) as loop:
        run(loop)
        seen = evidence(loop)
        groups = {seen.groups[key] for key in seen.held}
        found = offer(loop, TERMS).found
    assert (len(seen.held), len(groups)) == (60, 12)
    assert (found.holdout, found.left_out) == (12, 48)


def test_without_a_holdout_nothing_is_certified(grown: Path, tmp_path: Path) -> None:
    """There is nothing to choose a threshold on."""
    made = made_config(grown / "photos", tmp_path, holdout={"size": 0}, budget={"labels": 60})
    with opened(made) as loop:
        run(loop)
        found = offer(loop, TERMS)
    assert (found.found.holdout, found.keys, found.more) == (0, [], None)


def test_a_model_must_have_been_measured(grown: Path, tmp_path: Path) -> None:
    """Before the first round there is nothing to say."""
    with opened(made_config(grown / "photos", tmp_path)) as loop, pytest.raises(ModelError, match="alearn run"):
        offer(loop, TERMS)


def test_more_is_what_it_takes(loop: Undertaking) -> None:
    """With so many labels that show the same, the certificate is wider; where all is labeled there is nothing more."""
    y, pool = np.zeros(200, int), np.linspace(0.99, 0.6, 1000)
    sure = np.linspace(0.99, 0.6, 200)
    wrong = np.arange(200) % 20 == 19
    proba = np.where(wrong[:, None], np.stack([1 - sure, sure], 1), np.stack([sure, 1 - sure], 1)).astype(np.float32)
    rest = np.stack([pool, 1 - pool], 1).astype(np.float32)
    terms = replace(TERMS, precision=0.93)
    found = more(y, proba, rest, terms)
    assert isinstance(found, More)
    assert found.labels > 200
    assert more(y, proba, rest, terms, labeled=1000) is None
    wider = more(y, proba, rest, terms, labeled=300)
    assert wider is not None
    assert wider.share == 1
    assert more(y, proba, rest, replace(terms, precision=0.97)) is None, "one of twenty is wrong"


def test_nobody_is_asked_about_them_and_people_get_the_rest(grown: Path, config: Config) -> None:
    """The loop goes on with the items that have no automatic label, to their end; withdrawn ones are asked about."""
    on = made_config(grown / "photos", config.home_, budget={"labels": None})
    with opened(config) as loop:
        before = {pick.key for pick in loop.store.rounds.picks()}
        made = offer(loop, Terms(0.95, 0.8))
        assert 0 < give(loop, made) < made.found.pool
        automatic_ = set(given(loop))
    with opened(on) as loop:
        left = loop.snapshot().selectable
        assert run(loop).step is Step.DONE
        held = {one.key for one in loop.store.items.candidates() if one.holdout}
        asked = {pick.key for pick in loop.store.rounds.picks()} - before
        assert asked, "the rest is with people now"
        assert not asked & (automatic_ - held)
        assert len(asked) == left
        assert loop.snapshot().selectable == 0
        assert loop.store.look().kind == "empty"
        assert set(given(loop)) == automatic_ - asked
        for number in range(1, loop.store.look().round + 1):
            assert not replay(loop, number).differs
        loop.store.automatic.withdraw()
        assert loop.snapshot().selectable == len(automatic_ - held)
        assert run(loop).step is Step.DONE
        assert not {one.key for one in loop.store.items.candidates() if not one.holdout} - {
            pick.key for pick in loop.store.rounds.picks()
        }
