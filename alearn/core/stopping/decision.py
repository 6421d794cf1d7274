"""What a stopping rule answers, and how several answers become one.

Invariant: a decision stops exactly if its kind is not "go"; its reason is one line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["go", "target", "budget", "empty", "plateau", "stability"]


@dataclass(frozen=True)
class Decision:
    """Stop or go on, and why in words."""

    stop: bool
    kind: Kind
    reason: str


def any_of(decisions: Sequence[Decision]) -> Decision:
    """Stop as soon as one rule says so: its kind is the first one's, its reason that of all that say so."""
    stopping = [one for one in decisions if one.stop]
    return _joined(stopping or decisions, stop=bool(stopping))


def all_of(decisions: Sequence[Decision]) -> Decision:
    """Stop when every rule says so; else the reasons of those that do not yet. Without a rule there is no stop."""
    waiting = [one for one in decisions if not one.stop]
    return _joined(waiting or decisions, stop=bool(decisions) and not waiting)


def _joined(decisions: Sequence[Decision], *, stop: bool) -> Decision:
    reasons = dict.fromkeys(one.reason for one in decisions if one.reason)
    return Decision(stop, decisions[0].kind if stop else "go", "; ".join(reasons) or "No stopping rule is set")
