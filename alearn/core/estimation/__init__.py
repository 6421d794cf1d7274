"""How sure we can be of what was measured on few items, and how many items it takes to be surer.

Proportions have exact intervals; every other metric has a Bayesian bootstrap over groups; numbers (regression) have the
same; `figures` is the whole table that a report shows; `sizing` says how large a hold-out must be; `odds` and `drawing`
make one that needs fewer labels, by drawing more of the items that decide the metric.

Invariant: an interval holds its value, or all of it is NaN; items of a group are never taken for independent evidence.
"""

from __future__ import annotations

from alearn.core.estimation import drawing
from alearn.core.estimation.figures import ClassFigures, Figures, figures
from alearn.core.estimation.influence import contributions
from alearn.core.estimation.interval import Interval
from alearn.core.estimation.numbers import NUMBERS, measure_numbers
from alearn.core.estimation.odds import odds
from alearn.core.estimation.proportions import exact, lower_bound, wilson
from alearn.core.estimation.resampling import bootstrap
from alearn.core.estimation.sizing import labels_for_margin, labels_to_pass, labels_to_tighten

__all__ = [
    "NUMBERS",
    "ClassFigures",
    "Figures",
    "Interval",
    "bootstrap",
    "contributions",
    "drawing",
    "exact",
    "figures",
    "labels_for_margin",
    "labels_to_pass",
    "labels_to_tighten",
    "lower_bound",
    "measure_numbers",
    "odds",
    "wilson",
]
