"""The product's head as a scikit-learn classifier, for whoever brings embeddings to other tools, such as modAL.

It asks for dense embeddings of finite numbers, and takes labels of any kind. Importing this file imports scikit-learn,
so nothing in alearn does.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from alearn.models.head import Head, fit_head


class HeadClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Multinomial logistic regression as `fit_head` trains it: regularised and calibrated by cross-validation.

    `strength` is the inverse L2 regularisation on standardised features; None: chosen on the labels. `random_state`
    draws the folds; the same data and state give the same classifier. Fitted, it has `classes_` (C,), sorted, and
    `head_`, which alearn can export.
    """

    classes_: NDArray[Any]
    head_: Head

    def __init__(self, strength: float | None = None, random_state: int = 0) -> None:
        self.strength = strength
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803 - scikit-learn's names
        """Train on embeddings (n, D) and their labels (n,), of at least one class.

        Raises:
            ValueError: shapes that do not fit, an embedding that is no finite number, or labels that are no classes.
        """
        x, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        count, told = len(self.classes_), slice(None if len(self.classes_) > 1 else 0)  # one class: nothing to learn
        self.head_ = fit_head(x[told], numbers[told], count, seed=self.random_state, strength=self.strength)
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:  # noqa: N803
        """The probability of each class, (n, C), float32, in the order of `classes_`; rows sum to 1."""
        check_is_fitted(self)
        return self.head_.proba(validate_data(self, X, dtype=np.float32, reset=False))

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """The likeliest class of each row, (n,), as the labels named it."""
        likeliest = self.predict_proba(X).argmax(axis=1)
        named: NDArray[Any] = self.classes_[likeliest]
        return named
