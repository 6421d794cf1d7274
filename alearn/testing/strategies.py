"""What every query strategy must hold to, as a suite that its author runs.

Every test states one rule of a Strategy; a rule about something your strategy does not have is skipped.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from alearn.core.strategies import Need, Pool, Strategy, resolve
from alearn.errors import StrategyError

ARRAYS = ("proba", "embeddings", "votes", "labels", "annotations", "selectable", "labeled")


def pool_of(size: int, *, dim: int = 6, classes: int = 3, labeled: int = 5, seed: int = 0) -> Pool:
    """A pool of random items without ties: clustered embeddings, and probabilities and votes that follow from them."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(classes, dim)) * 2
    x = (centers[rng.integers(classes, size=size)] + rng.normal(size=(size, dim))).astype(np.float32)
    logits = x @ rng.normal(size=(dim, classes))
    proba = np.exp(logits - logits.max(axis=1, keepdims=True))
    known = np.zeros(size, bool)
    known[rng.permutation(size)[: min(labeled, size)]] = True
    answers = np.where(known, proba.argmax(axis=1), -1)
    return Pool(
        proba=(proba / proba.sum(axis=1, keepdims=True)).astype(np.float32),
        embeddings=x,
        selectable=~known,
        labeled=known,
        votes=votes_of(x, classes, rng),
        labels=answers,
        annotations=annotations_of(answers, classes, rng),
    )


def votes_of(x: NDArray[np.float32], classes: int, rng: np.random.Generator, members: int = 4) -> NDArray[np.float32]:
    """What a committee of random linear models says of items (N, D): (members, N, classes)."""
    logits = x @ rng.normal(size=(members, x.shape[1], classes))
    votes = np.exp(logits - logits.max(axis=2, keepdims=True))
    return np.asarray(votes / votes.sum(axis=2, keepdims=True), dtype=np.float32)


def annotations_of(
    answers: NDArray[np.intp], classes: int, rng: np.random.Generator, annotators: int = 3
) -> NDArray[np.intp]:
    """What annotators who err now and then said of the items whose answer (N,) is known: (N, annotators), -1 = none."""
    slips = rng.integers(classes, size=(len(answers), annotators))
    said = np.where(rng.random(slips.shape) < 0.8, answers[:, None], slips)
    return np.where((answers[:, None] >= 0) & (rng.random(slips.shape) < 0.7), said, -1)


def rows_of(pool: Pool, rows: NDArray[np.intp]) -> Pool:
    """The pool of these rows of another, in their order; a row may be repeated."""
    by_row = ("proba", "embeddings", "selectable", "labeled", "costs", "twins", "labels", "annotations")
    arrays = {name: getattr(pool, name) for name in by_row}
    some = {name: array[rows] for name, array in arrays.items() if array is not None}
    return replace(pool, **some, votes=None if pool.votes is None else pool.votes[:, rows])


