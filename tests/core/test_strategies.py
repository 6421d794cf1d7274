"""What the query strategies pick: against the naive algorithms, against modAL, and under Hypothesis."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tracemalloc
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alearn.core import geometry
from alearn.core.strategies import STRATEGIES, Pool, Strategy, herding, resolve, resolve_cold_start
from alearn.core.strategies.uncertain import highest
from alearn.errors import StrategyError
from alearn.testing import pool_of


def select(name: str, pool: Pool, n: int, seed: int = 0) -> list[int]:
    return resolve(name).select(pool, n, np.random.default_rng(seed)).tolist()


def naive_k_center(pool: Pool, n: int) -> list[int]:
    """One direct distance to every item a pick, in double precision."""
    x = pool.embeddings.astype(np.float64)
    rows, chosen = pool.rows, []
    gaps = np.full(len(x), np.inf)
    for center in np.flatnonzero(pool.labeled):
        gaps = np.minimum(gaps, ((x - x[center]) ** 2).sum(axis=1))
    if not pool.labeled.any():
        gaps[:] = -((x - x[rows].mean(axis=0)) ** 2).sum(axis=1)
    while len(chosen) < n:
        at = max((row for row in rows if row not in chosen), key=lambda row: gaps[row])
        gaps = np.full(len(x), np.inf) if not chosen and not pool.labeled.any() else gaps
        gaps = np.minimum(gaps, ((x - x[at]) ** 2).sum(axis=1))
        chosen.append(int(at))
    return chosen


def assert_greedy(picks: list[int], pool: Pool, weights: np.ndarray, radius: float) -> None:
    """Each pick adds as much to the weighted coverage as any other row could, by the whole matrix in double precision.

    Two items that cover only each other gain exactly the same, so which of them is picked is left open.
    """
    x = pool.embeddings.astype(np.float64)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    near = np.exp(-(np.linalg.norm(x[:, None] - x[None], axis=2) ** 2) / radius**2)
    covered, left = near[pool.labeled].max(axis=0, initial=0), pool.selectable.copy()
    for pick in picks:
        gains = (np.maximum(near - covered, 0) * weights).sum(axis=1)
        assert gains[pick] >= gains[left].max() - 1e-3
        covered, left[pick] = np.maximum(covered, near[pick]), False


def median_gap(pool: Pool) -> float:
    x = pool.embeddings / np.linalg.norm(pool.embeddings, axis=1, keepdims=True)
    gaps = np.linalg.norm(x[:, None] - x[pool.labeled][None], axis=2).min(axis=1)
    return float(np.median(gaps[gaps > 0]))


class TestKCenter:
    @settings(max_examples=30, deadline=None)
    @given(size=st.integers(3, 90), labeled=st.integers(0, 20), n=st.integers(1, 40), seed=st.integers(0, 10_000))
    def test_picks_what_the_naive_algorithm_picks(self, size: int, labeled: int, n: int, seed: int) -> None:
        """The greedy picks are exact, whatever the sizes."""
        pool = pool_of(size, labeled=min(labeled, size - 1), seed=seed)
        n = min(n, int(pool.selectable.sum()))
        assert select("k_center", pool, n) == naive_k_center(pool, n)

    @pytest.mark.parametrize("labeled", [0, 3, 60])
    def test_is_exact_when_few_items_are_at_hand(self, labeled: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Few pivots, few items at hand, small blocks: bounds are brought up to date often, the picks are the same."""
        for name, value in {"HAND": 8, "LEAST": 4, "WIDE": 2, "PIVOTS": 2}.items():
            monkeypatch.setattr(importlib.import_module("alearn.core.strategies.k_center"), name, value)
        monkeypatch.setattr(geometry, "BLOCK", 6 * 37)
        pool = pool_of(400, labeled=labeled)
        assert select("k_center", pool, 60) == naive_k_center(pool, 60)

    def test_an_answer_that_costs_more_must_be_worth_it(self) -> None:
        """Of two items equally far away the cheaper one is asked about."""
        x = np.array([[0, 0], [3, 0], [-3, 0], [0.1, 0]], np.float32)
        known = np.array([True, False, False, False])
        pool = Pool(None, x, ~known, known, costs=np.array([1.0, 5.0, 1.0, 1.0]))
        assert select("k_center", pool, 1) == [2]

    def test_far_from_the_origin_it_still_tells_items_apart(self) -> None:
        """Distances are computed around the pool's mean, so a large common offset does not drown them."""
        pool = pool_of(80)
        moved = replace(pool, embeddings=pool.embeddings + np.float32(300))
        assert select("k_center", moved, 20) == select("k_center", pool, 20)

    def test_duplicates_come_last(self) -> None:
        """While anything is apart from what is picked, no copy of a picked item is asked about."""
        pool = pool_of(30, labeled=0)
        twice = Pool(None, np.concatenate([pool.embeddings] * 2), np.ones(60, bool), np.zeros(60, bool))
        rows = np.array(select("k_center", twice, 60))
        assert len(np.unique(rows[:30] % 30)) == 30

    def test_one_value_that_is_no_number_is_named(self) -> None:
        """The message says which row, so that the item can be quarantined."""
        pool = pool_of(20)
        pool.embeddings[11, 2] = np.nan
        with pytest.raises(StrategyError, match=r"Row 11 of the pool"):
            select("k_center", pool, 3)


