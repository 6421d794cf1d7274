"""The query strategies: which items to ask about.

Each is a plain function of arrays in a file named after its idea; the table below is all there is to register one.
`resolve` also knows modAL's functions (`modal:margin_sampling`), stochastic batches (`power:margin`) and the functions
of other packages (`package.module:function`).
"""

from __future__ import annotations

import importlib
from functools import partial

from alearn.core import uncertainty
from alearn.core.pool import Pool, Select
from alearn.core.strategies import active_lab, auto, density, disagreement, epig, modal, uncertain
from alearn.core.strategies.badge import badge
from alearn.core.strategies.cluster_margin import cluster_margin
from alearn.core.strategies.density import information_density
from alearn.core.strategies.disagreement import bald, consensus_entropy, max_disagreement, vote_entropy
from alearn.core.strategies.drop_query import drop_query
from alearn.core.strategies.expected_error import expected_error_reduction
from alearn.core.strategies.herding import max_herding
from alearn.core.strategies.k_center import k_center
from alearn.core.strategies.lcmd import lcmd
from alearn.core.strategies.prob_cover import prob_cover
from alearn.core.strategies.stochastic import FAMILIES, stochastic
from alearn.core.strategies.strategy import Need, Score, Strategy
from alearn.core.strategies.typiclust import typiclust
from alearn.core.strategies.uncertain import entropy, least_confidence, margin
from alearn.core.strategies.uncertainty_herding import uncertainty_herding
from alearn.core.strategies.uniform import uniform
from alearn.core.uncertainty import Measure
from alearn.errors import StrategyError

__all__ = ["STRATEGIES", "Need", "Pool", "Select", "Strategy", "resolve", "resolve_cold_start"]

NOTHING: frozenset[Need] = frozenset()
PROBA: frozenset[Need] = frozenset({"proba"})
EMBEDDINGS: frozenset[Need] = frozenset({"embeddings"})
VOTES: frozenset[Need] = frozenset({"votes"})
LABELS: frozenset[Need] = frozenset({"labels"})


def _certainty(measure: Measure) -> Score:
    """How unsure the model is of rows, as a strategy's `score`."""
    return partial(uncertain.scores, measure=measure)


def _disagreement(measure: Measure) -> Score:
    """How much a committee disagrees about rows, as a strategy's `score`."""
    return partial(disagreement.scores, measure=measure)


STRATEGIES = {
    row.name: row
    for row in (
        Strategy("auto", auto.by_pool, EMBEDDINGS, "as what it chooses", "docs/strategies.md"),
        Strategy("random", uniform, NOTHING, "O(N)", "the baseline"),
        Strategy(
            "margin", margin, PROBA, "O(NC)", "Scheffer et al. 2001; Bahri et al. 2022", _certainty(uncertainty.margin)
        ),
        Strategy("entropy", entropy, PROBA, "O(NC)", "Settles & Craven 2008", _certainty(uncertainty.entropy)),
        Strategy(
            "least_confidence",
            least_confidence,
            PROBA,
            "O(NC)",
            "Lewis & Gale 1994; Culotta & McCallum 2005",
            _certainty(uncertainty.least_confidence),
        ),
        Strategy(
            "information_density",
            information_density,
            PROBA | EMBEDDINGS,
            "O(N(C + D))",
            "Settles & Craven, EMNLP 2008",
            density.scores,
        ),
        Strategy("k_center", k_center, EMBEDDINGS, "O(NBD) at worst", "Sener & Savarese, ICLR 2018"),
        Strategy("typiclust", typiclust, EMBEDDINGS, "O(NKD), K = labels + B <= 500", "Hacohen et al., ICML 2022"),
        Strategy("prob_cover", prob_cover, EMBEDDINGS, "O(BD) on samples", "Yehuda et al., NeurIPS 2022"),
        Strategy("max_herding", max_herding, EMBEDDINGS, "O(BD) on samples", "Bae, Noh & Sutherland, ECCV 2024"),
        Strategy(
            "uncertainty_herding",
            uncertainty_herding,
            PROBA | EMBEDDINGS,
            "O(NC) + O(BD) on samples",
            "Bae, Oliveira & Sutherland, ICLR 2025",
        ),
        Strategy("badge", badge, PROBA | EMBEDDINGS, "O(ND), O(NBD) at worst", "Ash et al., ICLR 2020"),
        Strategy(
            "cluster_margin", cluster_margin, PROBA | EMBEDDINGS, "O(NC) + O(B^2 D)", "Citovsky et al., NeurIPS 2021"
        ),
        Strategy(
            "expected_error_reduction",
            expected_error_reduction,
            PROBA | EMBEDDINGS | LABELS,
            "O(NC) + 64 candidates x 8 labels x 1,000 items",
            "Roy & McCallum, ICML 2001",
        ),
        Strategy("lcmd", lcmd, EMBEDDINGS, "O(BD) on a sample", "Holzmüller et al., JMLR 2023, for regression"),
        Strategy(
            "active_lab", active_lab.active_lab, PROBA, "O(NC)", "Goh & Mueller, ActiveLab, 2023", active_lab.scores
        ),
        Strategy(
            "drop_query",
            drop_query,
            PROBA | EMBEDDINGS | VOTES,
            "O(NMC) + k-means on a sample",
            "Gupte et al., TMLR 2024",
        ),
        Strategy(
            "vote_entropy",
            vote_entropy,
            VOTES,
            "O(NMC)",
            "Dagan & Engelson, ICML 1995",
            _disagreement(uncertainty.vote_entropy),
        ),
        Strategy(
            "consensus_entropy",
            consensus_entropy,
            VOTES,
            "O(NMC)",
            "Settles 2009; modAL's consensus entropy",
            _disagreement(uncertainty.consensus_entropy),
        ),
        Strategy(
            "max_disagreement",
            max_disagreement,
            VOTES,
            "O(NMC)",
            "McCallum & Nigam, ICML 1998; modAL",
            _disagreement(uncertainty.max_disagreement),
        ),
        Strategy(
            "bald", bald, VOTES, "O(NMC)", "Houlsby et al. 2011; Gal et al., ICML 2017", _disagreement(uncertainty.bald)
        ),
        Strategy(
            "epig",
            epig.epig,
            VOTES,
            "O(NMC^2 T), T = 32 .. 512",
            "Bickford Smith et al., AISTATS 2023",
            epig.scores,
        ),
    )
}
"""Every strategy of alearn by its name."""


