"""What Prometheus reads: where every loop stands, and what was called.

Source of the format and the names: Prometheus, "Metric and label naming".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

GAUGES = {
    "items": "Items of the loop",
    "labels": "Labels, the hold-out's included",
    "holdout_labels": "Labels that measure",
    "open": "Items that wait for annotators",
    "selectable": "Items that may still be asked about",
    "rounds": "Model versions that were current so far",
}
KINDS = ("running", "standby", "starting", "failed")


class Telemetry:
    """Counters of the server, and gauges that are read from the stores when somebody scrapes."""

    def __init__(self, loops: Callable[[], Mapping[str, Mapping[str, Any]]]) -> None:
        self._registry = CollectorRegistry()
        self._calls = Counter("alearn_calls", "Calls, by answer", ["loop", "status"], registry=self._registry)
        self._seconds = Histogram(
            "alearn_call_seconds", "How long answering took", ["loop"], registry=self._registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
        )  # fmt: skip
        self._registry.register(_Loops(loops))

    def called(self, loop: str, status: int, seconds: float) -> None:
        """A call was answered."""
        self._calls.labels(loop, str(status)).inc()
        self._seconds.labels(loop).observe(seconds)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)


class _Loops(Collector):
    """`loops` gives, by name, a status (see `alearn.loop.status`) with the controller's `state`; or an `error`."""

    def __init__(self, loops: Callable[[], Mapping[str, Mapping[str, Any]]]) -> None:
        self._loops = loops

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The gauges, one sample a loop."""
        gauges = {name: GaugeMetricFamily(f"alearn_{name}", words, labels=["loop"]) for name, words in GAUGES.items()}
        state = GaugeMetricFamily("alearn_controller", "1 for the state it is in", labels=["loop", "state"])
        metric = GaugeMetricFamily("alearn_metric", "On the hold-out", labels=["loop", "metric", "bound"])
        for loop, status in self._loops().items():
            for kind in KINDS:
                state.add_metric([loop, kind], float(status["state"] == kind))
            for name, gauge in gauges.items():
                if name in status:
                    gauge.add_metric([loop], status[name])
            for name, row in status.get("metrics", {}).items():
                for bound in ("value", "low", "high"):
                    if row[bound] is not None:
                        metric.add_metric([loop, name, bound], row[bound])
        return [*gauges.values(), state, metric]

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing: the registry need not look before the stores are there."""
        return []