class TestHerding:
    @settings(max_examples=15, deadline=None)
    @given(size=st.integers(8, 70), labeled=st.integers(1, 6), n=st.integers(1, 20), seed=st.integers(0, 10_000))
    def test_lazy_picks_are_greedy_picks(self, size: int, labeled: int, n: int, seed: int) -> None:
        """Old gains are upper bounds, so the lazy search gives up nothing."""
        pool = pool_of(size, labeled=labeled, seed=seed)
        assert_greedy(select("max_herding", pool, n), pool, np.ones(size), median_gap(pool))

    def test_weights_are_the_margins(self) -> None:
        """Uncertainty Herding is herding in which an item weighs what the model is unsure of it."""
        pool = pool_of(80, labeled=6)
        top = np.sort(pool.proba, axis=1)
        weights = 1 - (top[:, -1] - top[:, -2])
        assert_greedy(select("uncertainty_herding", pool, 15), pool, weights, median_gap(pool))

    def test_with_everything_equally_uncertain_it_is_max_herding(self) -> None:
        """Constant weights change nothing."""
        pool = pool_of(100)
        flat = replace(pool, proba=np.full_like(pool.proba, 1 / 3))
        assert select("uncertainty_herding", flat, 12) == select("max_herding", pool, 12)

    def test_where_nothing_reaches_anything_it_is_margin(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The limit of a small radius: each item stands for itself alone."""
        monkeypatch.setattr(herding, "_radius", lambda gaps: 1e-3)
        pool = pool_of(200)
        assert select("uncertainty_herding", pool, 25) == select("margin", pool, 25)

    def test_a_cold_start_takes_one_item_of_each_cluster(self) -> None:
        """Five clusters and five picks, two outliers notwithstanding: typical and diverse."""
        rng = np.random.default_rng(0)
        x = np.repeat(np.eye(8)[:5], 40, axis=0) + rng.normal(size=(200, 8)) * 0.05
        x = np.concatenate([x, np.eye(8)[6:]]).astype(np.float32)
        pool = Pool(None, x, np.ones(202, bool), np.zeros(202, bool))
        assert sorted(row // 40 for row in select("max_herding", pool, 5)) == [0, 1, 2, 3, 4]
        assert {200, 201} & set(select("k_center", pool, 5))

    def test_near_copies_are_not_asked_about_together(self) -> None:
        """The twenty least sure items are copies of one: margin takes them all, Uncertainty Herding one or two."""
        pool = pool_of(200, labeled=10)
        rows = pool.rows[:20]
        pool.embeddings[rows] = pool.embeddings[rows[0]] + np.random.default_rng(0).normal(size=(20, 6)) * 1e-3
        pool.proba[rows] = (0.3334, 0.3333, 0.3333)
        assert len(set(rows) & set(select("margin", pool, 20))) == 20
        assert len(set(rows) & set(select("uncertainty_herding", pool, 20))) <= 2

    def test_samples_of_a_large_pool_do_nearly_as_well_as_all_of_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Coverage of the whole pool by picks from samples stays within 15 % of that by picks from all."""
        pool = pool_of(3000, labeled=20, dim=4)
        full = select("max_herding", pool, 30)
        monkeypatch.setattr(herding, "CANDIDATES", 300)
        monkeypatch.setattr(herding, "OTHERS", 300)
        sampled = select("max_herding", pool, 30)
        assert set(sampled) != set(full)
        assert coverage(pool, sampled) > 0.85 * coverage(pool, full)

    def test_the_least_sure_items_are_always_candidates(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A sample must not lose the one item in thousands that the model is unsure of."""
        monkeypatch.setattr(herding, "CANDIDATES", 100)
        pool = pool_of(5000)
        sure = np.zeros_like(pool.proba)
        sure[:, 0] = 1
        sure[pool.rows[1234]] = (0.5, 0.5, 0)
        assert select("uncertainty_herding", replace(pool, proba=sure), 1) == [pool.rows[1234]]

    def test_large_batches_are_picked_slice_by_slice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """More picks than a slice: later slices keep away from earlier ones."""
        monkeypatch.setattr(herding, "SLICE", 10)
        rng = np.random.default_rng(0)
        x = (np.repeat(np.eye(30), 20, axis=0) + rng.normal(size=(600, 30)) * 0.02).astype(np.float32)
        pool = Pool(None, x, np.ones(600, bool), np.zeros(600, bool))
        assert len({row // 20 for row in select("max_herding", pool, 30)}) == 30

    def test_temperature_changes_weights_and_not_the_order_of_margins(self) -> None:
        """A hot model weighs all items alike: MaxHerding again."""
        pool = pool_of(100)
        run = STRATEGIES["uncertainty_herding"].function
        hot = run(pool, 10, np.random.default_rng(0), temperature=1e6).tolist()
        assert hot == select("max_herding", pool, 10)


def coverage(pool: Pool, rows: list[int]) -> float:
    """The mean similarity of the pool to the nearest labeled or picked item, above that to the nearest labeled."""
    x = pool.embeddings / np.linalg.norm(pool.embeddings, axis=1, keepdims=True)
    near = np.exp(-((2 - 2 * x @ x.T).clip(0)) / median_gap(pool) ** 2)
    before = near[pool.labeled].max(axis=0)
    return float(np.maximum(near[rows].max(axis=0), before).mean() - before.mean())


class TestUncertain:
    def test_equal_scores_are_broken_at_random(self) -> None:
        """A model that says the same of everything does not ask about the folder's first files."""
        picks = highest(np.zeros(1000), 10, np.random.default_rng(0))
        assert picks.max() > 500

    @given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=40), st.integers(1, 40))
    def test_the_highest_are_picked_highest_first(self, values: list[float], n: int) -> None:
        """With or without ties, the picked scores are the n highest in falling order."""
        scores, n = np.array(values), min(n, len(values))
        assert scores[highest(scores, n, np.random.default_rng(0))].tolist() == sorted(values, reverse=True)[:n]

    def test_probabilities_that_are_no_numbers_are_named(self) -> None:
        """The message says which row."""
        pool = pool_of(20)
        pool.proba[pool.rows[4]] = np.inf
        for name in ("margin", "uncertainty_herding", "modal:margin_sampling"):
            with pytest.raises(StrategyError, match=rf"Row {pool.rows[4]} of the pool"):
                select(name, pool, 3)


