"""A trained tail as data: the same bytes, the same module, the same probabilities on onnxruntime."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from alearn.errors import ModelError
from alearn.models.networks import Network
from alearn.models.training.fitting import Plan, fit, logits_of
from alearn.models.training.inputs import Texts
from alearn.models.training.starts import behind, default_start
from alearn.models.training.tail import Tail, arrays
from alearn.models.training.tuned import Tuned, export_tuned, tail
from alearn.models.zoo import resolve


@pytest.fixture(scope="module")
def tuned(solar: Any) -> Tuned:
    """An epoch of the last blocks."""
    module = Tail(solar.network.chain, solar.start, 1, 1)
    module.wear(solar.head)
    fit(module, solar.stored, solar.y, rows=np.arange(64), plan=Plan(epochs=1, rate=3e-4), seed=0)
    return Tuned("blocks", "efficientnet-lite0", 64, solar.start, 1.5, {}, arrays(module))


def test_bytes_hold_everything_and_are_always_the_same(solar: Any, tuned: Tuned) -> None:
    """And no pickle: it is a safetensors file; the module says the same as before, divided by the temperature."""
    again = Tuned.from_bytes(tuned.to_bytes())
    assert again.to_bytes() == tuned.to_bytes()
    assert (again.rung, again.size, again.start, again.temperature, again.classes) == ("blocks", 64, "block13", 1.5, 2)
    rows = np.arange(10)
    logits = logits_of(tail(again, solar.network), solar.stored, rows)
    plain = logits_of(tail(replace(tuned, temperature=1.0), solar.network), solar.stored, rows)
    assert logits * 1.5 == pytest.approx(plain, abs=1e-4)


@pytest.mark.parametrize("cut", [0, 7, 60, -1])
def test_damaged_bytes_are_refused(tuned: Tuned, cut: int) -> None:
    """Never half a tail."""
    with pytest.raises(ModelError, match="damaged"):
        Tuned.from_bytes(tuned.to_bytes()[:cut])


def test_the_weights_of_another_network_are_refused(task: Any, tuned: Tuned) -> None:
    """With the name of the one they are of."""
    with pytest.raises(ModelError, match=r"must fit its network, efficientnet-lite0"):
        tail(replace(tuned, start="one"), task.network())


def test_both_graphs_give_what_torch_gives(solar: Any, tuned: Tuned, tmp_path: Path) -> None:
    """From pixels, and from the stored activation: the same probabilities within 1e-4, rows of sum 1."""
    rows = np.arange(5)
    wanted = torch.from_numpy(logits_of(tail(tuned, solar.network), solar.stored, rows)).softmax(1).numpy()
    (pixels,) = solar.pictures.take(rows)
    (activation,) = solar.stored.take(rows)
    feeds = {True: {"pixels": pixels.numpy()}, False: {"activation": activation.numpy().astype(np.float16)}}
    for whole, feed in feeds.items():
        path = export_tuned(tuned, solar.network, tmp_path, whole=whole)
        (found,) = onnxruntime.InferenceSession(str(path)).run(["probability"], feed)
        assert found == pytest.approx(wanted, abs=1e-4)


def test_a_tuned_whole_network_takes_pixels(task: Any, tmp_path: Path) -> None:
    """It begins at the input, so there is no stored activation to run on."""
    network: Network = task.network()
    whole = Tuned("whole", "small", 12, None, 2.0, {}, arrays(Tail(network.chain, None, 16, 3)))
    pixels, _ = task.pictures(4)
    path = export_tuned(whole, network, tmp_path, whole=True)
    (found,) = onnxruntime.InferenceSession(str(path)).run(None, {"pixels": pixels})
    wanted = tail(whole, network)(torch.from_numpy(pixels)).softmax(1).detach().numpy()
    assert found == pytest.approx(wanted, abs=1e-5)
    with pytest.raises(ModelError, match="Export it whole"):
        export_tuned(whole, network, tmp_path, whole=False)


def test_the_last_layers_of_a_text_network_are_trained_and_exported(intents: Any, tmp_path: Path) -> None:
    """From hidden states of texts of different lengths; the graph from token numbers gives what torch gives."""
    network = resolve("minilm", "text").network(None)
    from alearn.models.serving import feed, tokens

    tokenizer = _tokenizer(network)
    rows = np.arange(8)
    ready = [tokens(tokenizer, text) for text in intents.raw[: len(rows)]]
    texts, start = Texts(ready), default_start(network)
    assert start == "layer3"
    hidden = behind(network, texts, start)
    module = Tail(network.chain, start, 384, 10)
    before = logits_of(module, hidden, rows)
    fit(module, hidden, intents.y[rows], rows=rows, plan=Plan(epochs=2, batch=4, rate=1e-3), seed=0)
    assert not np.allclose(before, logits_of(module, hidden, rows))
    tuned = Tuned("blocks", "minilm", None, start, 1.0, {}, arrays(module))
    path = export_tuned(tuned, network, tmp_path, whole=True)
    (found,) = onnxruntime.InferenceSession(str(path)).run(None, feed("text", ready))
    wanted = torch.from_numpy(logits_of(module, hidden, rows)).softmax(1).numpy()
    assert found == pytest.approx(wanted, abs=1e-3)


def _tokenizer(network: Network) -> Any:
    from tokenizers import Tokenizer

    found = Tokenizer.from_str(network.tokenizer)
    found.no_padding()
    found.enable_truncation(network.inputs["max_tokens"])
    return found
