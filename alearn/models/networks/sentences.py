"""Text networks of sentence-transformers as chains: one stage per layer of a BERT-like encoder, else one for all.

Invariant: a chain that is handed out gives what the library gives, tried on texts of two lengths.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from alearn.errors import ModelError
from alearn.models.networks.chain import Chain, Network
from alearn.models.networks.downloads import download
from alearn.models.networks.weights import Weights, redrawn

EXACT = 1e-5
"""How far a chain may be from its network, relative to the largest number: rounding."""

Tokens = tuple[Tensor, Tensor]
"""Hidden states (n, length, dim) with their mask (n, length), int64."""


def sentence_transformer(name: str, size: int | None = None, weights: Weights = "pretrained") -> Network:
    """A sentence-transformers network, from a folder or by name; raises ModelError: unknown, or not to be had.

    Random weights are drawn for an architecture that is there with its own.
    """
    model = _loaded(name)
    if not getattr(model.tokenizer, "is_fast", False):
        raise ModelError(f"{name} has no tokenizer.json, which alearn needs. Name another network in `model.name`.")
    if weights == "random":
        redrawn(model)
    inputs = {"kind": "text", "max_tokens": int(model.max_seq_length or 512)}
    return Network(_chain(model), "text", inputs, tokenizer=model.tokenizer.backend_tokenizer.to_str())


def _loaded(name: str) -> Any:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging as transformers_logging
    except ImportError:
        raise ModelError(
            "Text networks need the package sentence-transformers. It is not installed. "
            "Run `pip install 'alearn[text]'`."
        ) from None
    transformers_logging.disable_progress_bar()
    with download(name, f"the model's folder, and name it: sentence-transformers:FOLDER instead of {name}"):
        return SentenceTransformer(name, device="cpu", model_kwargs={"attn_implementation": "eager"}).eval()


def _chain(model: Any) -> Chain:
    """Cut between the layers where that gives what the library gives; else the network is one stage."""
    whole = Chain(Together(), [("network", Sentences(model))], nn.Identity(), nn.Identity()).eval()
    cut = _by_layers(model)
    return cut if cut is not None and _agree(cut, whole) else whole


def _by_layers(model: Any) -> Chain | None:
    encoder = next(
        (one for one in model[0].modules() if type(one).__name__.endswith("Model") and hasattr(one, "embeddings")), None
    )
    layers = getattr(getattr(encoder, "encoder", None) or getattr(encoder, "transformer", None), "layer", None)
    if encoder is None or layers is None or not _PLAIN.intersection({type(one).__name__ for one in layers}):
        return None
    unit = any(type(part).__name__ == "Normalize" for part in model)
    stages = [(f"layer{at}", Layer(layer)) for at, layer in enumerate(layers)]
    return Chain(Embedded(encoder.embeddings), stages, MaskedMean(unit=unit), Finish(list(model)[1:])).eval()


_PLAIN = frozenset(
    {"BertLayer", "RobertaLayer", "XLMRobertaLayer", "CamembertLayer", "ElectraLayer", "TransformerBlock"}
)
"""Layers that take hidden states and a mask, and nothing else; the last is DistilBERT's."""


def _agree(chain: Chain, whole: Chain) -> bool:
    """Whether two chains give the same of two texts, one of them half as long."""
    ids = torch.randint(5, 1000, (2, 16), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[0, 8:] = 0
    with torch.no_grad():
        found, wanted = chain(ids * mask, mask), whole(ids * mask, mask)
    return found.shape == wanted.shape and bool((found - wanted).abs().max() <= EXACT * wanted.abs().max())


class Together(nn.Module):
    """The entry of text networks that cannot be cut: token numbers and mask go in as they are."""

    def forward(self, ids: Tensor, mask: Tensor) -> Tokens:
        """(n, length) and (n, length), int64."""
        return ids, mask


class Sentences(nn.Module):
    """Token numbers and mask (n, length), int64 -> embeddings (n, dim)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, given: Tokens) -> Tensor:
        """By the library's own way."""
        ids, mask = given
        found: Tensor = self.model({"input_ids": ids, "attention_mask": mask})["sentence_embedding"]
        return found


class Embedded(nn.Module):
    """The entry of encoders: the embeddings of the tokens and of their places."""

    def __init__(self, embeddings: nn.Module) -> None:
        super().__init__()
        self.embeddings = embeddings

    def forward(self, ids: Tensor, mask: Tensor) -> Tokens:
        """(n, length) and (n, length), int64 -> hidden states and mask."""
        return self.embeddings(input_ids=ids), mask


class Layer(nn.Module):
    """One layer of an encoder, which passes the mask on."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, given: Tokens) -> Tokens:
        """Hidden states and mask -> the next ones and the same mask."""
        hidden, mask = given
        hidden = self.layer(hidden, attention_mask=_added(mask, hidden.dtype))
        return (hidden[0] if isinstance(hidden, tuple) else hidden), mask


def _added(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to attention scores: nothing for a token, the least number for none, (n, 1, 1, length)."""
    return (1 - mask[:, None, None, :]).to(dtype) * torch.finfo(dtype).min


class MaskedMean(nn.Module):
    """The mean over the tokens of each text; of length 1 where the network's own embeddings are (`unit`)."""

    def __init__(self, *, unit: bool) -> None:
        super().__init__()
        self.unit = unit

    def forward(self, given: Tokens) -> Tensor:
        """Hidden states and mask -> (n, dim)."""
        hidden, mask = given
        weight = mask[:, :, None].to(hidden.dtype)
        found = (hidden * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
        return functional.normalize(found, dim=1) if self.unit else found


class Finish(nn.Module):
    """What the library does behind the encoder, by its own parts: pooling, maybe a layer, maybe to length 1."""

    def __init__(self, parts: Iterable[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, given: Tokens) -> Tensor:
        """Hidden states and mask -> (n, dim)."""
        hidden, mask = given
        found = {"token_embeddings": hidden, "attention_mask": mask}
        for part in self.parts:
            found = part(found)
        return found["sentence_embedding"]
