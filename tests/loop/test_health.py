"""What `alearn health` finds in a loop, and asking again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageEnhance

from alearn.config import Config
from alearn.loop.controller import run
from alearn.loop.health import Family, Member, ask_again, health, suspected
from alearn.loop.undertaking import opened

Make = Callable[..., Config]


@pytest.fixture
def careless(config: Make, digit_photos: Any, tmp_path: Path) -> Make:
    """A loop of 300 digits and three annotators, one of whom is wrong in a fifth of the answers."""
    photos = digit_photos(tmp_path / "many", 300)

    def make(**sections: Any) -> Config:
        options = {"annotators": 3, "accuracy": [1.0, 1.0, 0.8]}
        base: dict[str, Any] = {
            "items": {"path": str(photos)},
            "query": {"batch": 40, "strategy": "random"},
            "holdout": {"size": 30},
            "budget": {"labels": 220},
            "platform": {"name": "simulated", "options": options},
        }
        return config(**{**base, **sections})

    return make


def wrong(loop: Any) -> set[str]:
    """The keys outside the hold-out whose label is not the known answer."""
    labels = {label.key: label.value for label, _ in loop.store.annotations.labels() if not label.holdout}
    truths = loop.store.items.truths(list(labels))
    return {key for key, value in labels.items() if value != truths[key]}


def test_wrong_labels_come_first(careless: Make) -> None:
    """Of the ten most suspect labels more are wrong than of all, and none is of the hold-out or marked as the truth."""
    with opened(careless()) as loop:
        run(loop)
        found = health(loop)
        bad, held = wrong(loop), {one.key for one in loop.store.items.candidates() if one.holdout}
        labels = len(loop.store.annotations.training(holdout=False).keys)
    assert found.suspects
    top = [one.key for one in found.suspects[:10]]
    assert sum(key in bad for key in top) / len(top) > 2 * len(bad) / labels
    assert not held & {one.key for one in found.suspects}
    assert all(one.given != one.suggested and one.probability < one.confidence for one in found.suspects)
    assert found.people == 3
    assert sum(found.counts.values()) == 220


def test_asking_again_corrects_labels_and_is_done_once(careless: Make) -> None:
    """Another person is asked about each of them, once however often it is said, and never about hold-out items."""
    with opened(careless()) as loop:
        run(loop)
        before, some = wrong(loop), suspected(loop)[:15]  # type: ignore[index]
        first = ask_again(loop, some)
        second = ask_again(loop, suspected(loop)[:15])  # type: ignore[index]
        open_ = {pick.key: pick for pick in loop.store.rounds.picks(open_only=True)}
        run(loop)
        said = {key: set[str]() for key in first.now}
        for row in loop.store.annotations.all():
            if row.key in said:
                said[row.key].add(row.annotator)
        after = wrong(loop)
        look = loop.store.look()
    assert set(first.now) == {one.key for one in some} == open_.keys()
    assert (second.now, set(second.before)) == ((), set(first.now))
    assert all(pick.opinions == 2 and pick.label is None for pick in open_.values())
    assert all(len(people) == 2 for people in said.values())
    assert look.labels == 220, "an item that is asked about again is paid for once"
    assert len(after) <= len(before)


def test_enough_opinions_are_enough(careless: Make) -> None:
    """Where one opinion is all that an item may have, none is asked for."""
    with opened(careless(consensus={"opinions": 1})) as loop:
        run(loop)
        some = suspected(loop)[:5]  # type: ignore[index]
        asked = ask_again(loop, some)
        assert not loop.store.rounds.picks(open_only=True)
    assert (asked.now, asked.before) == ((), ())
    assert len(asked.enough) == len(some) == 5


def test_few_labels_raise_no_suspicion(config: Make) -> None:
    """Below ten labels a class nothing is said of any label, and nothing is asked again."""
    with opened(config(budget={"labels": 15})) as loop:
        run(loop)
        found = health(loop)
    assert found.suspects is None


def test_a_leak_is_told(config: Make, digit_photos: Any, tmp_path: Path) -> None:
    """A copy that was added after its original was labeled on the other side of the hold-out."""
    folder = digit_photos(tmp_path / "leaky", 40)
    with opened(config(items={"path": str(folder)}, budget={"labels": 1000})) as loop:
        run(loop)
        candidates = loop.store.items.candidates()
        one = next(one for one in candidates if not one.holdout)
        (item,) = loop.store.items.contents([one.key]).values()
        uri = Path(str(item.uri))
        with Image.open(uri) as image:
            ImageEnhance.Brightness(image).enhance(0.8).save(uri.with_name("again.png"))
        row = {"key": "f" * 32, "uri": str(uri.with_name("again.png")), "text": None, "group": "f" * 32}
        loop.store.items.add([{**row, "truth": uri.parent.name, "holdout": True}])
        found = health(loop)
    (family,) = found.families
    assert family.straddles
    assert {member.what for member in family.members} == {str(uri), str(uri.with_name("again.png"))}
    assert {member.key: member.label for member in family.members}[one.key] == uri.parent.name


def test_what_a_family_says_of_itself() -> None:
    """It leaks only if both sides are labeled, and disagrees if two labels differ."""

    def family(*members: tuple[bool, str | None]) -> Family:
        return Family(tuple(Member(str(at), "", *one) for at, one in enumerate(members)))

    assert not family((False, "a"), (False, None)).straddles
    assert family((False, "a"), (True, None)).straddles
    assert not family((False, "a"), (True, None)).leaks
    assert family((False, "a"), (True, "a")).leaks
    assert not family((False, "a"), (True, "a")).disagrees
    assert family((False, "a"), (False, "b")).disagrees


def test_what_is_like_no_other_is_an_outlier(config: Make, digit_photos: Any, tmp_path: Path) -> None:
    """A picture of noise among digits."""
    import numpy as np

    folder = digit_photos(tmp_path / "strange", 200)
    noise = np.random.default_rng(0).integers(0, 256, (16, 16)).astype(np.uint8)
    Image.fromarray(noise).save(folder / "even" / "noise.png")
    with opened(config(items={"path": str(folder)}, budget={"labels": 20})) as loop:
        run(loop)
        found = health(loop)
    assert found.outliers
    assert Path(found.outliers[0].what).name == "noise.png"
    assert json.dumps([one.deviations for one in found.outliers])
