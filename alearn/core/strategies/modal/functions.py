"""modAL's query functions, one row each: where it lives, what it reads, and what its scores mean.

`Function.worst` is the score of an item to ask about last; the further from it, the sooner. modAL's own scores have
both directions.

The multilabel functions are meant for one independent probability per label. A classification loop gives them class
probabilities, which sum to 1, and then they say little or the opposite of what is wanted (C: the number of classes):

    max_loss             2 where no class has more than one half, else 0: two groups, at random within each
    mean_max_loss        0 for all from 5 classes on, so at random
    min_confidence       a small least probability first: rather sure items
    avg_confidence       1/C for all, so at random
    max_score, avg_score the likeliest class above one half and as likely as can be: the surest items first
    SVM_binary_minimum   a class as near to one half as can be: in two classes this is margin
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from alearn.core.strategies.strategy import Need

MOST = 10_000
"""Items up to which what compares each item with each other is tried: 800 MB of distances."""

Reading = Literal["classifier", "committee", "regressor", "labels", "batch", "density", "boundaries"]
PROBA: frozenset[Need] = frozenset({"proba"})
VOTES: frozenset[Need] = frozenset({"votes"})
EMBEDDINGS: frozenset[Need] = frozenset({"embeddings"})


@dataclass(frozen=True)
class Function:
    """A function's module, how it reads the pool, what it needs of it, its cost, and the score of the last to ask."""

    module: str
    reading: Reading
    needs: frozenset[Need]
    cost: str
    worst: float = 0


FUNCTIONS = {
    "uncertainty_sampling": Function("uncertainty", "classifier", PROBA, "O(NC)"),
    "margin_sampling": Function("uncertainty", "classifier", PROBA, "O(NC)", worst=1),
    "entropy_sampling": Function("uncertainty", "classifier", PROBA, "O(NC)"),
    "uncertainty_batch_sampling": Function(
        "batch", "batch", PROBA | EMBEDDINGS, "O(BND(B + labeled)): up to about 10,000 items"
    ),
    "information_density": Function("density", "density", EMBEDDINGS, f"O(N^2 D): up to {MOST:,} items"),
    "vote_entropy_sampling": Function("disagreement", "committee", VOTES, "O(NMC)"),
    "consensus_entropy_sampling": Function("disagreement", "committee", VOTES, "O(NMC)"),
    "max_disagreement_sampling": Function("disagreement", "committee", VOTES, "O(NMC)"),
    "max_std_sampling": Function("disagreement", "regressor", VOTES, "O(NMC)"),
    "SVM_binary_minimum": Function("multilabel", "boundaries", PROBA, "O(BNC)"),
    "max_loss": Function("multilabel", "labels", PROBA, "O(NC)"),
    "mean_max_loss": Function("multilabel", "labels", PROBA, "O(NC^2)"),
    "min_confidence": Function("multilabel", "labels", PROBA, "O(NC)", worst=1),
    "avg_confidence": Function("multilabel", "labels", PROBA, "O(NC)"),
    "max_score": Function("multilabel", "labels", PROBA, "O(NC)", worst=-0.5),
    "avg_score": Function("multilabel", "labels", PROBA, "O(NC)", worst=-0.5),
}
"""What may follow `modal:`."""

DROPOUT = "it asks a torch network with dropout again and again; alearn asks a committee of heads instead"
OPTIMUM = "it looks for the maximum of an unknown function, not for items to label"
ABSENT = {
    "expected_error_reduction": ("modAL's cannot be imported beside NumPy 2", "expected_error_reduction"),
    "mc_dropout_bald": (DROPOUT, "bald"),
    "mc_dropout_mean_st": (DROPOUT, "modal:max_std_sampling"),
    "mc_dropout_max_entropy": (DROPOUT, "consensus_entropy"),
    "mc_dropout_max_variationRatios": (DROPOUT, "vote_entropy"),
    "max_PI": (OPTIMUM, "uncertainty_herding"),
    "max_EI": (OPTIMUM, "uncertainty_herding"),
    "max_UCB": (OPTIMUM, "uncertainty_herding"),
}
"""modAL's query functions that cannot read cached arrays: why not, and what to use instead."""
