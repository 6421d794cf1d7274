"""The head: multinomial logistic regression on embeddings, trained in a fraction of a second each round.

Two choices, measured on solar cells (elpv), 77 intents (banking77) and digits (benchmarks/head.py):
- an item of a class with k labels weighs 1 / sqrt(k): F1 of the defective cells is .01 to .03 higher than with equal
  weights, at the same accuracy; weighing by 1 / k gains a little more and costs a point of accuracy and calibration;
- no single L2 strength suits all: it is chosen by cross-validated log loss on at most 500 labels. What the heads of the
  folds say of the labels that they did not see calibrates the probabilities, too.
One imaginary item at the middle of the features, spread evenly over the classes, keeps every class's probability above
zero, so that a class without labels, or a single class, needs no special case.
"""

from __future__ import annotations

import importlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alearn.errors import ModelError
from alearn.models.folds import deal
from alearn.models.temperature import fit_temperature

STRENGTHS = (1e-3, 5e-3, 3e-2, 3e-1)
FOLDS = 3
VALIDATION_ROWS = 500
_BLOCK = 16_384

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Head:
    """softmax((x @ weights + bias) / temperature).

    `weights` (D, C) and `bias` (C,) are float32 and hold the standardisation. `strength` is the inverse L2
    regularisation they were trained with. `temperature` is 1 where there are too few labels to calibrate it.
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    strength: float
    temperature: float = 1.0

    def proba(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probabilities, shape (n, C), float32, rows sum to 1; `x` (n, D) may be mapped, it is read in blocks."""
        found = np.empty((len(x), len(self.bias)), dtype=np.float32)
        weights, bias = self.scaled()
        for start in range(0, len(x), _BLOCK):
            logits = x[start : start + _BLOCK] @ weights + bias
            logits -= logits.max(axis=1, keepdims=True)
            np.exp(logits, out=logits)
            found[start : start + _BLOCK] = logits / logits.sum(axis=1, keepdims=True)
        return found

    @property
    def classes(self) -> int:
        """The number of columns of its probabilities."""
        return len(self.bias)

    def scaled(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weights and bias with the temperature in them."""
        scale = np.float32(1 / self.temperature)
        return self.weights * scale, self.bias * scale

    def to_bytes(self) -> bytes:
        """A safetensors file."""
        from safetensors.numpy import save

        facts = json.dumps({"strength": self.strength, "temperature": self.temperature})
        # One entry: safetensors writes several in any order, and the same head must give the same bytes.
        metadata = {"head": facts}
        return bytes(save({"bias": self.bias, "weights": np.ascontiguousarray(self.weights)}, metadata=metadata))

    @classmethod
    def from_bytes(cls, content: bytes) -> Head:
        """What `to_bytes` wrote; raises ModelError: something else, or damaged."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            arrays = load(content)
            length = int.from_bytes(content[:8], "little")
            facts = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["head"])
            return cls(arrays["weights"], arrays["bias"], facts["strength"], facts["temperature"])
        except (SafetensorError, ValueError, KeyError) as error:
            raise ModelError(
                f"A head must be a safetensors file of alearn. Got one that is damaged: {error!r}."
            ) from error


def fit_head(
    x: NDArray[np.float32],
    y: NDArray[np.intp] | list[int],
    classes: int,
    *,
    seed: int,
    strength: float | None = None,
    temperature: float | None = None,
) -> Head:
    """Train a head on embeddings `x` (n, D), float32, and class numbers `y` (n,) in [0, classes).

    The same arguments give the same head on the same machine. `strength` is the inverse L2 regularisation on
    standardised features; none: chosen among STRENGTHS. `temperature` none: fitted to cross-validated logits. Without a
    single label every class is equally probable.

    Raises:
        ValueError: shapes that do not fit, or a class number out of range.
        ModelError: an embedding is no number.
    """
    labels = np.asarray(y, dtype=np.intp)
    if x.ndim != 2 or labels.shape != (len(x),) or (len(x) and not 0 <= labels.min() <= labels.max() < classes):
        raise ValueError(f"x {x.shape} and y {labels.shape} must be of one length, with classes in [0, {classes})")
    if not len(x):
        return Head(
            np.zeros((x.shape[1], classes), np.float32), np.zeros(classes, np.float32), strength or STRENGTHS[0]
        )
    real = np.isfinite(x).all(axis=1)
    if not real.all():
        raise ModelError(
            f"Embeddings must be finite numbers. Row {int(np.argmin(real))}, and {int((~real).sum()) - 1} more, are "
            "not. Embed the items again, in float32, or choose another network."
        )
    from threadpoolctl import threadpool_limits

    # The matrices are small: more threads than one wait for each other, and beside other work are 20 times slower.
    with threadpool_limits(1, user_api="blas"):
        z, mean, std = _standardised(x)
        if strength is None or temperature is None:
            strength, fitted = _validated(z, labels, classes, seed, STRENGTHS if strength is None else (strength,))
            temperature = fitted if temperature is None else temperature
        weights, bias = _fit(z, labels, classes, strength)
    weights = weights / std[:, None]
    return Head(weights.astype(np.float32), (bias - mean @ weights).astype(np.float32), strength, temperature)


def warm() -> None:
    """Import what fitting needs, seconds of it, before somebody waits for a fit."""
    importlib.import_module("sklearn.linear_model")


