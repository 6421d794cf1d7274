"""Labels that are probably wrong, the worst first.

Invariant: what is suspected is what `opinions.doubted` says; this only puts it in order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.core.opinions import doubted


def suspects(labels: NDArray[np.intp], proba: NDArray[np.floating[Any]]) -> NDArray[np.intp]:
    """The rows whose labels (n,) in [0, C) are doubted by `proba` (n, C): (m,), the most suspect first.

    They are ordered by how much less probable the label is than the likeliest class; ties as the rows come. `proba`
    must come from models that have not seen the row.
    Source: Northcutt, Jiang & Chuang, Confident Learning, 2021 (ranking by normalised margin).
    """
    rows = np.flatnonzero(doubted(labels, proba))
    margin = proba[rows, labels[rows]] - proba[rows].max(axis=1)
    found: NDArray[np.intp] = rows[np.argsort(margin, kind="stable")]
    return found
