"""What runs a network, on this machine's hardware: one interface, an engine per file, and the choice among them."""

from alearn.models.engines import cpu
from alearn.models.engines.calibration import items_per_second, rate
from alearn.models.engines.engine import Engine, Feed, Precision
from alearn.models.engines.opening import Runnable, available, open_graph, open_network

__all__ = [
    "Engine",
    "Feed",
    "Precision",
    "Runnable",
    "available",
    "cpu",
    "items_per_second",
    "open_graph",
    "open_network",
    "rate",
]
