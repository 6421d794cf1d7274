"""Conformance suites for those who write a connector or a query strategy: subclass, say what is yours, run pytest.

    from alearn.testing import PlatformCase, PlatformConformance

    class ShelfCase(PlatformCase):
        def open(self, setting): return shelf.open(setting)
        ...

    class TestShelf(PlatformConformance):
        @pytest.fixture
        def platform_case(self, tmp_path): return ShelfCase(tmp_path)

`Appen` is a stand-in of Appen's API on this machine, with contributors, webhooks and faults.

For a connector, say how a person acts on your platform. Every test states one rule of the door in `alearn.platform`; a
rule about something your platform cannot do is skipped. The suite is made for real servers: each test has a loop name
of its own, no project is deleted, few answers are given.

    from alearn.testing import StrategyConformance

    class TestMine(StrategyConformance):
        name = "my_package.my_module:my_strategy"

Invariant: nothing in alearn imports this module; it needs pytest.
"""

from __future__ import annotations

import pytest

# So that a rule that is broken shows what was expected and what was there.
pytest.register_assert_rewrite(
    "alearn.testing.case", "alearn.testing.rules", "alearn.testing.suggested", "alearn.testing.strategies"
)

from alearn.testing.appen import Appen, Worker  # noqa: E402
from alearn.testing.case import Bench, BenchMaker, Ledger, PlatformCase, entries, texts  # noqa: E402
from alearn.testing.rules import PlatformConformance  # noqa: E402
from alearn.testing.strategies import StrategyConformance, pool_of  # noqa: E402

__all__ = [
    "Appen",
    "Bench",
    "BenchMaker",
    "Ledger",
    "PlatformCase",
    "PlatformConformance",
    "StrategyConformance",
    "Worker",
    "entries",
    "pool_of",
    "texts",
]
