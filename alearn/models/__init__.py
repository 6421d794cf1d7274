"""Pretrained networks: embeddings, heads that are trained on them, and models that leave the loop.

The only owner of torch. Nothing heavy is imported with this package: torch, scikit-learn and onnxruntime come in where
they are used.
"""

from alearn.models.cache import ActivationCache
from alearn.models.embeddings import embed_items
from alearn.models.export import export_model
from alearn.models.head import Head, fit_head, unseen_proba, warm
from alearn.models.predict import Prediction, predict
from alearn.models.trunk import Trunk, load_trunk

__all__ = [
    "ActivationCache",
    "Head",
    "Prediction",
    "Trunk",
    "embed_items",
    "export_model",
    "fit_head",
    "load_trunk",
    "predict",
    "unseen_proba",
    "warm",
]
