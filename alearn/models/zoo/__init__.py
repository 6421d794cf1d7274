"""The pretrained networks that can be named in a config: what they are, where their weights come from, what is here.

Invariant: looking a network up, and finding out which weights it has, costs no import of torch or of any library that
needs it; only loading it (`networks`) and listing the hubs' registries (`registries.py`) do.
"""

from alearn.models.zoo.catalogue import catalogue, offline, offline_candidates
from alearn.models.zoo.listed import Listed
from alearn.models.zoo.names import load_network, resolve, size_for
from alearn.models.zoo.packaged import LITE0, LITE1, LITE2, MINILM, Packaged
from alearn.models.zoo.pretrained import Pretrained
from alearn.models.zoo.rows import ZOO

__all__ = [
    "LITE0",
    "LITE1",
    "LITE2",
    "MINILM",
    "ZOO",
    "Listed",
    "Packaged",
    "Pretrained",
    "catalogue",
    "load_network",
    "offline",
    "offline_candidates",
    "resolve",
    "size_for",
]