class TestDisagreement:
    def test_a_vote_that_is_no_number_is_named(self) -> None:
        """One member, one class, one item."""
        pool = pool_of(20)
        pool.votes[2, pool.rows[4], 1] = np.nan
        for name in ("vote_entropy", "bald", "modal:consensus_entropy_sampling"):
            with pytest.raises(StrategyError, match=rf"Row {pool.rows[4]} of the pool"):
                select(name, pool, 3)

    @pytest.mark.parametrize("name", ["consensus_entropy", "max_disagreement"])
    def test_our_picks_are_those_of_modal(self, name: str) -> None:
        """On distinct scores; votes are often tied, so of those only the scores can be compared."""
        pool = pool_of(300, classes=4)
        assert select(name, pool, 25) == select(f"modal:{name}_sampling", pool, 25)

    def test_blocks_make_no_difference(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The votes of a large pool are read in blocks."""
        pool = pool_of(300)
        whole = select("bald", pool, 40)
        monkeypatch.setattr(importlib.import_module("alearn.core.strategies.uncertain"), "BLOCK", 100)
        assert select("bald", pool, 40) == whole


EQUIVARIANT = ("margin", "entropy", "least_confidence", "k_center", "consensus_entropy", "max_disagreement", "bald")


@pytest.mark.parametrize("name", EQUIVARIANT)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), labeled=st.integers(1, 10), n=st.integers(1, 20))
def test_the_order_of_the_rows_does_not_matter(name: str, seed: int, labeled: int, n: int) -> None:
    """Where scores are distinct, shuffled items give the same items, in the same order of picks."""
    pool = pool_of(60, labeled=labeled, seed=seed)
    order = np.random.default_rng(seed + 1).permutation(60)
    masks = {"selectable": pool.selectable[order], "labeled": pool.labeled[order]}
    shuffled = Pool(pool.proba[order], pool.embeddings[order], **masks, votes=pool.votes[:, order])
    assert order[select(name, shuffled, n)].tolist() == select(name, pool, n)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), labeled=st.integers(1, 10), n=st.integers(1, 20))
def test_the_order_of_the_rows_does_not_matter_to_herding(seed: int, labeled: int, n: int) -> None:
    """Up to its exact ties: picks from shuffled items are greedy picks from the items as they were."""
    pool = pool_of(60, labeled=labeled, seed=seed)
    order = np.random.default_rng(seed + 1).permutation(60)
    shuffled = Pool(None, pool.embeddings[order], pool.selectable[order], pool.labeled[order])
    assert_greedy(order[select("max_herding", shuffled, n)].tolist(), pool, np.ones(60), median_gap(pool))


@pytest.mark.parametrize("name", list(STRATEGIES))
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_any_pool_gives_unique_selectable_rows(name: str, data: st.DataObject) -> None:
    """Duplicates, zeros, ties, rows in both masks or in neither: as many picks as asked for or possible."""
    size = data.draw(st.integers(1, 25))
    grid = st.sampled_from([-1.0, 0.0, 0.5, 1.0])
    x = np.array(data.draw(st.lists(st.lists(grid, min_size=2, max_size=2), min_size=size, max_size=size)))
    raw = np.array(data.draw(st.lists(st.lists(grid, min_size=3, max_size=3), min_size=size, max_size=size)))
    proba = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    masks = st.lists(st.booleans(), min_size=size, max_size=size)
    selectable, labeled = np.array(data.draw(masks)), np.array(data.draw(masks))
    n = data.draw(st.integers(0, 30))
    votes = np.stack([proba, proba[::-1]]).astype(np.float32)
    answers = np.where(labeled, raw.argmax(axis=1), -1)
    pool = Pool(proba.astype(np.float32), x.astype(np.float32), selectable, labeled, votes, labels=answers)
    rows = select(name, pool, n)
    assert len(set(rows)) == len(rows) == min(n, selectable.sum())
    assert selectable[rows].all()


class TestModal:
    """modAL's own functions, called as its users call them, on the same numbers."""

    @pytest.mark.parametrize(
        ("ours", "theirs"),
        [("margin", "margin_sampling"), ("entropy", "entropy_sampling"), ("least_confidence", "uncertainty_sampling")],
    )
    @pytest.mark.parametrize("seed", range(5))
    def test_our_picks_are_those_of_modal(self, ours: str, theirs: str, seed: int) -> None:
        """On distinct scores, by our formula and by theirs."""
        pool = pool_of(300, classes=4, seed=seed)
        assert select(ours, pool, 25) == select(f"modal:{theirs}", pool, 25)

    def test_ranked_batches_are_what_modal_gives_a_fitted_learner(self) -> None:
        """The stand-in classifier makes no difference to a real ActiveLearner with the same probabilities."""
        from modAL.batch import uncertainty_batch_sampling
        from modAL.models import ActiveLearner
        from sklearn.linear_model import LogisticRegression

        pool = pool_of(120, labeled=15)
        y = np.arange(15) % 3
        learner = ActiveLearner(LogisticRegression(), X_training=pool.embeddings[pool.labeled], y_training=y)
        pool = replace(pool, proba=learner.predict_proba(pool.embeddings))
        theirs, _ = uncertainty_batch_sampling(learner, pool.embeddings[pool.rows], n_instances=12)
        assert select("modal:uncertainty_batch_sampling", pool, 12) == pool.rows[theirs].tolist()

    def test_what_does_not_scale_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Rather than fill the memory, it names a strategy that does scale."""
        from alearn.core.strategies.modal import functions

        monkeypatch.setattr(functions, "MOST", 50)
        for name, labeled in (("information_density", 5), ("uncertainty_batch_sampling", 0)):
            with pytest.raises(StrategyError, match="Use max_herding"):
                select(f"modal:{name}", pool_of(80, labeled=labeled), 3)

    def test_modal_is_imported_only_when_it_is_used(self) -> None:
        """Its import takes seconds, and pulls in torch."""
        code = (
            "import sys, alearn.core.strategies as s; s.resolve('modal:margin_sampling'); print('modAL' in sys.modules)"
        )
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert found.stdout.strip() == "False"


class TestResolve:
    def test_a_stranger_is_told_what_is_allowed(self) -> None:
        """The message lists every name and the shape of a foreign one."""
        for name in ("marginn", "modal:margin", "a b:c", ":x", "x:", "modal:"):
            with pytest.raises(StrategyError, match=r"one of auto, random, margin.*modal:margin_sampling.*package\."):
                resolve(name)

    def test_a_foreign_function_is_found(self, foreign: types.ModuleType) -> None:
        """`package.module:function`, given both arrays."""
        assert select("foreign_strategies:first", pool_of(10), 2) == pool_of(10).rows[:2].tolist()
        assert resolve("foreign_strategies:first").needs == {"proba", "embeddings"}

    def test_a_foreign_strategy_says_itself_what_it_needs(self, foreign: types.ModuleType) -> None:
        """A Strategy object is taken as it is."""
        assert resolve("foreign_strategies:READY") is foreign.READY

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("no_such_package.here:f", "cannot be imported.*Install its package"),
            ("foreign_strategies:missing", "has no missing"),
            ("foreign_strategies:NUMBER", "must be a function"),
        ],
    )
    def test_a_wrong_foreign_name_says_what_is_wrong(self, foreign: types.ModuleType, name: str, message: str) -> None:
        """Package, attribute or kind."""
        with pytest.raises(StrategyError, match=message):
            resolve(name)

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ([0, 0], "twice"),
            ([0], "1 rows"),
            ([0, 99], "outside"),
            ([0, -1], "outside"),
            ([0.0, 1.0], "array of float64"),
            ([0, 9], "not selectable"),
        ],
    )
    def test_a_foreign_strategy_that_misbehaves_is_caught(self, rows: list[float], message: str) -> None:
        """Wrong rows never reach the platform."""
        mine = Strategy("mine", lambda pool, n, rng: np.array(rows), frozenset(), "O(1)", "here")
        pool = Pool(None, None, np.arange(10) < 9, np.zeros(10, bool))
        with pytest.raises(StrategyError, match=message):
            mine.select(pool, 2, np.random.default_rng(0))


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A package of somebody else."""
    module = types.ModuleType("foreign_strategies")
    module.first = lambda pool, n, rng: pool.rows[:n]
    module.READY = Strategy("ready", module.first, frozenset(), "O(1)", "theirs")
    module.NUMBER = 3
    monkeypatch.setitem(sys.modules, "foreign_strategies", module)
    return module


@pytest.mark.parametrize("name", ["margin", "k_center", "max_herding", "uncertainty_herding", "badge"])
def test_a_memory_mapped_pool_is_never_copied(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is allocated at the peak stays under a fifth of the embeddings, gaps in the mask or none."""
    monkeypatch.setattr(geometry, "BLOCK", 1 << 17)
    monkeypatch.setattr(herding, "CANDIDATES", 256)
    monkeypatch.setattr(herding, "OTHERS", 256)
    monkeypatch.setattr(importlib.import_module("alearn.core.strategies.k_center"), "HAND", 256)
    monkeypatch.setattr(importlib.import_module("alearn.core.strategies.k_center"), "SAMPLE", 256)
    size, dim = 40_000, 256
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (size, dim))
    x[:] = np.random.default_rng(0).standard_normal((size, dim), dtype=np.float32)
    pool = pool_of(size, dim=2, labeled=100)
    mapped = replace(pool, embeddings=x)
    tracemalloc.start()
    select(name, mapped, 50)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < x.nbytes / 5


class TestPool:
    def test_what_a_strategy_lacks_is_said(self) -> None:
        """Before there is a model there are no probabilities."""
        with pytest.raises(StrategyError, match=r"'margin' needs proba.*max_herding or random"):
            select("margin", replace(pool_of(10), proba=None), 2)

    @pytest.mark.parametrize(
        "change",
        [
            {"selectable": np.ones(10)},
            {"labeled": np.ones(9, bool)},
            {"proba": np.ones((9, 2))},
            {"embeddings": np.ones(10)},
            {"votes": np.ones((2, 9, 3))},
            {"votes": np.ones((10, 3))},
            {"votes": np.ones((0, 10, 3))},
        ],
    )
    def test_arrays_that_disagree_are_refused(self, change: dict[str, np.ndarray]) -> None:
        """Row i must be the same item everywhere."""
        with pytest.raises(StrategyError, match="of a pool"):
            replace(pool_of(10), **change)


class TestColdStart:
    @pytest.mark.parametrize("name", ["random", "k_center", "max_herding", "modal:information_density"])
    def test_what_needs_no_model_can_begin(self, name: str) -> None:
        """It is the same strategy that `resolve` knows."""
        assert resolve_cold_start(name).name == name

    @pytest.mark.parametrize("name", ["margin", "uncertainty_herding", "modal:entropy_sampling", "bald"])
    def test_what_needs_probabilities_cannot(self, name: str) -> None:
        """There is no model yet; the key, the name and what may be used instead are in the message."""
        with pytest.raises(StrategyError, match=rf"`query.cold_start`.*max_herding.*{name}"):
            resolve_cold_start(name)

    def test_what_does_not_exist_is_refused_as_ever(self) -> None:
        """The message is that of `resolve`."""
        with pytest.raises(StrategyError, match="astrology"):
            resolve_cold_start("astrology")
