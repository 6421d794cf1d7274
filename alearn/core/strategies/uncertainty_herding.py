"""Uncertainty Herding: herding in which an item matters as much as the model is unsure of it.

With few labels it is MaxHerding, as everything is uncertain; with many, labels reach less far and it becomes margin
sampling. The recommended default.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alearn.core.pool import Pool
from alearn.core.strategies.herding import herd
from alearn.core.strategies.uncertain import scores
from alearn.core.uncertainty import margin, tempered


def uncertainty_herding(pool: Pool, n: int, rng: np.random.Generator, *, temperature: float = 1.0) -> NDArray[np.intp]:
    """Items that together represent best what the model is unsure of: `herd` weighted by the margin.

    `temperature` > 0 is applied to `proba` first, for a model whose probabilities are not calibrated.

    Raises:
        StrategyError: an embedding or a probability is not finite.
    Source: Bae, Oliveira & Sutherland, Uncertainty Herding, ICLR 2025.
    """
    weights = scores(pool, np.arange(len(pool.selectable)), lambda proba: margin(tempered(proba, temperature)))
    return herd(pool, n, rng, weights.astype(np.float32))
