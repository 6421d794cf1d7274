"""Thinner networks of the same use: fewer stages, fewer channels, fitted again, and kept only where the metric holds.

Imports torch when it is imported.
"""

from alearn.models.pruning.budget import Budget
from alearn.models.pruning.cost import Cost, costs
from alearn.models.pruning.gate import Comparison, Verdict, accept, compare, shortest_tap
from alearn.models.pruning.prune import Pruned, Recipe, Step, prune

__all__ = [
    "Budget",
    "Comparison",
    "Cost",
    "Pruned",
    "Recipe",
    "Step",
    "Verdict",
    "accept",
    "compare",
    "costs",
    "prune",
    "shortest_tap",
]
