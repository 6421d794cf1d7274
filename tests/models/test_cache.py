"""The cache of activations: append-only, shared, and honest about damage."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from alearn.errors import ModelError
from alearn.models import ActivationCache, cache, gathers

DIM = 7


def _keys(start: int, stop: int) -> list[str]:
    return [hashlib.sha256(str(at).encode()).hexdigest()[:32] for at in range(start, stop)]


def _x(start: int, stop: int) -> NDArray[np.float32]:
    return np.arange(start * DIM, stop * DIM, dtype=np.float32).reshape(-1, DIM)


@pytest.fixture
def filled(tmp_path: Path) -> ActivationCache:
    """100 embeddings in 4 shards."""
    found = ActivationCache(tmp_path, (DIM,))
    for start in range(0, 100, 25):
        found.append(_keys(start, start + 25), _x(start, start + 25))
    return found


def test_rows_come_back_in_the_order_they_are_asked_for(filled: ActivationCache, tmp_path: Path) -> None:
    """From every shard, doubled keys included, in this process and in a later one."""
    order = [*np.random.default_rng(0).permutation(100), 5, 5]
    keys = [_keys(0, 100)[at] for at in order]
    for one in (filled, ActivationCache(tmp_path, (DIM,))):
        found = one.rows(keys)
        assert found.dtype == np.float32
        assert np.array_equal(found, _x(0, 100)[order])
        assert len(one) == 100


def test_missing_says_what_is_not_there_once_and_in_order(filled: ActivationCache) -> None:
    """Doubled keys are said once."""
    strangers = _keys(200, 203)
    assert filled.missing([strangers[2], *_keys(0, 100), strangers[0], strangers[2]]) == [strangers[2], strangers[0]]
    assert filled.missing([]) == []
    assert _keys(3, 4)[0] in filled
    assert strangers[0] not in filled


def test_an_empty_cache_misses_everything(tmp_path: Path) -> None:
    """And gives no rows."""
    empty = ActivationCache(tmp_path / "deep/er", (DIM,))
    assert empty.missing(_keys(0, 2)) == _keys(0, 2)
    assert empty.rows([]).shape == (0, DIM)
    with pytest.raises(KeyError):
        empty.rows(_keys(0, 1))


def test_other_processes_see_what_was_appended(filled: ActivationCache, tmp_path: Path) -> None:
    """Readers that were opened before."""
    other = ActivationCache(tmp_path, (DIM,))
    filled.append(_keys(100, 120), _x(100, 120))
    assert np.array_equal(other.rows(_keys(90, 120)), _x(90, 120))
    assert other.missing(_keys(0, 120)) == []


def test_the_same_embeddings_written_twice_are_one_shard(filled: ActivationCache, tmp_path: Path) -> None:
    """Two processes that do the same work do no harm."""
    before = sorted(path.name for path in tmp_path.iterdir())
    ActivationCache(tmp_path, (DIM,)).append(_keys(0, 25), _x(0, 25))
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("damage", ["flip in x", "flip in keys", "cut", "empty", "garbage"])
def test_a_damaged_shard_is_removed_and_what_it_held_is_missing(
    filled: ActivationCache, tmp_path: Path, damage: str
) -> None:
    """The others stay; computing the missing ones again makes it whole."""
    path = next(iter(sorted(tmp_path.iterdir())))
    content = bytearray(path.read_bytes())
    at = {"flip in x": -4, "flip in keys": -4 - 25 * DIM * 4}.get(damage)
    if at is not None:
        content[at] ^= 1
    else:
        content = {"cut": content[:-1], "empty": bytearray(), "garbage": bytearray(b"\xff" * 300)}[damage]
    path.write_bytes(content)
    reader = ActivationCache(tmp_path, (DIM,))
    lost = reader.missing(_keys(0, 100))
    assert len(lost) == 25
    assert len(list(tmp_path.iterdir())) == 3
    numbers = [_keys(0, 100).index(key) for key in lost]
    reader.append(lost, _x(0, 100)[numbers])
    assert reader.missing(_keys(0, 100)) == []
    assert np.array_equal(reader.rows(_keys(0, 100)), _x(0, 100))


def test_what_a_killed_writer_left_is_not_taken_for_a_shard(filled: ActivationCache, tmp_path: Path) -> None:
    """Files are written under another name."""
    (tmp_path / ".half.safetensors.123-ab").write_bytes(b"half")
    assert ActivationCache(tmp_path, (DIM,)).missing(_keys(0, 100)) == []


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "IN_MEMORY", 1000)


def _gathers(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix != ".safetensors"}


@pytest.mark.usefixtures("little_memory")
def test_many_rows_are_gathered_once_into_a_file(filled: ActivationCache, tmp_path: Path) -> None:
    """A million rows must not need their size in memory, nor a copy every round: a later process finds the file."""
    keys = _keys(0, 100)[::-1]
    found = filled.rows(keys)
    assert isinstance(found, np.memmap)
    assert np.array_equal(found, _x(0, 100)[::-1])
    (name,) = _gathers(tmp_path)
    for path in tmp_path.glob("*.safetensors"):
        path.unlink()
    later = ActivationCache(tmp_path, (DIM,)).rows(keys)
    assert np.array_equal(later, _x(0, 100)[::-1])
    assert _gathers(tmp_path) == {name}


@pytest.mark.usefixtures("little_memory")
def test_rows_in_another_order_or_of_other_items_are_another_file(filled: ActivationCache, tmp_path: Path) -> None:
    """And one that was cut short is gathered again."""
    filled.rows(_keys(0, 100))
    assert np.array_equal(filled.rows(_keys(0, 99)), _x(0, 99))
    assert np.array_equal(filled.rows(_keys(0, 100)[::-1]), _x(0, 100)[::-1])
    assert len(_gathers(tmp_path)) == 3
    for name in _gathers(tmp_path):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-1])
    assert np.array_equal(filled.rows(_keys(0, 99)), _x(0, 99))


@pytest.mark.usefixtures("little_memory")
def test_gathered_files_that_nobody_uses_are_removed(filled: ActivationCache, tmp_path: Path) -> None:
    """All but the latest ones, and what a killed process left; who has one mapped can read on."""
    first = filled.rows(_keys(0, 100))
    for stop in (98, 97, 96):
        filled.rows(_keys(0, stop))
    (tmp_path / ".rows-0.123-ab").write_bytes(b"half")
    assert len(_gathers(tmp_path)) == 5
    for at, name in enumerate(_gathers(tmp_path)):
        os.utime(tmp_path / name, (0, time.time() - gathers.YOUNG - 10 - at))
    filled.rows(_keys(0, 95))
    assert len(_gathers(tmp_path)) == gathers.KEPT
    assert np.array_equal(first, _x(0, 100))


@pytest.mark.usefixtures("little_memory")
def test_nothing_is_gathered_where_an_item_is_missing(filled: ActivationCache, tmp_path: Path) -> None:
    """No half-written file is left, whatever its size."""
    with pytest.raises(KeyError):
        filled.rows(_keys(0, 101))
    assert _gathers(tmp_path) == set()


def test_activations_of_any_shape_and_type_are_kept_as_they_are(tmp_path: Path) -> None:
    """Half precision, maps; and what is of another type is refused."""
    x = np.random.default_rng(0).normal(size=(6, 4, 3, 2)).astype(np.float16)
    for start in (0, 3):
        ActivationCache(tmp_path, (4, 3, 2), np.float16).append(_keys(start, start + 3), x[start : start + 3])
    found = ActivationCache(tmp_path, (4, 3, 2), np.float16).rows(_keys(0, 6)[::-1])
    assert found.dtype == np.float16
    assert np.array_equal(found, x[::-1])
    with pytest.raises(ModelError, match=r"must hold 4 × 3 × 2 numbers in float32 .* It holds .* in float16"):
        ActivationCache(tmp_path, (4, 3, 2))


def test_keys_that_share_their_first_half_are_told_apart(tmp_path: Path) -> None:
    """The index sorts by the first 64 bits."""
    keys = ["0" * 16 + f"{at:016x}" for at in (3, 1, 2)]
    one = ActivationCache(tmp_path, (DIM,))
    one.append(keys, _x(0, 3))
    assert np.array_equal(one.rows([keys[1], keys[2], keys[0]]), _x(0, 3)[[1, 2, 0]])
    stranger = "0" * 16 + f"{9:016x}"
    assert one.missing([*keys, stranger]) == [stranger]


def test_embeddings_of_another_length_are_refused(filled: ActivationCache, tmp_path: Path) -> None:
    """They were made by another trunk."""
    with pytest.raises(ModelError, match=r"must hold 8 numbers in float32 for each item\. It holds 7"):
        ActivationCache(tmp_path, (8,))
    with pytest.raises(ValueError, match="shape"):
        filled.append(_keys(0, 2), _x(0, 3))
    with pytest.raises(ValueError, match="hexadecimal"):
        filled.append(["ab"], _x(0, 1))
