"""Copies, outliers, balance and suspected labels, as functions of arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from alearn.core.health import balance, families, near_pairs, neighbour_distance, outlyingness, strict, suspects
from alearn.core.health import copies as module
from alearn.core.health.signatures import ALIKE, picture_signature, text_kind, text_signature
from alearn.core.opinions import doubted

MATRICES = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
    elements=st.floats(-4, 4, width=16).map(lambda one: round(one, 1)),
)


@pytest.fixture(params=["all with all", "in buckets"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How rows are compared: few of them, and many."""
    if request.param == "in buckets":
        monkeypatch.setattr(module, "EXACT", 0)
    return str(request.param)


def cloud(n: int, seed: int = 0, dim: int = 32) -> np.ndarray:
    """Rows that all point about one way, as real ones do."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(dim) + rng.standard_normal((n, dim))).astype(np.float32)


def cosines(x: np.ndarray) -> np.ndarray:
    unit = x.astype(np.float64) / np.maximum(np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True), 1e-12)
    return unit @ unit.T


@given(x=MATRICES, threshold=st.sampled_from([0.5, 0.9, 0.999]))
def test_pairs_are_those_that_reach_the_threshold(x: np.ndarray, threshold: float) -> None:
    """No pair below it, and none above it is missed, but those that equal an earlier row stand behind it."""
    near, found = cosines(x), {(int(i), int(j)) for i, j in near_pairs(x, threshold)}
    assert all(i < j and near[i, j] > threshold - 1e-5 for i, j in found)
    number = families(len(x), np.array(sorted(found), dtype=np.intp).reshape(-1, 2))
    usable = x.any(axis=1)
    for i, j in zip(*np.nonzero(near >= threshold + 1e-5), strict=True):
        if usable[i] and usable[j]:
            assert number[i] == number[j]


@given(x=MATRICES, data=st.data())
def test_the_order_of_rows_does_not_matter(x: np.ndarray, data: st.DataObject) -> None:
    """Families of permuted rows are the permuted families."""
    order = np.array(data.draw(st.permutations(range(len(x)))), dtype=np.intp)
    number = families(len(x), near_pairs(x, 0.9))
    permuted = families(len(x), near_pairs(x[order], 0.9))
    assert np.array_equal(number[order][:, None] == number[order], permuted[:, None] == permuted)


def test_the_order_does_not_matter_in_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    """As above, where rows are compared by random planes."""
    monkeypatch.setattr(module, "EXACT", 0)
    x = cloud(600)
    x[300:400] = x[:100] + 0.02 * cloud(100, 1)
    order = np.random.default_rng(2).permutation(len(x))
    number, permuted = families(600, near_pairs(x, 0.99)), families(600, near_pairs(x[order], 0.99))
    assert len(np.unique(number)) < 600
    assert np.array_equal(number[order][:, None] == number[order], permuted[:, None] == permuted)


@given(n=st.integers(1, 30), data=st.data())
def test_families_are_transitive(n: int, data: st.DataObject) -> None:
    """Rows that a chain of pairs ties together have one number, the least row's, and no others do."""
    ends = st.integers(0, n - 1)
    pairs = np.array(data.draw(st.lists(st.tuples(ends, ends), max_size=30)), dtype=np.intp).reshape(-1, 2)
    number = families(n, pairs)
    assert all(number[i] == number[j] for i, j in pairs)
    assert all(number[one] == one for one in np.unique(number))
    reached = [{one} for one in range(n)]
    for _ in range(n):
        for i, j in pairs:
            reached[i] |= reached[j]
            reached[j] |= reached[i]
    assert all(number[row] == min(some) for row, some in enumerate(reached))


