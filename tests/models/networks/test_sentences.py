"""Text networks are cut between the layers of their encoder and still give what sentence-transformers gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from alearn.models.networks import Chain, Embedder, Suffix, export
from alearn.models.zoo import MINILM, load_network

library = pytest.importorskip("sentence_transformers", reason="needs alearn[text]")
pytestmark = pytest.mark.skipif(not MINILM.installed, reason="needs alearn[offline]")


def _texts() -> tuple[Tensor, Tensor]:
    ids = torch.randint(5, 1000, (3, 11), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    return ids * mask, mask


def _both(folder: Path) -> tuple[Chain, Tensor, Tensor]:
    """The chain, its embeddings, and the library's."""
    chain = load_network(f"sentence-transformers:{folder}", "text").chain
    ids, mask = _texts()
    model = library.SentenceTransformer(str(folder), device="cpu").eval()
    with torch.no_grad():
        return chain, chain(ids, mask), model({"input_ids": ids, "attention_mask": mask})["sentence_embedding"]


def test_minilm_has_a_tap_behind_each_layer() -> None:
    """The embeddings of inner taps have length 1, as its own do; trunk and tail give what the whole gives."""
    chain, found, wanted = _both(MINILM.path().parent)
    assert torch.allclose(found, wanted, atol=1e-5)
    assert chain.taps == tuple(f"layer{at}" for at in range(6))
    ids, mask = _texts()
    with torch.no_grad():
        inner = Embedder(chain, ["layer2"])(ids, mask)
        activation = chain.entry(ids, mask)
        for stage in chain.between(None, "layer2"):
            activation = stage(activation)
        assert torch.allclose(Suffix(chain, "layer2")(activation), found, atol=1e-6)
    assert torch.allclose(inner.norm(dim=1), torch.ones(3), atol=1e-5)


def test_padding_changes_no_embedding() -> None:
    """Nor at an inner tap."""
    chain = load_network("minilm", "text").chain
    ids, mask = _texts()
    with torch.no_grad():
        together = Embedder(chain, ["layer1", "layer5"])(ids, mask)
        alone = Embedder(chain, ["layer1", "layer5"])(ids[1:2, :4], mask[1:2, :4])
    assert torch.allclose(together[1], alone[0], atol=1e-5)


def test_taps_of_texts_can_be_exported(tmp_path: Path) -> None:
    """Checked against torch, at two lengths, by the export itself."""
    found = export(load_network("minilm", "text"), tmp_path, ("layer1", "layer5"))
    assert (found.engine, found.shape, found.spans["layer5"]) == ("onnxruntime", (768,), (384, 768))


def _small(kind: str) -> Any:
    import transformers

    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    if kind == "distilbert":
        sizes = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}
    torch.manual_seed(0)
    return transformers.AutoModel.from_config(transformers.AutoConfig.for_model(kind, vocab_size=30522, **sizes))


@pytest.mark.parametrize(
    ("kind", "taps"),
    [("distilbert", ("layer0", "layer1")), ("xlm-roberta", ("layer0", "layer1")), ("mpnet", ("network",))],
)
def test_other_encoders_are_cut_where_they_are_plain(kind: str, taps: tuple[str, ...], tmp_path: Path) -> None:
    """With the first token's state, not of length 1; the last gives its layers more than a mask, and stays whole."""
    _small(kind).save_pretrained(tmp_path / "encoder")
    tokenizer = library.SentenceTransformer(str(MINILM.path().parent), device="cpu").tokenizer
    tokenizer.save_pretrained(tmp_path / "encoder")
    parts = library.models
    encoder = parts.Transformer(str(tmp_path / "encoder"))
    library.SentenceTransformer(modules=[encoder, parts.Pooling(32, "cls")], device="cpu").save(str(tmp_path / "all"))
    chain, found, wanted = _both(tmp_path / "all")
    assert chain.taps == taps
    assert torch.allclose(found, wanted, atol=1e-5)


def test_random_weights_are_others_and_the_same_each_time() -> None:
    """In the architecture that is there."""
    first, second, trained = (load_network(name, "text").chain for name in ("random:minilm", "random:minilm", "minilm"))
    with torch.no_grad():
        one, other, real = (chain(*_texts()) for chain in (first, second, trained))
    assert torch.equal(one, other)
    assert nn.functional.cosine_similarity(one, real).abs().max() < 0.5
