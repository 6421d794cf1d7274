"""The rules of `alearn.platform.Suggesting`, for platforms that can show labels which no person gave; each a test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from alearn.platform import Proposal, Proposed, Suggesting
from alearn.testing.case import Bench, entries, texts


class Suggested:
    """Tests that are given a `bench`; skipped where the platform cannot."""

    @pytest.fixture
    def suggesting(self, bench: Bench) -> Suggesting:
        """The platform, where it is one."""
        if not isinstance(bench.platform, Suggesting):
            pytest.skip("this platform cannot show labels that no person gave")
        return bench.platform

    def test_proposals_stand_behind_the_queue(self, bench: Bench, suggesting: Suggesting) -> None:
        """What the loop asks about comes first, also when it is another order than before."""
        keys, some = bench.push(texts(2)), _proposals(1)
        assert _propose(suggesting, some) == Proposed(there=1, new=1)
        assert suggesting.proposed() == 1
        bench.push([], entries(keys[::-1]))
        served = bench.case.queue(bench.setting)
        assert served[:2] == keys[::-1]
        assert set(served[2:]) <= {one.task.key for one in some}

    def test_proposals_are_tasks_once_and_no_annotations(self, bench: Bench, suggesting: Suggesting) -> None:
        """Proposing again adds nothing, and a pull tells of none: not as a state, not as found, not as missing."""
        keys, some = bench.push(texts(2)), _proposals(3)
        _propose(suggesting, some)
        assert _propose(suggesting, some) == Proposed(there=3, new=0)
        assert bench.held() == Counter([*keys, *(one.task.key for one in some)])
        pulled = bench.ledger.pull(bench.open(), pushed=keys)
        assert (pulled.found, pulled.missing) == ((), frozenset())
        assert not {one.task.key for one in some} & bench.ledger.states.keys()

    def test_withdrawing_leaves_what_people_have_answered(self, bench: Bench, suggesting: Suggesting) -> None:
        """The answer is told as any other, and its task stays; so does that of an item that the loop asks about."""
        some = _proposals(3)
        _propose(suggesting, some)
        answered, asked, _ = (one.task.key for one in some)
        bench.annotate(answered, "bird")
        bench.push([some[1].task], entries([asked]))
        assert _propose(suggesting, [], asked=[asked]) == Proposed(removed=1, kept=1)
        assert bench.held() == Counter([answered, asked])
        bench.ledger.pull(bench.platform)
        assert bench.ledger.one(answered).value == "bird"


def _proposals(count: int) -> list[Proposal]:
    return [Proposal(task, "dog", 0.99) for task in texts(count, "proposed")]


def _propose(platform: Suggesting, some: Sequence[Proposal], asked: Sequence[str] = ()) -> Proposed:
    return platform.propose(some, version="v1", asked=asked, progress=lambda done, total: None)
