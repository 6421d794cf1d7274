"""The network that is to be pruned, whole and with its head; and one like it that did not see some of the labels.

What pruning loses is measured on labels that neither the pruned network nor the one it imitates has seen. So the
teacher of a fold is trained as the model was, on the other labels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alearn.models.head import Head, fit_head, item_weights
from alearn.models.networks import Network
from alearn.models.training.fitting import Report, fit
from alearn.models.training.inputs import Rows
from alearn.models.training.ladder import PLANS, Ground
from alearn.models.training.starts import behind
from alearn.models.training.tail import Tail
from alearn.models.training.tuned import tail
from alearn.models.tuned import Tuned


def whole(model: Head | Tuned, network: Network) -> Tail:
    """A model as one tail from the pixels, with what was not trained in front of what was.

    Raises:
        ModelError: the model is of another network.
    """
    if isinstance(model, Head):
        found = Tail(network.chain, None, *model.weights.shape, model.temperature)
        found.wear(model)
        return found
    trained = tail(model, network)
    return trained if model.start is None else joined(network, trained)


def joined(network: Network, trained: Tail) -> Tail:
    """A tail that begins behind a tap, with the network in front of it."""
    found = Tail(network.chain, None, 1, 1, float(trained.temperature))
    first = len(found.suffix.stages) - len(trained.suffix.stages)
    for at, stage in enumerate(trained.suffix.stages):
        found.suffix.stages[first + at] = stage
    found.suffix.neck, found.head = trained.suffix.neck, trained.head
    return found


def without(
    model: Head | Tuned,
    network: Network,
    ground: Ground,
    x: NDArray[np.float32],
    y: NDArray[np.intp],
    *,
    rows: Rows,
    seed: int,
    checkpoint: Path,
    report: Report | None = None,
) -> Tail:
    """The whole tail that the model would be, had it been trained on these rows of the labels alone.

    `x` (n, D) are the embeddings that a linear head stands on, `y` (n,) class numbers.
    """
    classes = len(model.bias) if isinstance(model, Head) else model.classes
    head = fit_head(x[rows], y[rows], classes, seed=seed)
    if isinstance(model, Head):
        return whole(head, network)
    module = Tail(network.chain, model.start, *head.weights.shape, model.temperature)
    module.wear(head)
    stored = ground.stored(model.start) if ground.stored and model.start is not None else None
    pictures = ground.prepared() if stored is None else None
    inputs = stored or (pictures if model.start is None else behind(network, pictures, model.start))
    temperature = float(module.temperature)
    fit(
        module, inputs, y, rows=rows, weights=item_weights(y, classes), plan=PLANS[model.rung], seed=seed,
        checkpoint=checkpoint, report=report,
    )
    return module if model.start is None else joined(network, module)
