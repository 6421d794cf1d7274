"""What modAL's functions ask of fitted models, answered from arrays: nothing is trained.

modAL hands its models items and asks what they say. These have it already, row by row, in the order of the items.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.core.geometry import Floats
from alearn.core.uncertainty import Proba, Scores


class KnownClassifier:
    """A learner with these class probabilities (n, C), and what it was trained on (labeled, D), if anything."""

    on_transformed = False

    def __init__(self, proba: Proba, training: Floats | None = None) -> None:
        self._proba = proba
        self.X_training = training

    def predict_proba(self, _: Any) -> Proba:
        """The probabilities that are known."""
        return self._proba


class KnownCommittee:
    """A committee with these votes (members, n, C)."""

    def __init__(self, votes: Proba) -> None:
        self._votes = votes
        self.classes_ = np.arange(votes.shape[2])

    def __len__(self) -> int:
        return len(self._votes)

    def __iter__(self) -> Iterator[Proba]:
        return iter(self._votes)

    def vote(self, _: Any) -> NDArray[np.intp]:
        """The class that each member names, (n, members)."""
        named: NDArray[np.intp] = self._votes.argmax(axis=2).T
        return named

    def vote_proba(self, _: Any) -> Proba:
        """What each member says, (n, members, C)."""
        return self._votes.swapaxes(0, 1)

    def predict_proba(self, _: Any) -> Proba:
        """The mean of what they say, (n, C)."""
        mean: Proba = self._votes.mean(axis=0)
        return mean


class KnownRegressor:
    """A committee of regressors with these values (members, n, outputs): of several outputs, the length of the spread.

    Regressors say one value, and its standard deviation over the members is modAL's number. Of class probabilities it
    is the root of the summed variances, in [0, 1/sqrt(2)].
    """

    def __init__(self, votes: Proba) -> None:
        self._votes = votes

    def predict(self, _: Any, *, return_std: bool) -> tuple[Scores, Scores]:
        """The mean (n, outputs) and the standard deviation (n,) over the members."""
        assert return_std
        return self._votes.mean(axis=0, dtype=np.float64), np.sqrt(
            self._votes.var(axis=0, dtype=np.float64).sum(axis=1)
        )


class KnownLabels:
    """A multilabel classifier with these probabilities (n, L), one per label: what is above one half is predicted.

    As an SVM per label, its distance from the boundary is 2p - 1: in [-1, 1], and of the same order as the log odds.
    """

    def __init__(self, proba: Proba) -> None:
        self._proba = proba
        self.classes_ = np.arange(proba.shape[1])

    def predict_proba(self, _: Any) -> Proba:
        """The probability of each label."""
        return self._proba

    def predict(self, _: Any) -> NDArray[np.intp]:
        """1 for the labels that are predicted, else 0, (n, L)."""
        return (self._proba > 0.5).astype(np.intp)

    @property
    def estimator(self) -> KnownLabels:
        """Itself: modAL looks inside its learner for the estimator with `estimators_`."""
        return self

    @property
    def estimators_(self) -> list[KnownBoundary]:
        """One classifier per label."""
        return [KnownBoundary(2 * column - 1) for column in self._proba.T]


class KnownBoundary:
    """A classifier of one label, with these signed distances from its boundary (n,)."""

    def __init__(self, distance: Proba) -> None:
        self._distance = distance

    def decision_function(self, _: Any) -> Proba:
        """The distances that are known."""
        return self._distance
