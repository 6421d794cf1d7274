"""The network that is to be pruned, whole and with its head; and one like it that did not see some of the labels.

What pruning loses is measured on labels that neither the pruned network nor the one it imitates has seen. So the
teacher of a fold is trained as the model was, on the other labels.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from alearn.models.head import Head, fit_head, item_weights
from alearn.models.networks import Network
from alearn.models.training import device
from alearn.models.training.fitting import Report, fit
from alearn.models.training.inputs import Inputs, Rows
from alearn.models.training.ladder import PLANS
from alearn.models.training.starts import behind
from alearn.models.training.tail import Tail
from alearn.models.training.tuned import tail
from alearn.models.tuned import Tuned


def whole(model: Head | Tuned, network: Network) -> Tail:
    """A model as one tail from the pixels, with what was not trained in front of what was.

    Raises:
        ModelError: the model is of another network.
    """
    if isinstance(model, Tuned):
        return _joined(network, tail(model, network), model.start)
    dim, classes = model.weights.shape
    found = Tail(network.chain, None, dim, classes, model.temperature)
    found.wear(model)
    return found


def without(
    model: Head | Tuned,
    network: Network,
    labeled: Inputs,
    x: NDArray[np.float32],
    y: NDArray[np.intp],
    *,
    rows: Rows,
    epochs: int | None = None,
    strength: float | None = None,
    seed: int,
    where: torch.device = device.CPU,
    checkpoint: Path,
    report: Report | None = None,
) -> Tail:
    """The whole tail that a model would be, had it been trained on these rows of the labels alone.

    `labeled` are the pictures of the labels `y` (n,), class numbers; `x` (n, D) their embeddings by the network.
    `epochs`: how many a tuned tail was trained for, none: all of its plan. `strength` is that of linear heads.
    """
    head = fit_head(x[rows], y[rows], model.classes, seed=seed, strength=strength)
    if isinstance(model, Head):
        return whole(head, network)
    trained = Tail(network.chain, model.start, x.shape[1], model.classes)
    trained.wear(head)
    inputs = labeled if model.start is None else behind(network, labeled, model.start, where=where)
    weights, plan = item_weights(y, model.classes), replace(PLANS[model.rung], stop=epochs)
    fit(
        trained, inputs, y, rows=rows, weights=weights, plan=plan, seed=seed, where=where,
        checkpoint=checkpoint, report=report,
    )  # fmt: skip
    trained.temperature.fill_(model.temperature)
    return _joined(network, trained, model.start)


def _joined(network: Network, trained: Tail, start: str | None) -> Tail:
    """A tail with the network before its start in front of it."""
    if start is None:
        return trained
    found = Tail(network.chain, None, 1, 1, float(trained.temperature))
    first = network.chain.place(start) + 1
    for at, stage in enumerate(trained.suffix.stages):
        found.suffix.stages[first + at] = stage
    found.suffix.neck, found.head = trained.suffix.neck, trained.head
    return found
