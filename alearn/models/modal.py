"""modAL's ActiveLearner and Committee, as they are documented, on scikit-learn and pandas of today.

`from alearn.models.modal import ActiveLearner, Committee` instead of `from modAL.models import …` is all that changes;
nothing of modAL or scikit-learn is patched. What is mended:

- `fit` and `teach` check their data by a keyword that scikit-learn 1.8 no longer knows (`force_all_finite`), and
  `teach` appends to a DataFrame as pandas 2 no longer does;
- `query` calls a strategy twice when it fails, or when it returns picks alone, and takes two picks for a pick and its
  score;
- a learner cannot be printed, for it forgets one of its arguments;
- a committee cannot `vote` for classes that are no numbers, and fails after a `rebag` in which every member misses the
  same class.

A CommitteeRegressor of modAL works with the ActiveLearner of this file. BayesianOptimizer is left alone: it asks for no
labels.
"""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from modAL import models
from modAL.utils.data import data_vstack, modALinput, retrieve_rows
from numpy.typing import NDArray
from sklearn.utils import check_X_y


class ActiveLearner(models.ActiveLearner):  # type: ignore[misc]
    """An estimator with its query strategy and its training data; arguments as in modAL."""

    X_training: Any
    y_training: Any
    bootstrap_init = False

    def _add_training_data(self, X: modALinput, y: modALinput) -> None:  # noqa: N803 - modAL's names
        self._check(X, y)
        if self.X_training is None:
            self.X_training, self.y_training = X, y
            return
        try:
            together = _stacked(self.X_training, X), _stacked(self.y_training, y)
        except ValueError as error:
            raise ValueError(
                "What is taught must have the features of what was taught before: "
                f"{np.shape(self.X_training)[1:]}. Got {np.shape(X)[1:]}."
            ) from error
        self.X_training, self.y_training = together

    def fit(self, X: modALinput, y: modALinput, bootstrap: bool = False, **fit_kwargs: Any) -> Self:  # noqa: N803
        """Train on these data instead of all that was taught before; raises ValueError where they do not fit."""
        self._check(X, y)
        self.X_training, self.y_training = X, y
        self._fit_to_known(bootstrap=bootstrap, **fit_kwargs)
        return self

    def teach(
        self,
        X: modALinput,  # noqa: N803
        y: modALinput,
        bootstrap: bool = False,
        only_new: bool = False,
        **fit_kwargs: Any,
    ) -> None:
        """Train on these data and all that was taught before, or only on these, which then are not kept.

        Raises:
            ValueError: shapes that do not fit, or values that are not finite.
        """
        if only_new:
            self._check(X, y)
            self._fit_on_new(X, y, bootstrap=bootstrap, **fit_kwargs)
        else:
            self._add_training_data(X, y)
            self._fit_to_known(bootstrap=bootstrap, **fit_kwargs)

    def query(self, X_pool: modALinput, *args: Any, return_metrics: bool = False, **kwargs: Any) -> tuple[Any, ...]:  # noqa: N803
        """The picks of the strategy and their rows of the pool; with `return_metrics` their scores, too."""
        return _asked(self, X_pool, args, kwargs, return_metrics=return_metrics)

    def _check(self, X: modALinput, y: modALinput) -> None:  # noqa: N803
        check_X_y(
            X,
            y,
            accept_sparse=True,
            ensure_2d=False,
            allow_nd=True,
            multi_output=True,
            dtype=None,
            ensure_all_finite=self.force_all_finite,
        )


class Committee(models.Committee):  # type: ignore[misc]
    """Several learners that are asked together; arguments as in modAL, the learners being those of this file."""

    def query(self, X_pool: modALinput, return_metrics: bool = False, *args: Any, **kwargs: Any) -> tuple[Any, ...]:  # noqa: N803
        """The picks of the strategy and their rows of the pool; with `return_metrics` their scores, too."""
        return _asked(self, X_pool, args, kwargs, return_metrics=return_metrics)

    def rebag(self, **fit_kwargs: Any) -> None:
        """Train each learner anew on a draw, with replacement, of what it was taught."""
        super().rebag(**fit_kwargs)
        self._set_classes()

    def vote(self, X: modALinput, **predict_kwargs: Any) -> NDArray[Any]:  # noqa: N803
        """The class that each learner names, (n, learners), of the type of `classes_`."""
        return np.stack([learner.predict(X, **predict_kwargs) for learner in self.learner_list], axis=1)


def _asked(
    model: Any, pool: modALinput, args: tuple[Any, ...], kwargs: dict[str, Any], *, return_metrics: bool
) -> tuple[Any, ...]:
    """Calls the strategy once; a pair is picks and scores, anything else picks alone."""
    found = model.query_strategy(model, pool, *args, **kwargs)
    picks, scores = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
    rows = retrieve_rows(pool, picks)
    if not return_metrics:
        return picks, rows
    if scores is None:
        warnings.warn("This query strategy returns picks without scores: they are None.", stacklevel=3)
    return picks, rows, scores


def _stacked(known: modALinput, new: modALinput) -> modALinput:
    """Both, one below the other, of the type of the first."""
    if hasattr(known, "iloc"):
        import pandas as pd

        return pd.concat([known, new])
    return data_vstack((known, new))
