"""`alearn replay`: a round done again from its record, part by part beside what was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from alearn.cli import going_on
from alearn.cli.console import Terminal, emit, facts
from alearn.config import load
from alearn.loop.replaying import Replay, replay
from alearn.loop.undertaking import opened

IN_WORDS = {"same": "same", "differs": "DIFFERS", "unknown": "cannot be replayed"}


def replay_round(path: Path, number: int | None, *, as_json: bool) -> None:
    """Print every part; exit code 1 when one came out otherwise."""
    config = load(path)
    with going_on("Nothing was changed."), Terminal() as terminal, opened(config, terminal, create=False) as loop:
        found = replay(loop, number)
    if as_json:
        emit(as_values(found, config.name))
    else:
        facts(lines(found))
    raise typer.Exit(1 if found.differs else 0)


def as_values(found: Replay, name: str) -> dict[str, Any]:
    """A replay as JSON types."""
    parts = [
        {"part": part.name, "verdict": part.verdict, "words": part.words, "details": list(part.details)}
        for part in found.parts
    ]
    libraries = {name: {"then": then, "now": now} for name, (then, now) in found.libraries.items()}
    return {
        "loop": name,
        "round": found.round,
        "version": found.version,
        "differs": found.differs,
        "parts": parts,
        "libraries": libraries,
        "config": list(found.config),
    }


def lines(found: Replay) -> list[tuple[str, object]]:
    """A replay for a terminal: a line for each part, and one for each difference."""
    said: list[tuple[str, object]] = [("round", f"{found.round}, version {found.version[:8]}")]
    for part in found.parts:
        said.append((part.name, f"{IN_WORDS[part.verdict]}: {part.words}"))
        said += [("", detail) for detail in part.details]
    changed = [
        f"{name} {then or 'missing'} then, {now or 'missing'} now" for name, (then, now) in found.libraries.items()
    ]
    said.append(("libraries", "; ".join(changed) or "those of then"))
    if found.config:
        said.append(("config", f"replayed as it was; now other in {', '.join(found.config)}"))
    return said