def unseen_proba(
    head: Head, x: NDArray[np.float32], y: NDArray[np.intp], *, seed: int, groups: Sequence[str] | None = None
) -> NDArray[np.float32]:
    """What heads like this one, each trained without an item's fold, say of the items: (n, C), float32.

    `x` (n, D) and `y` (n,) are what the head was trained on; items of a group are in one fold. With too few labels to
    hold any back it is what the head itself says.
    """
    from threadpoolctl import threadpool_limits

    if len(x) < 2 * FOLDS or len(np.unique(y)) < 2:
        return head.proba(x)
    with threadpool_limits(1, user_api="blas"):
        z, fold = _standardised(x)[0], deal(y, groups, FOLDS, np.random.default_rng(seed))
        logits = _unseen(_compact(z)[0], y, fold, head.classes, head.strength) / head.temperature
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: NDArray[np.float32] = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    return found


def item_weights(y: NDArray[np.intp], classes: int) -> Floats:
    """How much each label counts, (n,): 1 / sqrt(k) for a class of k labels, scaled to a mean of 1."""
    weight = 1 / np.sqrt(np.bincount(y, minlength=classes) + 1 / classes)[y]
    found: Floats = weight / weight.mean()
    return found


def _standardised(x: NDArray[np.float32]) -> tuple[NDArray[np.float32], Floats, Floats]:
    """(x - mean) / std, and the two, shape (D,); a constant feature becomes zeros."""
    mean = x.mean(axis=0, dtype=np.float64)
    std = x.std(axis=0, dtype=np.float64)
    std[std < 1e-6] = 1.0
    return ((x - mean) / std).astype(np.float32), mean, std


def _validated(
    z: NDArray[np.float32], y: NDArray[np.intp], classes: int, seed: int, strengths: Sequence[float]
) -> tuple[float, float]:
    """The least strength whose cross-validated log loss is within one standard error of the best one's.

    And the temperature at which its cross-validated logits have the least log loss.
    """
    rows = np.random.default_rng(seed).permutation(len(z))[:VALIDATION_ROWS]
    if len(rows) < 2 * FOLDS or len(np.unique(y[rows])) < 2:
        return strengths[0], 1.0
    z, y = _compact(z[rows])[0], y[rows]
    fold = deal(y, None, FOLDS)
    logits: list[Floats] = []
    losses: list[Floats] = []
    for strength in strengths:
        logits.append(_unseen(z, y, fold, classes, strength))
        losses.append(_log_losses(logits[-1], y))
        if len(losses) > 1 and losses[-1].mean() > losses[-2].mean():
            break
    best = losses[int(np.argmin([loss.mean() for loss in losses]))]
    excess = [(loss - best).mean() - (loss - best).std() / np.sqrt(len(rows)) for loss in losses]
    chosen = next(at for at, more in enumerate(excess) if more <= 0)
    return strengths[chosen], fit_temperature(logits[chosen], y)


def _unseen(
    z: NDArray[np.float32], y: NDArray[np.intp], fold: NDArray[np.intp], classes: int, strength: float
) -> Floats:
    """The logits (n, C) of each row, by a head that was trained on the other folds."""
    found = np.empty((len(z), classes))
    for held in (fold == number for number in range(FOLDS)):
        weights, bias = _fit(z[~held], y[~held], classes, strength, tolerance=1e-2)
        found[held] = z[held] @ weights + bias
    return found


def _log_losses(logits: Floats, y: NDArray[np.intp]) -> Floats:
    """The log loss of each row, (n,)."""
    top = logits.max(axis=1)
    found: Floats = np.log(np.exp(logits - top[:, None]).sum(axis=1)) + top - logits[np.arange(len(logits)), y]
    return found


def _fit(
    z: NDArray[np.float32], y: NDArray[np.intp], classes: int, strength: float, tolerance: float = 1e-4
) -> tuple[Floats, Floats]:
    """Weights (D, C) and bias (C,) on standardised features."""
    from sklearn.linear_model import LogisticRegression

    z, basis = _compact(z)
    rows = np.concatenate([z, np.zeros((classes, z.shape[1]), np.float32)])
    weight = np.concatenate([item_weights(y, classes), np.full(classes, 1 / classes)])
    model = LogisticRegression(C=strength, tol=tolerance, max_iter=200)
    with warnings.catch_warnings(action="ignore"):  # 200 steps are near enough to the optimum
        model.fit(rows, np.concatenate([y, np.arange(classes)]), sample_weight=weight)
    found, bias = model.coef_.T.astype(np.float64), model.intercept_.astype(np.float64)
    if classes == 2:
        found, bias = np.hstack([-found / 2, found / 2]), np.concatenate([-bias / 2, bias / 2])
    return (found if basis is None else basis @ found), bias


def _compact(z: NDArray[np.float32]) -> tuple[NDArray[np.float32], Floats | None]:
    """Fewer rows than features: the rows in an orthonormal basis (D, r) of their span, r <= n, and the basis.

    The solution lies in that span, and an L2 penalty does not see a rotation, so nothing changes but the time it takes.
    """
    if len(z) >= z.shape[1] or not z.any():
        return z, None
    wide = z.astype(np.float64)
    values, vectors = np.linalg.eigh(wide @ wide.T)
    keep = values > max(values[-1], 1e-12) * 1e-10
    root = np.sqrt(values[keep])
    return (vectors[:, keep] * root).astype(np.float32), (wide.T @ vectors[:, keep]) / root
