"""Ranking candidates by what cross-validated heads make of the labels: evidence decides, and ties are told."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from alearn.models.rank import Candidate, Row, rank

Labels = NDArray[np.intp]


def _labels(n: int, classes: int, seed: int = 0) -> Labels:
    return np.random.default_rng(seed).permutation(np.arange(n) % classes)


def _candidate(name: str, y: Labels, signal: float, **facts: Any) -> Candidate:
    """Embeddings of twenty numbers, a class's mean in each, under noise of variance 1."""
    rng = np.random.default_rng(sum(map(ord, name)))
    means = rng.normal(size=(int(y.max(initial=0)) + 1, 20))
    x = signal * means[y] + rng.normal(size=(len(y), 20))
    return Candidate(name, "last", x.astype(np.float32), **{"parameters": 10**6, **facts})


def _names(rows: list[Row]) -> list[str]:
    return [row.candidate.network for row in rows]


def test_what_tells_the_classes_apart_is_first_and_the_rest_is_ahead_of_nothing() -> None:
    """The others are not tied: their paired difference is above zero; scores are of unseen labels."""
    y = _labels(120, 3)
    rows = rank(
        [_candidate("noise", y, 0.0, parameters=10**9), _candidate("good", y, 1.0), _candidate("fair", y, 0.3)],
        y,
        3,
        metric="accuracy",
        seed=0,
    )
    assert _names(rows) == ["good", "fair", "noise"]
    assert [row.tied for row in rows] == [True, False, False]
    assert rows[0].behind.value == 0
    assert all(0 < row.behind.low <= row.behind.value <= row.behind.high for row in rows[1:])
    assert rows[-1].score.value == pytest.approx(1 / 3, abs=0.15)
    assert all(row.score.low <= row.score.value <= row.score.high for row in rows)


def test_the_same_embeddings_are_tied_and_the_larger_network_is_first() -> None:
    """Where labels cannot tell two apart, what is known beforehand does."""
    y = _labels(100, 2)
    small, large = _candidate("a", y, 0.5), _candidate("a", y, 0.5, parameters=10**8)
    rows = rank([small, large], y, 2, metric="average_precision", positive=1, seed=0)
    assert all(row.tied for row in rows)
    assert rows[0].candidate is large


def test_the_depth_counts_among_the_tied() -> None:
    """Shortly before the last stage is better than at the last, or in the middle, where nothing else is known."""
    y = _labels(100, 2)
    rows = rank([_candidate("a", y, 0.5, depth=at) for at in (0.4, 1.0, 0.85)], y, 2, metric="f1", seed=0)
    assert [row.candidate.depth for row in rows] == [0.85, 1.0, 0.4]


@pytest.mark.parametrize("metric", ["accuracy", "average_precision"])
@pytest.mark.parametrize("n", [40, 100])
def test_random_weights_do_not_win(n: int, metric: str) -> None:
    """However large: with many labels they are worse by evidence, with few they may not come first."""
    y = _labels(n, 2)
    candidates = [_candidate("pretrained", y, 0.6), _candidate("random", y, 0.1, parameters=10**9, pretrained=False)]
    rows = rank(candidates, y, 2, metric=metric, seed=0)
    assert _names(rows) == ["pretrained", "random"]
    assert n < 100 or not rows[1].tied


def test_random_weights_that_are_better_by_evidence_are_first() -> None:
    """It is no rule about names: from a hundred labels on the labels decide."""
    y = _labels(100, 2)
    candidates = [_candidate("pretrained", y, 0.0), _candidate("random", y, 1.0, pretrained=False)]
    assert _names(rank(candidates, y, 2, metric="accuracy", seed=0))[0] == "random"


@pytest.mark.parametrize(
    ("labels", "classes"),
    [([], 3), ([1], 3), ([0, 0, 0, 0], 2), ([0, 1, 2, 3, 4], 5), ([0, 1], 2), ([0] * 30 + [1], 2)],
)
@pytest.mark.parametrize("metric", ["accuracy", "average_precision"])
def test_labels_that_tell_nothing_leave_the_order_to_size(labels: list[int], classes: int, metric: str) -> None:
    """No label, one, one class, one label for each class: all are tied, nothing breaks."""
    y = np.array(labels, dtype=np.intp)
    positive = 1 if classes == 2 else None
    candidates = [_candidate("small", y, 0.0), _candidate("large", y, 0.0, parameters=10**8)]
    rows = rank(candidates, y, classes, metric=metric, positive=positive, seed=0)
    assert len(rows) == 2
    assert any(row.tied for row in rows)
    if len(set(labels)) < 2 or max(np.bincount(labels)) < 2:
        assert _names(rows) == ["large", "small"]
        assert all(row.tied and math.isnan(row.log_loss) for row in rows)


def test_hundreds_of_classes_with_two_labels_each() -> None:
    """Sound, and still in order."""
    y = _labels(240, 120)
    rows = rank([_candidate("noise", y, 0.0), _candidate("good", y, 3.0)], y, 120, metric="accuracy", seed=0)
    assert _names(rows) == ["good", "noise"]
    assert rows[0].score.value > 0.5 > 0.1 > rows[1].score.value


def test_a_class_in_a_hundred() -> None:
    """The rare class is dealt over the folds, so that average precision means something."""
    y = (np.arange(300) % 60 == 0).astype(np.intp)
    rows = rank([_candidate("good", y, 1.5), _candidate("noise", y, 0.0)], y, 2, metric="average_precision", seed=0)
    assert _names(rows) == ["good", "noise"]
    assert rows[0].score.value > 0.8


def test_items_of_a_group_are_one_piece_of_evidence() -> None:
    """Ten copies of each item teach a head nothing of it, and do not narrow the interval."""
    y = _labels(60, 2)
    one = _candidate("a", y, 0.4)
    copies = Candidate("a", "last", np.repeat(one.x, 10, axis=0), parameters=10**6)
    many = np.repeat(y, 10)
    (single,) = rank([one], y, 2, metric="accuracy", seed=0)
    (grouped,) = rank([copies], many, 2, metric="accuracy", groups=np.repeat(np.arange(60), 10), seed=0)
    (loose,) = rank([copies], many, 2, metric="accuracy", seed=0)
    assert loose.score.value == 1
    assert grouped.score.value == pytest.approx(single.score.value, abs=0.15)
    assert grouped.score.high - grouped.score.low > 0.8 * (single.score.high - single.score.low)


def test_the_same_labels_give_the_same_ranking() -> None:
    """To the bit; and the order in which candidates are named does not matter."""
    y = _labels(40, 2)
    candidates = [_candidate(name, y, 0.3) for name in "ab"]
    first, again = (rank(some, y, 2, metric="accuracy", seed=3) for some in (candidates, candidates[::-1]))
    assert _names(first) == _names(again)
    assert [row.score for row in first] == [row.score for row in again]


def test_progress_is_told() -> None:
    """A thousand labels take a minute."""
    y, told = _labels(20, 2), []
    rank([_candidate(name, y, 1) for name in "ab"], y, 2, metric="f1", seed=0, report=lambda *at: told.append(at))
    assert told == [(1, 2), (2, 2)]


def test_rows_that_do_not_fit_are_refused() -> None:
    """Another number than labels, or no candidate at all."""
    y = _labels(10, 2)
    for candidates in ([], [_candidate("a", y[:9], 1)]):
        with pytest.raises(ValueError, match="10 rows"):
            rank(candidates, y, 2, metric="accuracy", seed=0)
