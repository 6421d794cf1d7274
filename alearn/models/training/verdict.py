"""Whether a rung of the ladder pays: better than the rung below by more than chance would make it, on unseen labels.

Invariant: a tie stays on the cheaper rung.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alearn.core.metrics import METRICS, Labels, Proba
from alearn.models.folds import Groups, numbered, pieces

RESAMPLES = 200


@dataclass(frozen=True)
class Comparison:
    """A metric of the rung below and of the rung above, and the standard error of their difference."""

    metric: str
    below: float
    above: float
    error: float

    @property
    def gain(self) -> float:
        """How much better the rung above is; negative: worse."""
        return (self.above - self.below) * (1 if METRICS[self.metric].higher_is_better else -1)

    @property
    def pays(self) -> bool:
        """Whether the gain is larger than its standard error; not where one of them is no number."""
        return self.gain > self.error

    @property
    def reason(self) -> str:
        """In words."""
        title = METRICS[self.metric].title
        if not np.isfinite(self.gain):
            return f"Not climbed: {title} cannot be computed from these labels."
        said = f"{title} {self.above:.3f} instead of {self.below:.3f}, better by {self.gain:.3f} ± {self.error:.3f}"
        return f"{'Climbed' if self.pays else 'Not climbed'}: {said} on labels that were not trained on."


@dataclass(frozen=True)
class Verdict:
    """What was found out about a rung; `reason` is for a person; no `comparison`: it was not tried, or failed.

    `start` is the tap that is trained behind, `epochs` the number that cross-validation chose, `seconds` the time spent
    on the rung by the process that finished it.
    """

    rung: str
    climbed: bool
    reason: str
    comparison: Comparison | None = None
    start: str | None = None
    epochs: int = 0
    seconds: float = 0.0


def compare(
    metric: str,
    y: Labels,
    below: Proba,
    above: Proba,
    *,
    fold: NDArray[np.intp],
    groups: Groups = None,
    positive: int | None,
    seed: int,
) -> Comparison:
    """Compare what two rungs say, (n, C) each, of labels (n,) that neither had seen.

    The metric is computed within each fold (n,), whose items one model judged, and averaged. The error is that of the
    paired difference under a Bayesian bootstrap over the groups. Source: Rubin, The Bayesian Bootstrap, 1981.
    """
    group = numbered(groups, len(y))
    drawn = np.random.default_rng(seed).exponential(size=(int(group.max()) + 1, RESAMPLES))[group]
    weights = np.concatenate([np.ones((len(y), 1)), drawn], axis=1)
    weighted = METRICS[metric].weighted
    values = [
        [weighted(y[held], proba[held], weights[held], positive) for proba in (below, above)]
        for held in (fold == number for number in np.unique(fold))
    ]
    of_below, of_above = np.mean(values, axis=0)
    error = float((of_above - of_below)[1:].std(ddof=1))
    return Comparison(metric, float(of_below[0]), float(of_above[0]), error)


def too_few(y: NDArray[np.intp], folds: int, groups: Groups = None) -> str | None:
    """Why these labels cannot be cross-validated, or None: two classes must have two labels in each fold.

    Those of a group count once.
    """
    counts = pieces(y, groups)
    if len(counts) > 1 and counts[1] >= 2 * folds:
        return None
    second = int(counts[1]) if len(counts) > 1 else 0
    return (
        f"Cross-validation in {folds} folds needs two classes of at least {2 * folds} labels. "
        f"The second most frequent has {second}."
    )
