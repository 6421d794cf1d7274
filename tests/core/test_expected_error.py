"""Expected error reduction: against honest refits, and what it does with little."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from alearn.core import uncertainty
from alearn.core.strategies import Pool, expected_error, resolve
from alearn.core.strategies.expected_error import Loss, expected_losses
from alearn.errors import StrategyError
from alearn.testing import pool_of


def select(pool: Pool, n: int, seed: int = 0) -> list[int]:
    return resolve("expected_error_reduction").select(pool, n, np.random.default_rng(seed)).tolist()


def digits(labels: int, seed: int = 0) -> Pool:
    """Some digits are labeled, and a model has learned them."""
    x, y = load_digits(return_X_y=True)
    x, known = x.astype(np.float32) / 16, np.zeros(len(y), bool)
    known[np.random.default_rng(seed).choice(len(y), labels, replace=False)] = True
    model = LogisticRegression(max_iter=300).fit(x[known], y[known])
    proba = np.zeros((len(y), 10), np.float32)
    proba[:, model.classes_] = model.predict_proba(x)
    return Pool(proba, x, ~known, known, labels=np.where(known, y, -1))


def by_refits(pool: Pool, tried: np.ndarray, loss: Loss) -> np.ndarray:
    """What Roy & McCallum do: each label of each candidate, a fit to all labels, the loss on the sample."""
    problem = expected_error._problem(pool, tried, np.random.default_rng(0))
    measure = uncertainty.entropy if loss == "log" else uncertainty.least_confidence
    found = np.zeros(len(tried))
    for at, row in enumerate(tried):
        likely = np.argsort(-pool.proba[row], kind="stable")[: expected_error.LIKELY]
        for label in likely:
            more = replace(problem, known=np.vstack([problem.known, problem.tried[at]]), y=np.append(problem.y, label))
            said = expected_error._softmax(problem.sample @ expected_error._weights(more))
            found[at] += pool.proba[row, label] / pool.proba[row, likely].sum() * measure(said).mean()
    return found


@pytest.mark.parametrize(("labels", "loss", "least"), [(20, "log", 0.85), (60, "log", 0.85), (20, "binary", 0.85)])
def test_it_sees_what_refits_see(labels: int, loss: Loss, least: float) -> None:
    """The rank correlation over candidates of the expected losses, with and without fitting anew."""
    pool = digits(labels)
    tried = np.sort(np.random.default_rng(1).choice(pool.rows, 16, replace=False))
    before, after = expected_losses(pool, tried, np.random.default_rng(0), loss)
    refits = by_refits(pool, tried, loss)
    assert spearmanr(after, refits).statistic > least
    assert abs(after - refits).max() < 0.2 * abs(refits - before).max() + 1e-3


def test_first_it_asks_what_leaves_least_expected_loss() -> None:
    """All of a small pool are candidates; best first."""
    pool = pool_of(50, labeled=8)
    _, after = expected_losses(pool, pool.rows, np.random.default_rng(0))
    assert select(pool, 6) == pool.rows[np.argsort(after)[:6]].tolist()


def test_an_outlier_tells_less_than_one_of_many() -> None:
    """The model is equally unsure of all; one item is like no other, so its answer is of no use to them."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal([3, 0, 0, 0], 0.3, (40, 4)), [[0, 0, 0, 9]], rng.normal([-3, 0, 0, 0], 0.3, (3, 4))])
    known = np.arange(44) >= 41
    pool = Pool(np.full((44, 2), 0.5), x.astype(np.float32), ~known, known, labels=np.where(known, 0, -1))
    assert select(pool, 40)[-1] == 40 or 40 not in select(pool, 40)


def test_dear_items_come_later() -> None:
    """Reduction per second."""
    pool = pool_of(50, labeled=8)
    costs = np.ones(50)
    costs[select(pool, 10)] = 1e6
    assert not set(select(pool, 10)) & set(select(replace(pool, costs=costs), 5))


def test_large_pools_and_batches_stay_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch beyond the candidates goes on with the least sure; wide embeddings are seen in few directions."""
    monkeypatch.setattr(expected_error, "CANDIDATES", 10)
    monkeypatch.setattr(expected_error, "SAMPLE", 50)
    monkeypatch.setattr(expected_error, "KNOWN", 20)
    monkeypatch.setattr(expected_error, "DIMS", 8)
    pool = pool_of(400, dim=30, labeled=60)
    picks = select(pool, 100)
    unsure = pool.rows[np.argsort(-uncertainty.entropy(pool.proba[pool.rows]))]
    assert set(unsure[:5]) <= set(picks[:10])
    assert picks[10:] == [row for row in unsure if row not in picks[:10]][:90]
    shape = expected_error._reduced(pool.embeddings.astype(float), np.random.default_rng(0)).shape
    assert shape == (400, 9)


@pytest.mark.parametrize("labels", [np.full(40, -1), np.zeros(40, int), np.arange(40) % 7])
def test_it_copes_with_few_and_with_foreign_labels(labels: np.ndarray) -> None:
    """None, one class, more classes than the model knows, labels of rows that may be asked about again."""
    pool = replace(pool_of(40, labeled=6), labels=labels)
    assert len(set(select(pool, 12))) == 12


def test_labels_must_be_there_and_fit() -> None:
    """They are named where they lack, and a wrong shape is refused."""
    with pytest.raises(StrategyError, match="'expected_error_reduction' needs labels"):
        select(replace(pool_of(10), labels=None), 2)
    with pytest.raises(StrategyError, match="`labels` of a pool"):
        replace(pool_of(10), labels=np.zeros(9, int))