class StrategyConformance:
    """Set `name` to what `alearn.core.strategies.resolve` understands, or override the fixture `strategy`.

    Set `random` where the strategy draws at random even among items that differ, or has ties by its nature.
    """

    name: str
    random = False

    @pytest.fixture
    def strategy(self) -> Strategy:
        """The strategy under test."""
        return resolve(self.name)

    @pytest.fixture
    def draws(self, strategy: Strategy) -> bool:
        """Does the strategy draw at random? Override it where one class tests several."""
        return self.random

    @pytest.mark.parametrize(("size", "n"), [(60, 1), (60, 7), (60, 55), (200, 40), (6, 1)])
    def test_returns_as_many_unique_selectable_rows_as_asked_for(self, strategy: Strategy, size: int, n: int) -> None:
        """The picks are n distinct rows of the mask."""
        pool = pool_of(size)
        rows = strategy.select(pool, n, np.random.default_rng(1))
        assert len(set(rows.tolist())) == len(rows) == n
        assert pool.selectable[rows].all()

    def test_returns_all_that_is_left_when_the_pool_is_short(self, strategy: Strategy) -> None:
        """Fewer selectable rows than asked for: every one of them."""
        pool = pool_of(20, labeled=12)
        rows = strategy.select(pool, 50, np.random.default_rng(1))
        assert sorted(rows.tolist()) == np.flatnonzero(pool.selectable).tolist()

    @pytest.mark.parametrize("n", [0, 5])
    def test_returns_nothing_when_there_is_nothing(self, strategy: Strategy, n: int) -> None:
        """No row selectable, or none asked for: an empty array of integers."""
        pool = pool_of(10)
        pool = replace(pool, selectable=np.zeros(10, bool)) if n else pool
        rows = strategy.select(pool, n, np.random.default_rng(1))
        assert rows.shape == (0,)
        assert np.issubdtype(rows.dtype, np.integer)

    def test_same_randomness_gives_the_same_picks(self, strategy: Strategy) -> None:
        """A round can be replayed: nothing depends on global random state or on what was called before."""
        pool = pool_of(100)
        np.random.seed(3)
        first = strategy.select(pool, 10, np.random.default_rng(7))
        np.random.seed(4)
        assert strategy.select(pool, 10, np.random.default_rng(7)).tolist() == first.tolist()

    def test_leaves_the_pool_as_it_was(self, strategy: Strategy) -> None:
        """The arrays may be memory-mapped read-only: they are read-only here."""
        pool = pool_of(50)
        arrays = [getattr(pool, name) for name in ARRAYS]
        before = [array.copy() for array in arrays]
        for array in arrays:
            array.setflags(write=False)
        strategy.select(pool, 10, np.random.default_rng(0))
        assert all(np.array_equal(one, other) for one, other in zip(before, arrays, strict=True))

    def test_picks_from_a_memory_mapped_pool_as_from_memory(self, strategy: Strategy, tmp_path: Path) -> None:
        """Where the numbers lie makes no difference."""
        pool = pool_of(300)
        mapped = {}
        for name in ("proba", "embeddings", "votes"):
            np.save(tmp_path / f"{name}.npy", getattr(pool, name))
            mapped[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
        there = strategy.select(replace(pool, **mapped), 20, np.random.default_rng(0))
        assert there.tolist() == strategy.select(pool, 20, np.random.default_rng(0)).tolist()

    @pytest.mark.parametrize("labeled", [0, 1, 30])
    def test_copes_with_items_that_are_all_alike(self, strategy: Strategy, labeled: int) -> None:
        """Duplicates, zero vectors and a model that says the same of everything: still the right number of picks."""
        pool = pool_of(60, labeled=labeled)
        assert pool.embeddings is not None
        assert pool.proba is not None
        for x in (np.zeros_like(pool.embeddings), np.ones_like(pool.embeddings), pool.embeddings[[0] * 60]):
            same = np.full_like(pool.proba, 1 / 3)
            alike = replace(pool, embeddings=x, proba=same, votes=np.stack([same] * 3))
            assert len(strategy.select(alike, 20, np.random.default_rng(0))) == 20

    @pytest.mark.parametrize("classes", [1, 2])
    def test_copes_with_one_class_and_with_certainty(self, strategy: Strategy, classes: int) -> None:
        """A model that knows one class, or is sure of everything, is no reason to fail."""
        pool = pool_of(40)
        proba = np.zeros((40, classes), np.float32)
        proba[:, 0] = 1
        known = np.where(pool.labeled, 0, -1)
        sure = replace(pool, proba=proba, votes=proba[None], labels=known, annotations=known[:, None])
        assert len(strategy.select(sure, 12, np.random.default_rng(0))) == 12

    def test_copes_with_a_single_item(self, strategy: Strategy) -> None:
        """A pool of one item and nothing else."""
        assert strategy.select(pool_of(1, labeled=0), 3, np.random.default_rng(0)).tolist() == [0]

    def test_works_in_half_and_in_double_precision(self, strategy: Strategy) -> None:
        """Embeddings are kept in whatever float type saves space."""
        pool = pool_of(80)
        assert pool.embeddings is not None
        for kind in (np.float16, np.float64):
            rows = strategy.select(replace(pool, embeddings=pool.embeddings.astype(kind)), 10, np.random.default_rng(0))
            assert len(rows) == 10

    @pytest.mark.parametrize("n", [1, 12])
    def test_the_order_of_the_rows_does_not_matter(self, strategy: Strategy, n: int, draws: bool) -> None:
        """Shuffled items without ties give the same items. Skipped for what draws at random."""
        if draws:
            pytest.skip("it draws at random")
        pool = pool_of(60, seed=2)
        order = np.random.default_rng(3).permutation(60)
        shuffled = order[strategy.select(rows_of(pool, order), n, np.random.default_rng(4))]
        assert set(shuffled) == set(strategy.select(pool, n, np.random.default_rng(4)))

    @pytest.mark.parametrize("array", ["proba", "embeddings", "votes"])
    def test_what_is_no_number_is_refused(self, strategy: Strategy, array: Need) -> None:
        """Not a number, or infinity, in what the strategy needs of one selectable item: an error that says so."""
        if array not in strategy.needs:
            pytest.skip(f"it does not need {array}")
        for value in (np.nan, np.inf):
            pool = pool_of(30)
            getattr(pool, array)[..., pool.rows[7], 1] = value
            with pytest.raises(StrategyError, match="finite"):
                strategy.select(pool, 5, np.random.default_rng(0))

    def test_twins_are_asked_once(self, strategy: Strategy) -> None:
        """Of near copies one is picked at most, and none of a labeled item."""
        pool = pool_of(60, labeled=6)
        pool = replace(pool, twins=np.arange(60) // 3)
        assert pool.twins is not None
        there = set(pool.twins[pool.rows]) - set(pool.twins[pool.labeled])
        picks = strategy.select(pool, 60, np.random.default_rng(0))
        assert sorted(pool.twins[picks]) == sorted(there)

    def test_a_score_is_a_utility(self, strategy: Strategy) -> None:
        """One finite number for each row, not negative, and the picks are the items of the highest."""
        if strategy.score is None:
            pytest.skip("it has no score")
        pool = pool_of(80)
        found = strategy.score(pool, pool.rows)
        assert found.shape == pool.rows.shape
        assert found.dtype == np.float64
        assert (np.isfinite(found) & (found >= 0)).all()
        picked = np.isin(pool.rows, strategy.select(pool, 10, np.random.default_rng(0)))
        assert found[picked].min() >= found[~picked].max() - 1e-6

    def test_a_dear_copy_is_not_asked_before_a_cheap_one(self, strategy: Strategy) -> None:
        """What is asked is utility for a second of an annotator's time. Skipped where items have no score."""
        if strategy.score is None:
            pytest.skip("it has no score")
        twice = rows_of(pool_of(60), np.arange(120) % 60)
        pool = replace(twice, costs=np.repeat([1.0, 100.0], 60))
        picks = strategy.select(pool, 30, np.random.default_rng(0)).tolist()
        useful = pool.rows[strategy.score(pool, pool.rows) > 0]
        dear = [row for row in picks if row >= 60 and row in useful]
        assert all(row - 60 in picks[: picks.index(row)] for row in dear)
