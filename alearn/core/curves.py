"""Numbers read off a learning curve: (labels, value) points in the order of their rounds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Curve = Sequence[tuple[float, float]]
"""(labels, value) points, labels not decreasing; a value that could not be computed is NaN."""


def labels_to(curve: Curve, level: float, *, window: int = 1) -> float | None:
    """The labels of the first point from which the mean of `window` values reaches `level`; None when none does.

    A window above 1 keeps one lucky round from counting; the last window - 1 points are judged by what follows them.
    """
    points = _points(curve)
    for at, (labels, _) in enumerate(points):
        ahead = [value for _, value in points[at : at + window]]
        if sum(ahead) / len(ahead) >= level:
            return labels
    return None


def area_under(curve: Curve) -> float:
    """The mean height of the curve over the labels it spans, by trapezoids; in the units of the values.

    The value itself where there is one point, NaN where there is none.
    """
    points = _points(curve)
    if not points:
        return math.nan
    labels, values = np.array(points).T
    steps, heights = np.diff(labels), (values[1:] + values[:-1]) / 2
    return float(steps @ heights / steps.sum()) if steps.sum() > 0 else float(values[-1])


def _points(curve: Curve) -> list[tuple[float, float]]:
    return [(labels, value) for labels, value in curve if not math.isnan(value)]
