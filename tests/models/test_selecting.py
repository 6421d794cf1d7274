"""From names to a choice, with real networks: what cannot be used is left out, what is said was measured."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from alearn.core.keys import content_key
from alearn.data import read_image
from alearn.errors import ModelError
from alearn.models import Trunk, load_trunk
from alearn.models.embeddings import Entry
from alearn.models.selecting import Selection, select, spread_taps

Digits = tuple[list[Entry], list[int]]


@pytest.fixture(scope="module")
def digits(digit_photos: Callable[[Path, int], Path], tmp_path_factory: pytest.TempPathFactory) -> Digits:
    """60 photos of digits, 16 px, and whether they are odd."""
    folder = digit_photos(tmp_path_factory.mktemp("digits"), 60)
    files = sorted(folder.rglob("*.png"), key=lambda file: int(file.stem))
    items: list[Entry] = [(content_key(file.read_bytes()), str(file), None) for file in files]
    return items, [int(target) % 2 for target in load_digits().target[:60]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("selection")


@pytest.fixture
def choose(digits: Digits, folder: Path, trunks: Path) -> Callable[..., Selection]:
    """Select for the digits; `count` of the labels."""

    def run(names: list[str], count: int = 60, **how: Any) -> Selection:
        items, y = digits
        known = {"metric": "accuracy", "seed": 0, "folder": folder, "trunks": trunks, "size": 32, "measured": 1}
        return select(names, "image", items[:count], y[:count], 2, **{**known, **how})

    return run


NETWORKS = ["efficientnet-lite0", "pixels"]


def test_a_network_and_a_tap_are_chosen(choose: Callable[..., Selection]) -> None:
    """Several taps of each network, ordered, with intervals; what the first costs was measured, of the cut network."""
    told: list[tuple[str, int, int | None]] = []
    found = choose(NETWORKS, report=lambda *at: told.append(at))
    assert {option.network for option in found.rows} == set(NETWORKS)
    assert len(found.rows) == 7 + 1
    assert found.labels == 60
    assert found.left_out == {}
    first = found.first
    assert first.row.score.low < first.row.score.value < first.row.score.high
    assert first.cost is not None
    assert first.cost.items_per_second > 0
    assert first.cost.megabytes == pytest.approx(first.cost.parameters * 4e-6)
    assert all(option.cost is None for option in found.rows[1:])
    assert set(found.ties) == {option for option in found.rows[1:] if option.row.tied}
    assert found.reason.startswith(f"{first.title}: accuracy 0.")
    assert "on 60 labels" in found.reason
    assert {"Comparing candidates", "Embedding with efficientnet-lite0"} <= {what for what, _, _ in told}


def test_the_embeddings_of_a_tap_are_those_of_the_network_cut_there(
    choose: Callable[..., Selection], digits: Digits, trunks: Path
) -> None:
    """They were taken from a trunk with several taps."""
    found = choose(["efficientnet-lite0"], 20, measured=0)
    option = next(one for one in found.rows if one.tap == "block8")
    trunk = load_trunk("efficientnet-lite0", "image", size=32, taps=["block8"], folder=trunks)
    wanted = trunk.embed([trunk.prepare(read_image(str(digits[0][at][1]))) for at in (0, 19)])
    assert option.row.candidate.x[[0, 19]] == pytest.approx(wanted, abs=1e-3)
    assert option.width == trunk.dim


def test_what_cannot_be_used_is_left_out_with_its_reason(choose: Callable[..., Selection], tmp_path: Path) -> None:
    """A name that is none, weights that are absent, cut short, of another network, or a program; the others go on."""
    state = tmp_path / "state.pth"
    torch.save({"weight": torch.zeros(3)}, state)
    broken = tmp_path / "broken.pth"
    broken.write_bytes(state.read_bytes()[:60])
    evil = tmp_path / "evil.pth"
    evil.write_bytes(pickle.dumps(print, protocol=2))
    files = [state, broken, evil, tmp_path / "absent.pth"]
    names = ["nonsense", "minilm", *(f"efficientnet-lite0@{file}" for file in files), "pixels"]
    found = choose(names, 30, measured=0)
    assert list(found.left_out) == names[:-1]
    assert all(len(reason) > 20 for reason in found.left_out.values())
    assert found.first.network == "pixels"


def test_nothing_but_what_cannot_be_used_is_an_error(choose: Callable[..., Selection]) -> None:
    """With the reason of each."""
    with pytest.raises(ModelError, match=r"None is\. nonsense: .*must be"):
        choose(["nonsense"])
    with pytest.raises(ModelError, match="Name one"):
        choose([])


def test_unreadable_items_are_passed_over(choose: Callable[..., Selection], digits: Digits, folder: Path) -> None:
    """Their labels, too."""
    items, y = digits
    bad: list[Entry] = [("0" * 32, str(folder / "absent.png"), None), ("1" * 32, None, None)]
    known = {"metric": "accuracy", "seed": 0, "folder": folder, "trunks": folder / "trunks", "measured": 0}
    found = select(["pixels"], "image", [*bad, *items[:20]], [0, 1, *y[:20]], 2, **known)
    assert found.labels == 20


def test_no_label_at_all_is_an_answer_that_says_so(choose: Callable[..., Selection]) -> None:
    """Where every labeled item was unreadable, size decides."""
    found = choose(["pixels", "efficientnet-lite0"], 0, measured=0)
    assert found.first.network == "efficientnet-lite0"
    assert "0 labels cannot tell" in found.reason


def test_of_very_many_labels_a_share_of_every_class_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, choose: Callable[..., Selection], digits: Digits
) -> None:
    """The same ones each time; of a rare class one at least."""
    monkeypatch.setattr("alearn.models.selecting.MOST_LABELS", 40)
    found = choose(["pixels"], measured=0)
    again = choose(["pixels"], measured=0)
    assert found.labels == 40
    assert np.array_equal(found.first.row.candidate.x, again.first.row.candidate.x)


@pytest.mark.parametrize(
    ("count", "wanted"), [(1, [0]), (2, [0, 1]), (5, [1, 2, 3, 4]), (18, [6, 7, 9, 11, 13, 15, 17])]
)
def test_taps_are_spread_over_the_last_two_thirds(count: int, wanted: list[int]) -> None:
    """The last is always among them."""
    taps = [f"t{at}" for at in range(count)]
    assert spread_taps(taps) == [taps[at] for at in wanted]


def test_texts_are_compared_as_texts(minilm: Trunk, trunks: Path, tmp_path: Path) -> None:
    """The kind of data decides how items are read; a size of images means nothing to them."""
    said = [("my card was stolen", 0), ("I lost my card", 0), ("what is the exchange rate", 1), ("rate of the euro", 1)]
    texts = [(f"{text} {word}", label) for word in ("today", "again", "please", "now") for text, label in said]
    items: list[Entry] = [(content_key(text.encode()), None, text) for text, _ in texts]
    known = {"metric": "accuracy", "size": 96, "seed": 0, "folder": tmp_path, "trunks": trunks, "measured": 0}
    found = select(["minilm", "pixels"], "text", items, [label for _, label in texts], 2, **known)
    assert list(found.left_out) == ["pixels"]
    assert {option.network for option in found.rows} == {minilm.name}
    assert found.first.row.score.value > 0.9
    assert "with fewer than 100 labels" in found.reason