def test_an_exact_copy_is_always_found(way: str) -> None:
    """Wherever it stands, and at whatever threshold; also where hundreds are the same."""
    x = np.concatenate([cloud(500), cloud(500)[[7, 499]], np.repeat(cloud(1, 3), 200, axis=0)]).astype(np.float16)
    number = families(len(x), near_pairs(x, 1.0))
    assert number[500] == 7
    assert number[501] == 499
    assert len(np.unique(number[502:])) == 1
    assert len(np.unique(number)) == 501


def test_planted_copies_are_found_among_many() -> None:
    """Of 400 pairs just above the threshold among 6,000 rows that point one way, 99 % and no others."""
    x = cloud(6000, dim=128)
    unit = x[:400] / np.linalg.norm(x[:400], axis=1, keepdims=True)
    aside = cloud(400, 5, dim=128)
    aside -= (aside * unit).sum(axis=1, keepdims=True) * unit
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    x[5600:] = 0.9991 * unit + np.sqrt(1 - 0.9991**2) * aside
    pairs = near_pairs(x, 0.999)
    assert (pairs[:, 1] - pairs[:, 0] == 5600).all()
    assert len(pairs) >= 396


def test_rows_that_say_nothing_are_no_copies(way: str) -> None:
    """Zeros and what is not finite are in no pair, though they are all alike."""
    x = np.concatenate([np.zeros((3, 4)), np.full((3, 4), np.nan), np.ones((2, 4))]).astype(np.float32)
    assert near_pairs(x, 0.9).tolist() == [[6, 7]]


def test_only_rows_of_a_kind_are_pairs(way: str) -> None:
    """Neither equal rows nor near ones of different kinds."""
    x = cloud(400)
    x[100:200] = x[:100]
    x[200:300] = x[:100] + 0.001
    kinds = np.r_[np.zeros(100), np.ones(100), np.arange(100) % 2, np.zeros(100)].astype(np.intp)
    found = near_pairs(x, 0.999, kinds=kinds)
    assert sorted(map(tuple, found.tolist())) == sorted((one + 100 * (one % 2), one + 200) for one in range(100))


def test_bad_arguments_are_refused() -> None:
    """A threshold that everything reaches, or kinds of other rows."""
    with pytest.raises(ValueError, match="threshold"):
        near_pairs(cloud(3), 0.0)
    with pytest.raises(ValueError, match="kinds"):
        near_pairs(cloud(3), 0.9, kinds=np.zeros(2, dtype=np.intp))


def test_where_all_are_alike_a_copy_must_be_closer() -> None:
    """A fixed camera's pictures are no copies of each other; usual ones keep the threshold."""
    scene = np.random.default_rng(0).standard_normal(64)
    frames = (scene + 0.01 * np.random.default_rng(1).standard_normal((200, 64))).astype(np.float32)
    assert near_pairs(frames, 0.999).size
    assert not near_pairs(frames, strict(frames, 0.999)).size
    again = np.concatenate([frames, frames[:1] + 1e-6])
    assert near_pairs(again, strict(again, 0.999)).tolist() == [[0, 200]]
    assert strict(cloud(200), 0.999) == 0.999
    assert strict(frames[:7], 0.999) == 0.999


@given(
    pixels=arrays(np.uint8, (16, 16, 3), elements=st.integers(0, 120)), gain=st.floats(0.6, 2), plus=st.integers(0, 9)
)
def test_brightness_leaves_a_picture_as_it_is(pixels: np.ndarray, gain: float, plus: int) -> None:
    """Brightness and contrast that do not clip change no signature."""
    before = picture_signature(pixels)
    after = picture_signature(pixels.astype(np.float32) * gain + plus)
    if before.any() and after.any():
        assert before @ after > 0.9999


def test_a_picture_of_one_colour_has_no_signature() -> None:
    """Two blank frames are not copies: nobody knows what they show."""
    assert not picture_signature(np.full((16, 16, 3), 200)).any()


TEXT = "I have transferred money yesterday, and it has still not arrived. What is wrong with my account?"


