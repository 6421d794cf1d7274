"""`alearn replay`: what is printed, and with which exit code."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

Alearn = Callable[..., Any]


def test_a_round_is_replayed(alearn: Alearn, loop: Path) -> None:
    """A line for each part for people, the same as JSON for scripts, and exit code 0 when nothing differs."""
    alearn("run", loop)
    said = alearn("replay", loop, "--round", "2")
    assert said.code == 0, said.err
    for name in ("training set", "weights", "metrics", "picks", "queue"):
        assert f"{name}  " in said.out
    assert said.out.count("same: ") == 5
    found = alearn("replay", loop, "--round", "2", "--json").json
    assert (found["loop"], found["round"], found["differs"]) == ("parity", 2, False)
    assert {part["verdict"] for part in found["parts"]} == {"same"}
    assert found["libraries"] == {}


def test_what_differs_is_exit_code_one(alearn: Alearn, loop: Path) -> None:
    """With what differs, in a line of its own."""
    alearn("run", loop)
    with sqlite3.connect(loop.parent / "home" / "alearn.sqlite3") as database:
        database.execute("UPDATE metric SET value = 0.123 WHERE name = 'accuracy'")
    said = alearn("replay", loop)
    assert said.code == 1
    assert "DIFFERS: 1 number of" in said.out
    assert "accuracy was 0.123" in said.out


def test_a_round_that_is_not_there(alearn: Alearn, loop: Path) -> None:
    """One sentence and exit code 2; so for a loop that has not begun."""
    assert "has not begun" in alearn("replay", loop).err
    alearn("run", loop)
    said = alearn("replay", loop, "--round", "99")
    assert said.code == 2
    assert "Got 99. See `alearn history`." in said.err
    assert alearn("replay", loop, "--round", "two").code == 2
