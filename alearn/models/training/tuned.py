"""From a tuned tail, which is data, to the module that it describes, and to a graph that runs without torch."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from alearn.errors import ModelError
from alearn.models.networks import Network, Prefix
from alearn.models.networks.exporting import check, examples_of, write
from alearn.models.networks.widths import reshaped
from alearn.models.training.tail import Front, Tail, load
from alearn.models.tuned import Rung, Tuned

__all__ = ["Rung", "Tuned", "export_tuned", "tail"]


def tail(tuned: Tuned, network: Network) -> Tail:
    """The module: from the activation behind `start`, or what `serving.feed` gives, to logits / temperature (n, C).

    Raises:
        ModelError: the weights are those of another network.
    """
    classes, dim = tuned.tensors["head.weight"].shape
    module = Tail(network.chain, tuned.start, dim, classes, tuned.temperature)
    if tuned.widths:
        reshaped(module, tuned.widths)
    try:
        load(module, tuned.tensors)
    except RuntimeError as error:
        raise ModelError(
            f"A tuned tail must fit its network, {tuned.network}. It does not: {' '.join(str(error).split())[:300]}. "
            "Train a new version."
        ) from error
    return module.to(memory_format=torch.channels_last)


def export_tuned(tuned: Tuned, network: Network, folder: Path, *, whole: bool) -> Path:
    """Write `model.onnx` into a folder, its output `probability` (n, C); returns the file.

    `whole`: from `pixels`, or `ids` and `mask`. Else from `activation`, what is stored behind `start`, float16; images
    only.

    Raises:
        ModelError: the graph cannot be exported, does not give what torch gives, or there is no stored activation.
    """
    path = folder / "model.onnx"
    with torch.no_grad():
        module, examples = _whole(tuned, network) if whole else _behind(tuned, network)
        wanted = [module(*example.values()).numpy() for example in examples]
        write(module, examples[0], path, "probability")
    check(path, examples, wanted)
    return path


def probability(tuned: Tuned, network: Network, *, whole: bool) -> nn.Module:
    """The module that `export_tuned` writes."""
    return (_whole(tuned, network) if whole else _behind(tuned, network))[0]


class _Probability(nn.Module):
    """A tail with the softmax, behind the part of its network that was not trained if that is given."""

    def __init__(self, trained: Tail, front: Front | None = None) -> None:
        super().__init__()
        self.front, self.trained = front, trained

    def forward(self, *inputs: Tensor) -> Tensor:
        given = inputs if self.front is None else self.front(*inputs)
        probability: Tensor = self.trained(*given).softmax(1)
        return probability


class _Activation(_Probability):
    """The same from a stored activation, float16."""

    def forward(self, *inputs: Tensor) -> Tensor:
        return super().forward(inputs[0].float())


def _whole(tuned: Tuned, network: Network) -> tuple[nn.Module, list[dict[str, Tensor]]]:
    """The module from the network's own inputs, and inputs to try it with."""
    front = None if tuned.start is None else Front(network.chain, tuned.start)
    return _Probability(tail(tuned, network), front).eval(), examples_of(network)


def _behind(tuned: Tuned, network: Network) -> tuple[nn.Module, list[dict[str, Tensor]]]:
    """The module from the activation that is stored, and such activations."""
    if tuned.start is None or network.data != "image":
        raise ModelError(
            "A tail runs on stored activations where it begins behind a tap of an image network. "
            f"This one, of {tuned.network}, does not. Export it whole."
        )
    before = Prefix(network.chain, tuned.start).eval()
    examples = [{"activation": before(*example.values())} for example in examples_of(network)]
    return _Activation(tail(tuned, network)).eval(), examples