@pytest.mark.parametrize(
    ("other", "copy"),
    [
        (TEXT.upper(), True),
        (f"\n  {TEXT.replace(' ', '   ')}\t", True),
        (TEXT.replace(",", "").replace("?", "!!"), True),
        (TEXT.replace("not ", ""), False),
        (TEXT.replace("money", "dollars"), False),
        ("What is wrong?", False),
    ],
)
def test_texts_are_copies_but_for_case_and_punctuation(other: str, copy: bool) -> None:
    """A word of few makes another text."""
    assert bool(text_signature(TEXT) @ text_signature(other) >= ALIKE["text"]) is copy


def test_texts_that_name_other_numbers_are_of_another_kind() -> None:
    """However long they are, and whatever stands around the numbers."""
    assert text_kind("send 100 to 7") == text_kind("SEND: 100 to (7)")
    assert text_kind("send 100 to 7") != text_kind("send 7 to 100")
    assert not text_signature("?! …").any()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It cost $1", "It cost €1"),
        ("Thanks 😀", "Thanks 😡"),
        ("Thanks :)", "Thanks :("),
        ("It works.", "It works?"),
        ("At -5 degrees", "At 5 degrees"),
        ("By 5%", "By 5"),
    ],
)
def test_what_turns_the_meaning_makes_another_kind(one: str, other: str) -> None:
    """Though the letters are the same."""
    assert text_signature(one) @ text_signature(other) > 0.999
    assert text_kind(one) != text_kind(other)


def test_what_is_far_from_all_is_an_outlier() -> None:
    """One row that points elsewhere than the clouds is above the limit, hardly any other is; no row is its own
    neighbour.
    """
    x = cloud(5)[np.arange(400) % 5] + 0.5 * cloud(400, 1)
    x[17] = 2 * cloud(1, 9)
    far = outlyingness(neighbour_distance(x, np.arange(300)))
    assert far.argmax() == 17
    assert far[17] > 3.5
    assert (far > 3.5).mean() < 0.02
    assert neighbour_distance(np.eye(2, dtype=np.float32), np.arange(2)).min() > 0
    assert neighbour_distance(x[:1], np.arange(1)).tolist() == [0.0]
    assert outlyingness(np.ones(5)).tolist() == [0.0] * 5


def test_distances_do_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are read piece by piece are as far as they are all at once."""
    from alearn.core.health import outliers

    x, among = cloud(50), np.arange(20)
    whole = neighbour_distance(x, among)
    monkeypatch.setattr(outliers, "BLOCK", 7)
    assert np.allclose(whole, neighbour_distance(x, among), atol=1e-6)


def test_balance_tells_what_is_rare() -> None:
    """The ratio is that of classes with labels; those without are named apart."""
    found = balance([40, 4, 0, 10])
    assert (found.ratio, found.few, found.none) == (10.0, (1,), (2,))
    assert balance([0, 0]).ratio is None


@given(data=st.data())
def test_suspects_are_what_the_model_would_not_have_said(data: st.DataObject) -> None:
    """All of them and nothing else, the least probable label first; what is doubted is among them."""
    n, classes = data.draw(st.integers(1, 20)), data.draw(st.integers(2, 4))
    raw = data.draw(arrays(np.float64, (n, classes), elements=st.floats(0.01, 1)))
    proba = raw / raw.sum(axis=1, keepdims=True)
    labels = np.array(data.draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n)), dtype=np.intp)
    rows, own = suspects(labels, proba), proba[np.arange(n), labels]
    assert sorted(rows) == np.flatnonzero(own < proba.max(axis=1)).tolist()
    assert (np.diff(own[rows]) >= 0).all()
    assert set(np.flatnonzero(doubted(labels, proba))) <= set(rows)


def test_what_the_model_does_not_know_is_not_suspected() -> None:
    """A row of NaN says nothing of its label."""
    proba = np.array([[np.nan, np.nan], [0.1, 0.9]])
    assert suspects(np.array([0, 0]), proba).tolist() == [1]
