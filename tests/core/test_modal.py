"""modAL's query functions by name: the picks of its own functions on real models, and our formulas against them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alearn.core import uncertainty as ours
from alearn.core.strategies import STRATEGIES, Pool, modal, resolve
from alearn.errors import StrategyError
from alearn.testing import pool_of

MULTILABEL = [name for name, row in modal.FUNCTIONS.items() if row.module == "multilabel"]
JUDGED = [name for name in modal.names() if resolve(name).score]


def select(name: str, pool: Pool, n: int, seed: int = 0) -> list[int]:
    return resolve(name).select(pool, n, np.random.default_rng(seed)).tolist()


def theirs(name: str) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    return getattr(importlib.import_module(f"modAL.{modal.FUNCTIONS[name].module}"), name)


class Said:
    """A fitted model of a user of modAL that says what it is given, as a learner and as a committee of others."""

    def __init__(self, proba: np.ndarray, members: np.ndarray | None = None) -> None:
        self.proba, self.members, self.classes_ = proba, members, np.arange(proba.shape[1])

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return self.proba

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.proba.argmax(axis=1)


@settings(max_examples=25, deadline=None)
@given(size=st.integers(2, 120), classes=st.integers(2, 9), n=st.integers(1, 40), seed=st.integers(0, 10_000))
@pytest.mark.parametrize(
    ("name", "function", "score"),
    [
        ("margin", "margin_sampling", lambda found: 1 - found),
        ("entropy", "entropy_sampling", lambda found: found),
        ("least_confidence", "uncertainty_sampling", lambda found: found),
    ],
)
def test_picks_and_scores_of_uncertainty_are_modals(
    name: str, function: str, score: Callable[[np.ndarray], np.ndarray], size: int, classes: int, n: int, seed: int
) -> None:
    """Its functions, called as its users call them; modAL does not sort what it picks."""
    rng = np.random.default_rng(seed)
    pool = replace(pool_of(size, seed=seed, labeled=0), proba=rng.dirichlet(np.ones(classes), size))
    n = min(n, size)
    picks, found = theirs(function)(Said(pool.proba), np.empty((size, 1)), n_instances=n)
    best = np.argsort(-score(found), kind="stable")
    assert select(name, pool, n) == select(f"modal:{function}", pool, n) == picks[best].tolist()
    strategy = STRATEGIES[name]
    assert strategy.score
    np.testing.assert_allclose(strategy.score(pool, picks), score(found), atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(size=st.integers(2, 60), classes=st.integers(2, 6), members=st.integers(1, 5), seed=st.integers(0, 10_000))
@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("vote_entropy", "vote_entropy_sampling"),
        ("consensus_entropy", "consensus_entropy_sampling"),
        ("max_disagreement", "max_disagreement_sampling"),
    ],
)
def test_picks_and_scores_of_disagreement_are_modals(
    name: str, function: str, size: int, classes: int, members: int, seed: int
) -> None:
    """A real committee of modAL. Vote entropies are often tied: then the scores of the picks are the same."""
    from modAL.models import ActiveLearner, Committee
    from sklearn.base import BaseEstimator

    class Member(Said, BaseEstimator):
        def get_params(self, deep: bool = True) -> dict[str, object]:
            return {}

    rng = np.random.default_rng(seed)
    votes = rng.dirichlet(np.ones(classes), (members, size))
    committee = Committee([ActiveLearner(Member(one)) for one in votes])
    pool, n = replace(pool_of(size, labeled=0), votes=votes), max(1, size // 3)
    picks, found = theirs(function)(committee, np.empty((size, 1)), n_instances=n)
    score = STRATEGIES[name].score
    assert score
    np.testing.assert_allclose(score(pool, picks), found, atol=1e-12)
    for chosen in (select(name, pool, n), select(f"modal:{function}", pool, n)):
        np.testing.assert_allclose(score(pool, np.array(chosen)), np.sort(found)[::-1], atol=1e-12)
    if name != "vote_entropy" and members > 1:
        assert set(select(name, pool, n)) == set(select(f"modal:{function}", pool, n)) == set(picks.tolist())


@settings(max_examples=15, deadline=None)
@given(size=st.integers(10, 60), labeled=st.integers(2, 9), n=st.integers(1, 20), seed=st.integers(0, 10_000))
def test_ranked_batches_are_those_of_the_formula(size: int, labeled: int, n: int, seed: int) -> None:
    """Cardoso et al. 2017, written out: what is picked and in which order."""
    pool = pool_of(size, labeled=labeled, seed=seed)
    n = min(n, int(pool.selectable.sum()))
    unsure = ours.least_confidence(pool.proba)
    x, known, left, expected = pool.embeddings.astype(np.float64), [*np.flatnonzero(pool.labeled)], [*pool.rows], []
    for _ in range(n):
        gaps = np.linalg.norm(x[left][:, None] - x[known][None], axis=2).min(axis=1)
        alpha = len(left) / (len(left) + len(known))
        score = alpha * (1 - 1 / (1 + gaps)) + (1 - alpha) * unsure[left]
        best = left.pop(int(score.argmax()))
        expected.append(int(best))
        known.append(best)
    assert select("modal:uncertainty_batch_sampling", pool, n) == expected


def test_density_is_modals() -> None:
    """The densest first."""
    pool = pool_of(80, labeled=6)
    density = importlib.import_module("modAL.density").information_density(pool.embeddings[pool.rows])
    assert select("modal:information_density", pool, 9) == pool.rows[np.argsort(-density)[:9]].tolist()


def test_spread_of_regressors_is_modals() -> None:
    """A real CommitteeRegressor; of class probabilities the root of the summed variances."""
    from modAL.models import ActiveLearner, CommitteeRegressor
    from sklearn.linear_model import Ridge

    pool = pool_of(60, labeled=0)
    rng = np.random.default_rng(0)
    draws = [rng.integers(60, size=8) for _ in range(4)]
    y = rng.normal(size=60)
    committee = CommitteeRegressor(
        [ActiveLearner(Ridge(), X_training=pool.embeddings[d], y_training=y[d]) for d in draws]
    )
    values = committee.vote(pool.embeddings).T[:, :, None]
    picks, std = theirs("max_std_sampling")(committee, pool.embeddings, n_instances=7)
    assert select("modal:max_std_sampling", replace(pool, votes=values), 7) == picks[np.argsort(-std)].tolist()
    score = resolve("modal:max_std_sampling").score
    assert score
    np.testing.assert_allclose(score(pool, pool.rows), np.sqrt(pool.votes.var(axis=0).sum(axis=1)), rtol=1e-5)


@pytest.mark.parametrize("name", MULTILABEL)
def test_multilabel_functions_do_what_they_do_to_a_fitted_model(name: str) -> None:
    """Three labels that exclude nothing, a classifier for each: the same picks, up to ties, which score the same."""
    from modAL.models import ActiveLearner
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    pool = pool_of(150, labeled=0)
    several = (pool.embeddings[:, :3] + np.random.default_rng(0).normal(size=(150, 3)) > 0.3).astype(int)
    learner = ActiveLearner(OneVsRestClassifier(LogisticRegression()), X_training=pool.embeddings, y_training=several)
    pool = replace(pool, proba=learner.predict_proba(pool.embeddings))
    strategy = resolve(f"modal:{name}")
    score = strategy.score
    assert score
    n = 1 if name == "SVM_binary_minimum" else 12
    fixed = {} if n == 1 else {"n_instances": n, "random_tie_break": False}
    found = theirs(name)(learner if n == 1 else learner.estimator, pool.embeddings, **fixed)
    picks = np.atleast_1d(found if n == 1 else found[0])
    chosen = np.array(select(f"modal:{name}", pool, n))
    np.testing.assert_allclose(score(pool, chosen), np.sort(score(pool, picks))[::-1], rtol=1e-12)
    if name in {"SVM_binary_minimum", "min_confidence", "avg_confidence", "avg_score", "max_score"}:
        assert set(chosen) == set(picks)


@pytest.mark.parametrize("name", JUDGED)
def test_the_score_orders_as_the_picks_do(name: str) -> None:
    """Not negative, and the picks are the highest, highest first: what stochastic batches are drawn by."""
    pool = pool_of(120, classes=4)
    score = resolve(name).score
    assert score
    values = score(pool, pool.rows)
    assert values.dtype == np.float64
    assert values.min() >= 0
    chosen = score(pool, np.array(select(name, pool, 15)))
    np.testing.assert_allclose(chosen, np.sort(values)[::-1][:15], atol=1e-12)
    assert score(pool, np.empty(0, np.intp)).shape == (0,)


@pytest.mark.parametrize("name", [*(name for name in JUDGED if "_loss" not in name), "modal:information_density"])
def test_dear_items_come_later(name: str) -> None:
    """Utility per second: at a million times the price, nothing is asked about before the rest, unless that is 0."""
    pool = pool_of(60, classes=4)
    first = select(name, pool, 20)[:10]
    costs = np.ones(60)
    costs[first] = 1e6
    assert not set(first) & set(select(name, replace(pool, costs=costs), 5))


def test_ties_are_broken_by_the_given_randomness() -> None:
    """What modAL would take by its place among the items: here 1/C for all."""
    pool = pool_of(100, classes=5)
    picks = {
        tuple(select("modal:avg_confidence", replace(pool, proba=np.full((100, 4), 0.25)), 5, seed))
        for seed in range(5)
    }
    assert len(picks) == 5


@pytest.mark.parametrize("name", list(modal.ABSENT))
def test_what_cannot_be_offered_says_what_can(name: str) -> None:
    """The reason, and a strategy that there is."""
    with pytest.raises(StrategyError, match=rf"modal:{name} cannot run.*Use ") as error:
        resolve(f"modal:{name}")
    resolve(str(error.value).rstrip(".").rpartition("Use ")[2])


def test_every_query_function_of_modal_is_offered_or_refused() -> None:
    """Of its public modules; a new one in a new version of modAL shows here."""
    import inspect

    for name in ("uncertainty", "batch", "disagreement", "density", "multilabel", "acquisition"):
        module = importlib.import_module(f"modAL.{name}")
        public = {
            one
            for one, function in inspect.getmembers(module, inspect.isfunction)
            if function.__module__ == module.__name__
            and (one.endswith("_sampling") or "n_instances" in inspect.signature(function).parameters)
        }
        inner = {"ranked_batch"}
        assert public - inner <= {*modal.FUNCTIONS, *modal.ABSENT}
