"""Near copies in a loop: asked about once, and not at all where the hold-out has one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageEnhance

from alearn.config import Config
from alearn.loop.controller import run
from alearn.loop.copies import Copies, copies_of
from alearn.loop.plan import Step
from alearn.loop.replaying import replay
from alearn.loop.status import status_of
from alearn.loop.undertaking import Undertaking, opened

Make = Callable[..., Config]

DIGITS = 30


@pytest.fixture
def thrice(config: Make, digit_photos: Any, tmp_path: Path) -> Make:
    """A loop of thirty digits, each there three times: as it is, a little darker, and as a JPEG."""
    folder = digit_photos(tmp_path / "thrice", DIGITS)
    for path in sorted(folder.rglob("*.png")):
        with Image.open(path) as image:
            ImageEnhance.Brightness(image).enhance(0.8).save(path.with_name(f"{path.stem}-dark.png"))
            image.save(path.with_name(f"{path.stem}-again.jpg"), quality=97)

    def make(**sections: Any) -> Config:
        sections = {"holdout": {"size": 0}, "budget": {"labels": 1000}, **sections}
        return config(items={"path": str(folder)}, **sections)

    return make


def digit(uri: str | None) -> str:
    """Which digit a picture is of."""
    return Path(str(uri)).stem.partition("-")[0]


def labeled(loop: Undertaking, *, holdout: bool) -> list[str]:
    """The digits that have a label on one side, each as often as it has."""
    return [digit(item.uri) for label, item in loop.store.annotations.labels() if label.holdout is holdout]


def sides(loop: Undertaking) -> tuple[set[str], set[str]]:
    """The digits of which the hold-out has a picture, and all."""
    candidates = loop.store.items.candidates()
    contents = loop.store.items.contents([one.key for one in candidates])
    held = {digit(contents[one.key].uri) for one in candidates if one.holdout}
    return held, {digit(contents[one.key].uri) for one in candidates}


@pytest.mark.parametrize("strategy", ["margin", "random"])
def test_every_family_is_asked_about_once(thrice: Make, strategy: str) -> None:
    """By strategies and by chance; then the pool is empty and the loop is done."""
    with opened(thrice(query={"strategy": strategy}, guard={"share": 0.3})) as loop:
        assert run(loop).step is Step.DONE
        assert sorted(labeled(loop, holdout=False)) == sorted(map(str, range(DIGITS)))
        families = copies_of(loop, loop.store.items.candidates()).families
        closed = [pick for pick in loop.store.rounds.picks() if pick.closed == "copy"]
        left = loop.snapshot().selectable
    assert [len(one) for one in families] == [3] * DIGITS
    assert len(closed) == 2 * DIGITS
    assert left == 0


def test_status_counts_no_copy_that_is_never_asked_about(thrice: Make) -> None:
    """Of a family two are left out before any of it is asked about; at the end, and with `copies: each`, none is."""
    with opened(thrice(budget={"labels": 10})) as loop:
        run(loop)
        assert loop.store.look().pool_left == 3 * DIGITS - 10
        assert status_of(loop)["selectable"] == DIGITS - 10
    with opened(thrice(budget={"labels": 10}, query={"copies": "each"})) as loop:
        assert status_of(loop)["selectable"] == 3 * DIGITS - 10
    with opened(thrice()) as loop:
        run(loop)
        assert status_of(loop)["selectable"] == 0


def test_a_family_on_both_sides_is_never_trained_on(thrice: Make) -> None:
    """What the hold-out has a picture of is asked about there alone; what it has none of is asked about once."""
    with opened(thrice(holdout={"size": 60, "share": 0.2})) as loop:
        assert run(loop).step is Step.DONE
        trained, measured = labeled(loop, holdout=False), labeled(loop, holdout=True)
        held, all_ = sides(loop)
        told = json.loads(loop.store.rounds.selections()[0].facts)["copies"]
    assert 0 < len(held) < len(all_)
    assert set(measured) == held
    assert sorted(trained) == sorted(all_ - held)
    assert told["families"] == DIGITS
    assert told["holdout"] > 0
    assert told["left_out"] >= told["holdout"]


def test_the_holdout_is_drawn_as_without_copies(thrice: Make) -> None:
    """Who is held out, and in which order, does not depend on what is a copy of what."""
    drawn = []
    for name in ("once", "each"):
        with opened(thrice(query={"copies": name}, holdout={"size": 8}, budget={"labels": 20}, home=f"{name}")) as loop:
            run(loop)
            drawn.append({pick.key for pick in loop.store.rounds.picks() if pick.purpose == "holdout"})
    assert drawn[0] == drawn[1]


def test_each_copy_is_asked_about_where_that_is_wanted(thrice: Make) -> None:
    """`query.copies: each` asks about all items, and looks for no copies."""
    with opened(thrice(query={"copies": "each"})) as loop:
        run(loop)
        assert len(labeled(loop, holdout=False)) == 3 * DIGITS
        assert not (loop.config.home_ / "health").exists()
        assert "copies" not in json.loads(loop.store.rounds.selections()[0].facts)


def test_items_without_copies_are_all_asked_about(config: Make) -> None:
    """Sixty digits are sixty items."""
    with opened(config(holdout={"size": 0}, budget={"labels": 1000})) as loop:
        run(loop)
        assert copies_of(loop, loop.store.items.candidates()) == Copies()
        assert len(labeled(loop, holdout=False)) == 60


def test_copies_that_come_later_are_found(thrice: Make, tmp_path: Path) -> None:
    """What is added is compared with what is there, and nothing is read twice."""
    with opened(thrice(budget={"labels": 10})) as loop:
        run(loop)
        candidates = loop.store.items.candidates()
        signatures = next((loop.config.home_ / "embeddings").glob("signatures-*"))
        before = {path: path.stat().st_mtime_ns for path in signatures.glob("*.safetensors")}
        some = copies_of(loop, candidates[:60])
        assert len(some.families) < DIGITS
        assert copies_of(loop, candidates) == copies_of(loop, candidates)
        assert len(copies_of(loop, candidates).families) == DIGITS
        after = {path: path.stat().st_mtime_ns for path in signatures.glob("*.safetensors")}
    assert before == after


def test_a_damaged_file_of_families_is_made_again(thrice: Make) -> None:
    """Half a file is none."""
    with opened(thrice(budget={"labels": 10})) as loop:
        run(loop)
        path, candidates = loop.config.home_ / "health" / "copies.json", loop.store.items.candidates()
        whole = path.read_bytes()
        for damage in (whole[: len(whole) // 2], b"[]", b'{"items": 1}', b"\xff"):
            path.write_bytes(damage)
            assert len(copies_of(loop, candidates).families) == DIGITS
            assert path.read_bytes() == whole


def test_a_round_with_copies_is_replayed(thrice: Make) -> None:
    """The picks, those that only close the copies too, come out the same again."""
    with opened(thrice(query={"batch": 7})) as loop:
        run(loop)
        numbers = [row.number for row, _ in loop.store.rounds.history()]
        verdicts = {number: {part.name: part.verdict for part in replay(loop, number).parts} for number in numbers}
        closing = {pick.round for pick in loop.store.rounds.picks() if pick.closed == "copy"}
    assert closing <= set(numbers)
    assert closing
    assert all("differs" not in found.values() for found in verdicts.values())
    assert all(verdicts[number]["picks"] == "same" for number in closing)


def test_texts_are_compared_too(config: Make, tmp_path: Path) -> None:
    """A text in capitals is a copy; one that names another number is not."""
    texts = ["Where is my card number 12?", "WHERE IS MY CARD, NUMBER 12?", "Where is my card number 13?", "What a day"]
    (tmp_path / "texts.csv").write_text("text,truth\n" + "".join(f'"{one}",even\n' for one in texts))
    made = config(
        items={"path": str(tmp_path / "texts.csv"), "truth": None, "truth_column": "truth"},
        task={"data": "text"},
        model={"name": "minilm"},
        holdout={"size": 0},
    )
    with opened(made) as loop:
        from alearn.loop.intake import take_in

        take_in(loop)
        (family,) = copies_of(loop, loop.store.items.candidates()).families
        contents = loop.store.items.contents(family)
    assert {one.text for one in contents.values()} == set(texts[:2])


def test_an_unreadable_item_is_no_copy_and_stops_nothing(thrice: Make) -> None:
    """A picture that was damaged since it was added is put aside by those who need it; the others keep their copies."""
    with opened(thrice(budget={"labels": 20})) as loop:
        from alearn.loop.intake import take_in

        take_in(loop)
        item = loop.store.items.contents([loop.store.items.candidates()[0].key]).popitem()[1]
        Path(str(item.uri)).write_bytes(b"no picture")
        families = copies_of(loop, loop.store.items.candidates()).families
        assert sum(len(one) for one in families) == 3 * DIGITS - 1
        assert run(loop).step is Step.DONE
        assert len(loop.store.annotations.labels()) == 20


def test_beside_and_twins() -> None:
    """Keys whose family has one of some; numbers that only twins share, also where a member is not among the keys."""
    found = Copies((("a", "c"), ("b", "d", "e")))
    assert found.beside({"c", "x"}) == {"a"}
    twins = found.twins(["a", "b", "x", "e"])
    assert twins is not None
    assert twins.tolist() == [0, 1, 2, 1]
    assert Copies().twins(["a"]) is None
