"""Uniform choice: what every other strategy has to beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alearn.core.pool import Pool


def uniform(pool: Pool, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """n selectable rows drawn without replacement."""
    return rng.choice(pool.rows, n, replace=False)
