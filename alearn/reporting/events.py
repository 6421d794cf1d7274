"""What the loop did without being asked, in the order of its rounds, as JSON types, each with its reason.

Invariant: read from what was written down when it was done; nothing is concluded afterwards.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from alearn.core.guard import Check
from alearn.loop.forecasting import History
from alearn.loop.status import certified
from alearn.loop.undertaking import Undertaking
from alearn.store.tables import CertificateRow, SelectionRow, VersionRow

Event = dict[str, Any]
"""`round`, `at`, `what` it is about in a word, and the `words` for people."""


def events_of(loop: Undertaking, history: History) -> list[Event]:
    """Everything, by round; what was done at no round in particular comes first."""
    rounds = loop.store.rounds
    versions = {row.key: row for row in rounds.versions()}
    found = [
        *_asking(rounds.selections()),
        *_network(loop, history, versions),
        *_training(history, versions),
        *_deciding(loop, history),
        *(_certificate(row) for row in loop.store.automatic.certificates()),
        *_opinions(loop),
    ]
    return sorted(found, key=lambda one: (one["round"], one["at"]))


def automatic_of(loop: Undertaking) -> dict[str, Any]:
    """The labels that no person gave, and under which certificates."""
    told = [certified(row) for row in loop.store.automatic.certificates()]
    return {"labels": loop.store.automatic.count(), "certificates": told}


def _event(round_: int, at: str, what: str, words: str) -> Event:
    return {"round": round_, "at": at, "what": what, "words": words}


def _asking(selections: Sequence[SelectionRow]) -> Iterator[Event]:
    """Changes of the strategy, and what the guard found."""
    before, share = "", None
    for row in selections:
        if row.strategy != before:
            yield _event(row.round, row.at, "strategy", f"Asks with {row.strategy}: {row.reason}")
        before = row.strategy
        guard = json.loads(row.facts).get("guard", {})
        moved = share is not None and guard.get("share") != share
        then = f"; from now on {guard['share']:.0%} of each batch is drawn at random" if moved else ""
        if "check" in guard:
            yield _event(row.round, row.at, "guard", Check(**guard["check"]).words + then)
        share = guard.get("share", share)


def _network(loop: Undertaking, history: History, versions: dict[str, VersionRow]) -> Iterator[Event]:
    """The newest choice of a network with its reason, and earlier changes as the versions show them."""
    choice, before = loop.store.rounds.choice(), ""
    for row, _ in history:
        network = (json.loads(versions[row.version].recipe).get("network") or {}).get("name", "")
        if before and network != before and not row.placed:
            yield _event(row.number, row.at, "network", f"Stands on {network} instead of {before}")
        before = network
    if choice is not None:
        later = [row.number for row, _ in history if row.labels >= choice.labels]
        told = f"Chosen on {choice.labels} labels: {choice.reason}"
        yield _event(later[0] if later else 0, choice.at, "network", told)


def _training(history: History, versions: dict[str, VersionRow]) -> Iterator[Event]:
    """Rungs of the ladder that were climbed or left, what was found out about them, pruning, and versions put back."""
    before, said = "linear", set[str]()
    for row, _ in history:
        version = versions[row.version]
        facts = json.loads(version.facts)
        if row.placed and not facts.get("pruned"):
            yield _event(row.number, row.at, "restored", f"A person made version {version.key[:8]} current again")
        elif version.rung != before and not facts.get("pruned"):
            yield _event(row.number, row.at, "training", f"{RUNGS[version.rung]} instead of {RUNGS[before].lower()}")
        for verdict in facts.get("verdicts", []):
            if verdict not in said:
                said.add(verdict)
                yield _event(row.number, row.at, "pruning" if facts.get("pruned") else "training", verdict)
        before = version.rung


RUNGS = {
    "linear": "A linear head is trained",
    "blocks": "The network's last blocks are trained",
    "whole": "The whole network is trained",
}


def _deciding(loop: Undertaking, history: History) -> Iterator[Event]:
    """Growth of the hold-out, all of it together, and stops."""
    grown = [row for row, _ in history if row.holdout_wanted is not None]
    if grown:
        words = (
            f"The hold-out was let grow from {loop.config.holdout.size} to {grown[-1].holdout_wanted} labels"
            f"{'' if len(grown) == 1 else f', up to round {grown[-1].number}'}: only its size kept the target open"
        )
        yield _event(grown[0].number, grown[0].at, "hold-out", words)
    for row, _ in history:
        if row.kind not in {None, "go"}:
            yield _event(row.number, row.at, "stop", str(row.reason))


def _certificate(row: CertificateRow) -> Event:
    facts = json.loads(row.facts)
    each = " of each class's" if facts["per_class"] else ""
    words = (
        f"{facts['labeled']:,} of {facts['pool']:,} items labeled without a person: at least {facts['precision']:.4g}"
        f"{each} right, with {facts['confidence']:.4g} confidence"
    )
    return _event(row.round, row.at, "automatic labels", words)


def _opinions(loop: Undertaking) -> Iterator[Event]:
    """Items that were asked about again, and test questions, counted."""
    picks = loop.store.rounds.picks()
    again = [pick for pick in picks if pick.opinions > 1 and pick.purpose != "test"]
    tests = Counter(pick.round for pick in picks if pick.purpose == "test")
    if again:
        words = f"{len(again)} items are asked of more than one person, to compare their answers"
        yield _event(0, "", "opinions", words)
    for number, count in sorted(tests.items()):
        words = "1 test question was" if count == 1 else f"{count} test questions were"
        yield _event(number, "", "tests", f"{words} mixed in")
