"""The cache of embeddings: append-only, shared, and honest about damage."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from alearn.errors import ModelError
from alearn.models import EmbeddingCache, cache

DIM = 7


def _keys(start: int, stop: int) -> list[str]:
    return [hashlib.sha256(str(at).encode()).hexdigest()[:32] for at in range(start, stop)]


def _x(start: int, stop: int) -> NDArray[np.float32]:
    return np.arange(start * DIM, stop * DIM, dtype=np.float32).reshape(-1, DIM)


@pytest.fixture
def filled(tmp_path: Path) -> EmbeddingCache:
    """100 embeddings in 4 shards."""
    found = EmbeddingCache(tmp_path, DIM)
    for start in range(0, 100, 25):
        found.append(_keys(start, start + 25), _x(start, start + 25))
    return found


def test_rows_come_back_in_the_order_they_are_asked_for(filled: EmbeddingCache, tmp_path: Path) -> None:
    """From every shard, doubled keys included, in this process and in a later one."""
    order = [*np.random.default_rng(0).permutation(100), 5, 5]
    keys = [_keys(0, 100)[at] for at in order]
    for one in (filled, EmbeddingCache(tmp_path, DIM)):
        found = one.rows(keys)
        assert found.dtype == np.float32
        assert np.array_equal(found, _x(0, 100)[order])
        assert len(one) == 100


def test_missing_says_what_is_not_there_once_and_in_order(filled: EmbeddingCache) -> None:
    """Doubled keys are said once."""
    strangers = _keys(200, 203)
    assert filled.missing([strangers[2], *_keys(0, 100), strangers[0], strangers[2]]) == [strangers[2], strangers[0]]
    assert filled.missing([]) == []
    assert _keys(3, 4)[0] in filled
    assert strangers[0] not in filled


def test_an_empty_cache_misses_everything(tmp_path: Path) -> None:
    """And gives no rows."""
    empty = EmbeddingCache(tmp_path / "deep/er", DIM)
    assert empty.missing(_keys(0, 2)) == _keys(0, 2)
    assert empty.rows([]).shape == (0, DIM)
    with pytest.raises(KeyError):
        empty.rows(_keys(0, 1))


def test_other_processes_see_what_was_appended(filled: EmbeddingCache, tmp_path: Path) -> None:
    """Readers that were opened before."""
    other = EmbeddingCache(tmp_path, DIM)
    filled.append(_keys(100, 120), _x(100, 120))
    assert np.array_equal(other.rows(_keys(90, 120)), _x(90, 120))
    assert other.missing(_keys(0, 120)) == []


def test_the_same_embeddings_written_twice_are_one_shard(filled: EmbeddingCache, tmp_path: Path) -> None:
    """Two processes that do the same work do no harm."""
    before = sorted(path.name for path in tmp_path.iterdir())
    EmbeddingCache(tmp_path, DIM).append(_keys(0, 25), _x(0, 25))
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("damage", ["flip in x", "flip in keys", "cut", "empty", "garbage"])
def test_a_damaged_shard_is_removed_and_what_it_held_is_missing(
    filled: EmbeddingCache, tmp_path: Path, damage: str
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
    reader = EmbeddingCache(tmp_path, DIM)
    lost = reader.missing(_keys(0, 100))
    assert len(lost) == 25
    assert len(list(tmp_path.iterdir())) == 3
    numbers = [_keys(0, 100).index(key) for key in lost]
    reader.append(lost, _x(0, 100)[numbers])
    assert reader.missing(_keys(0, 100)) == []
    assert np.array_equal(reader.rows(_keys(0, 100)), _x(0, 100))


def test_what_a_killed_writer_left_is_not_taken_for_a_shard(filled: EmbeddingCache, tmp_path: Path) -> None:
    """Files are written under another name."""
    (tmp_path / ".half.safetensors.123-ab").write_bytes(b"half")
    assert EmbeddingCache(tmp_path, DIM).missing(_keys(0, 100)) == []


def test_many_rows_are_mapped_and_leave_no_file(
    filled: EmbeddingCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million rows must not need their size in memory."""
    monkeypatch.setattr(cache, "IN_MEMORY", 1000)
    found = filled.rows(_keys(0, 100))
    assert isinstance(found, np.memmap)
    assert np.array_equal(found, _x(0, 100))
    assert len(list(tmp_path.iterdir())) == 4


def test_keys_that_share_their_first_half_are_told_apart(tmp_path: Path) -> None:
    """The index sorts by the first 64 bits."""
    keys = ["0" * 16 + f"{at:016x}" for at in (3, 1, 2)]
    one = EmbeddingCache(tmp_path, DIM)
    one.append(keys, _x(0, 3))
    assert np.array_equal(one.rows([keys[1], keys[2], keys[0]]), _x(0, 3)[[1, 2, 0]])
    stranger = "0" * 16 + f"{9:016x}"
    assert one.missing([*keys, stranger]) == [stranger]


def test_embeddings_of_another_length_are_refused(filled: EmbeddingCache, tmp_path: Path) -> None:
    """They were made by another trunk."""
    with pytest.raises(ModelError, match=r"must hold embeddings of 8 numbers\. It holds 7"):
        EmbeddingCache(tmp_path, 8)
    with pytest.raises(ValueError, match="shape"):
        filled.append(_keys(0, 2), _x(0, 3))
    with pytest.raises(ValueError, match="hexadecimal"):
        filled.append(["ab"], _x(0, 1))