def resolve(name: str) -> Strategy:
    """The strategy that a config calls `name`.

    One of STRATEGIES, `modal:FUNCTION`, `power:NAME` (or softmax, softrank) of another with a score, or
    `package.module:function`. The last names a Strategy, or a plain function of
    (pool, n, rng), which is then given both `proba` and `embeddings`.

    Raises:
        StrategyError: there is no such strategy, or its package cannot be imported.
    """
    if name in STRATEGIES:
        return STRATEGIES[name]
    family, _, rest = name.partition(":")
    if family in FAMILIES and rest:
        return _perturbed(name, family, resolve(rest))
    if family == "modal" and rest in modal.FUNCTIONS:
        return modal.modal(rest)
    if family == "modal":
        modal.refuse_absent(rest)
    if family == "modal" or not rest or not all(part.isidentifier() for part in [*family.split("."), rest]):
        raise StrategyError(
            f"A query strategy must be one of {', '.join([*STRATEGIES, *modal.names()])}; "
            f"{', '.join(FAMILIES)}: before one with a score, such as power:margin; or package.module:function. "
            f"Got {name!r}. Correct it."
        )
    return _foreign(name, family, rest)


def resolve_cold_start(name: str) -> Strategy:
    """The strategy that a config calls `name`, for the time when there is no model yet.

    Raises:
        StrategyError: as `resolve` does; or it needs `proba` or `votes`, which only a model can give.
    """
    strategy = resolve(name)
    if not strategy.needs & (PROBA | VOTES):
        return strategy
    able = ", ".join(row.name for row in STRATEGIES.values() if not row.needs & (PROBA | VOTES))
    raise StrategyError(
        f"`query.cold_start` chooses while there is no model, so it must not need a model's probabilities: {able}, "
        "modal:information_density, or package.module:STRATEGY, a Strategy whose `needs` lack `proba` and `votes`. "
        f"Got {name!r}. Correct it, or remove the line."
    )


def _perturbed(name: str, family: str, base: Strategy) -> Strategy:
    """The stochastic batches of a strategy."""
    if base.score is None:
        able = ", ".join(row.name for row in STRATEGIES.values() if row.score is not None)
        raise StrategyError(
            f"What follows `{family}:` must be a strategy that judges items one by one: {able}, or another's Strategy "
            f"with a `score`. Got {name!r}. Correct it."
        )
    return stochastic(family, base)


def _foreign(name: str, module: str, attribute: str) -> Strategy:
    """A strategy of another package."""
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise StrategyError(
            f"Query strategy {name!r} cannot be imported: {error}. Install its package beside alearn, or correct it."
        ) from error
    except AttributeError:
        raise StrategyError(f"Query strategy {name!r} is not there: {module} has no {attribute}. Correct it.") from None
    if isinstance(found, Strategy):
        return found
    if not callable(found):
        raise StrategyError(
            f"Query strategy {name!r} must be a function of (pool, n, rng), or a Strategy. Got {type(found).__name__}."
        )
    return Strategy(name, found, PROBA | EMBEDDINGS, "unknown", name)
