"""When a loop has done its job, or cannot go on.

Each rule is a function of what is written down of the rounds and answers with a decision and its reason in words:
`target`, `budget`, `plateau`, `stability`. `any_of` and `all_of` combine them; `decide` is the loop's usual mixture.
`looks` and `sequence` keep a target honest although it is looked at in every round.

Invariant: a target is hit only by the lower confidence bound on the hold-out, never by the estimate itself, and never
on fewer than 30 labels.
"""

from __future__ import annotations

from alearn.core.stopping.budget import Budget, Spent, amount, exhausted, payable
from alearn.core.stopping.decision import Decision, Kind, all_of, any_of
from alearn.core.stopping.looks import look_confidence, look_confidences, overlap
from alearn.core.stopping.plateau import plateau
from alearn.core.stopping.sequence import always_valid_bound
from alearn.core.stopping.stability import changed, kappa, stable, sure, unchanged
from alearn.core.stopping.target import FEWEST, Target, reached
from alearn.core.stopping.verdict import decide

__all__ = [
    "FEWEST",
    "Budget",
    "Decision",
    "Kind",
    "Spent",
    "Target",
    "all_of",
    "always_valid_bound",
    "amount",
    "any_of",
    "changed",
    "decide",
    "exhausted",
    "kappa",
    "look_confidence",
    "look_confidences",
    "overlap",
    "payable",
    "plateau",
    "reached",
    "stable",
    "sure",
    "unchanged",
]
