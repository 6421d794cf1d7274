"""Pretrained networks in torch, as chains of stages that can be cut at a tap.

The only package beside `training` and `pruning` that imports torch when it is imported. A trunk comes from here once
per network, size and tap, and never again while its exported graph is there.
"""

from alearn.models.networks.chain import Activation, Chain, Embedder, Network, Prefix, Suffix
from alearn.models.networks.exporting import cut, export, weights_digest
from alearn.models.networks.hubs import HUBS
from alearn.models.networks.lite import lite

__all__ = [
    "HUBS",
    "Activation",
    "Chain",
    "Embedder",
    "Network",
    "Prefix",
    "Suffix",
    "cut",
    "export",
    "lite",
    "weights_digest",
]
