"""modAL's query functions, by name, over what is already computed.

They expect a fitted classifier, or a committee, and the items; they are given a stand-in that knows the probabilities,
and the embeddings. Nothing of modAL is imported before one of them is used: its import takes seconds.
"""

from __future__ import annotations

from functools import partial

from alearn.core.strategies.modal import selection
from alearn.core.strategies.modal.functions import ABSENT, FUNCTIONS
from alearn.core.strategies.strategy import Score, Strategy
from alearn.errors import StrategyError

__all__ = ["ABSENT", "FUNCTIONS", "modal", "names", "refuse_absent"]

PREFIX = "modal:"
OTHERWISE = {
    "batch": selection.ranked,
    "density": selection.densest,
    "boundaries": selection.nearest_to_a_boundary,
}
"""What does not judge each item by itself and return its score."""


def names() -> list[str]:
    """The strategies of this package, as a config says them."""
    return [PREFIX + name for name in FUNCTIONS]


def modal(name: str) -> Strategy:
    """The strategy for modAL's function `name`; KeyError when it is not in the table."""
    row = FUNCTIONS[name]
    function = OTHERWISE.get(row.reading, selection.judged)
    score: Score | None = partial(selection.scores, name) if row.reading not in OTHERWISE else None
    score = selection.boundary_scores if row.reading == "boundaries" else score
    return Strategy(PREFIX + name, partial(function, name), row.needs, row.cost, f"modAL.{row.module}.{name}", score)


def refuse_absent(name: str) -> None:
    """Raises StrategyError where modAL has a query function `name` that cannot read cached arrays."""
    if name in ABSENT:
        reason, instead = ABSENT[name]
        raise StrategyError(
            f"Query strategy {PREFIX + name} cannot run over what a loop has computed: {reason}. Use {instead}."
        )
