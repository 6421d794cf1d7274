"""Labels that are probably wrong, the worst first.

Invariant: a label that the model finds likeliest is never suspected; all that `opinions.doubted` doubts is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def suspects(labels: NDArray[np.intp], proba: NDArray[np.floating[Any]]) -> NDArray[np.intp]:
    """The rows whose labels (n,) in [0, C) are not what `proba` (n, C) finds likeliest: (m,), the most suspect first.

    They are ordered by the probability of their label, least first; ties as the rows come. A row with NaN is not
    suspected. `proba` must come from models that have not seen the row. Of the first so many as there are wrong labels
    more are wrong than by order of the margin, or among the doubted alone (benchmarks/label_errors.py).
    Source: Northcutt, Jiang & Chuang, Confident Learning, 2021 (self-confidence).
    """
    own = proba[np.arange(len(labels)), labels]
    rows = np.flatnonzero(own < proba.max(axis=1, initial=0.0))  # NaN is less than nothing
    found: NDArray[np.intp] = rows[np.argsort(own[rows], kind="stable")]
    return found
