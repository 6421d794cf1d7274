"""Query strategies of other packages, as they are, beside our own: `skactiveml:CoreSet`, `small-text:BreakingTies`, …

They expect a classifier and the labels; they are given a stand-in that knows the probabilities, and which rows are
labeled. A package is imported when one of its strategies is used, and what it computes is its own: most compare every
item with every other. modAL's are strategies like any other (`modal:margin_sampling`).
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alearn.core.pool import Pool
from alearn.core.strategies import Need, Strategy
from alearn.errors import StrategyError

Picks = NDArray[np.intp]

PROBA: frozenset[Need] = frozenset({"proba"})
EMBEDDINGS: frozenset[Need] = frozenset({"embeddings"})

PACKAGES = {"skactiveml": "scikit-activeml", "small-text": "small-text"}
"""What is written before the colon, and what pip calls it."""


def full_name(name: str) -> str:
    """What a config calls the strategy that a person calls `name`: a peer's becomes `package.module:function`.

    Raises:
        StrategyError: a peer that is not in the table, or whose package is not installed.
    """
    family, _, rest = name.partition(":")
    if family not in PACKAGES:
        return name
    if _attribute(name) not in PEERS:
        known = ", ".join(one.name for one in PEERS.values() if one.name.startswith(family))
        raise StrategyError(f"A strategy of {PACKAGES[family]} must be one of {known}. Got {rest!r}. Correct it.")
    if importlib.util.find_spec(family.replace("-", "_")) is None:
        package = PACKAGES[family]
        raise StrategyError(f"Query strategy {name!r} needs {package}. It is not installed. Run pip install {package}.")
    return f"{__name__}:{_attribute(name)}"


def _attribute(name: str) -> str:
    return re.sub(r"\W", "_", name)


# --- scikit-activeml --------------------------------------------------------------------------------------------------


def _skactiveml(
    pool: Pool, n: int, rng: np.random.Generator, *, kind: str, options: Mapping[str, Any], asks: bool
) -> Picks:
    """Its query strategy `kind`; `asks`: of a classifier, too."""
    strategy = getattr(importlib.import_module("skactiveml.pool"), kind)(
        random_state=int(rng.integers(2**31)), **options
    )
    rows, known = pool.rows, pool.labeled & ~pool.selectable
    x = np.arange(len(known), dtype=np.float64)[:, None] if pool.embeddings is None else np.asarray(pool.embeddings)
    y = np.where(known, 0.0, np.nan)  # the classes are the classifier's business, and that has learned
    of_classifier = {"clf": _classifier(pool, rows), "fit_clf": False} if asks else {}
    chosen = strategy.query(x, y, candidates=rows, batch_size=n, **of_classifier)
    return _filled(np.asarray(chosen, dtype=np.intp), rows, n, rng)


def _filled(chosen: Picks, rows: Picks, n: int, rng: np.random.Generator) -> Picks:
    """Each once, in their order; TypiClust names some twice when few are left, and others are drawn for these."""
    once = np.asarray(list(dict.fromkeys(chosen.tolist())), dtype=np.intp)
    return np.concatenate([once, rng.permutation(np.setdiff1d(rows, once))[: n - len(once)]])


def _classifier(pool: Pool, rows: Picks) -> Any:
    """What it asks of a fitted classifier, answered from the probabilities of the candidates."""
    base = importlib.import_module("skactiveml.base").SkactivemlClassifier
    assert pool.proba is not None
    proba = pool.proba[rows]

    class KnownClassifier(base):  # type: ignore[misc, valid-type]
        """Knows the probabilities of the candidates, in their order, and learns nothing."""

        def fit(self, *_: Any, **__: Any) -> Any:
            return self

        def predict_proba(self, X: Any, **_: Any) -> Any:  # noqa: N803 - its name there
            if len(X) != len(proba):
                raise StrategyError("It asked for other probabilities than those of the items it chooses from.")
            return proba

    return KnownClassifier(classes=np.arange(proba.shape[1]))


# --- small-text -------------------------------------------------------------------------------------------------------


def _small_text(kind: str, needs: frozenset[Need], pool: Pool, n: int, rng: np.random.Generator) -> Picks:
    """Its query strategy `kind`, given what it needs."""
    strategy = getattr(importlib.import_module("small_text.query_strategies"), kind)()
    rows, known = pool.rows, np.flatnonzero(pool.labeled & ~pool.selectable)
    dataset, y = np.empty((len(pool.selectable), 0)), np.zeros(len(known), dtype=np.intp)
    embeddings = {}
    if "embeddings" in needs:
        embeddings["embeddings"] = np.asarray(pool.embeddings)[np.concatenate([rows, known])]
    with _global_draws(rng):
        chosen = strategy.query(_Answers(pool), dataset, rows, known, y, n=n, **embeddings)
    return np.asarray(chosen, dtype=np.intp)


class _Answers:
    """What it asks of a fitted classifier, answered from the probabilities of all rows."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def predict_proba(self, _: Any) -> Any:
        """The probabilities that are known, whatever is asked about."""
        return self._pool.proba


@contextmanager
def _global_draws(rng: np.random.Generator) -> Iterator[None]:
    """It draws from numpy's global generator: that is ours for a moment, and then as it was."""
    before = np.random.get_state()
    np.random.seed(int(rng.integers(2**32)))
    try:
        yield
    finally:
        np.random.set_state(before)


def _of_skactiveml(kind: str, needs: frozenset[Need], suffix: str = "", **options: Any) -> Strategy:
    select = partial(_skactiveml, kind=kind, options=options, asks="proba" in needs)
    return Strategy(f"skactiveml:{kind}{suffix}", select, needs, "scikit-activeml's own", f"skactiveml.pool.{kind}")


def _of_small_text(kind: str, needs: frozenset[Need]) -> Strategy:
    return Strategy(
        f"small-text:{kind}", partial(_small_text, kind, needs), needs, "small-text's own", f"small_text.{kind}"
    )


PEERS = {
    _attribute(one.name): one
    for one in (
        _of_skactiveml("UncertaintySampling", PROBA, "-margin", method="margin_sampling"),
        _of_skactiveml("UncertaintySampling", PROBA, "-entropy", method="entropy"),
        _of_skactiveml("UncertaintySampling", PROBA, "-least_confident", method="least_confident"),
        _of_skactiveml("CoreSet", EMBEDDINGS),
        _of_skactiveml("TypiClust", EMBEDDINGS),
        _of_skactiveml("MaxHerding", EMBEDDINGS),
        _of_skactiveml("Badge", PROBA | EMBEDDINGS),
        _of_skactiveml("Falcun", PROBA | EMBEDDINGS),
        _of_small_text("BreakingTies", PROBA),
        _of_small_text("PredictionEntropy", PROBA),
        _of_small_text("LeastConfidence", PROBA),
        _of_small_text("GreedyCoreset", EMBEDDINGS),
        _of_small_text("LightweightCoreset", EMBEDDINGS),
        _of_small_text("EmbeddingKMeans", EMBEDDINGS),
    )
}
"""Every peer by what it is called in this module."""


def __getattr__(name: str) -> Strategy:
    if name in PEERS:
        return PEERS[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
