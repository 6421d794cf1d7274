"""`alearn health`: what may be wrong with the items and the labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alearn.cli import going_on
from alearn.cli.console import Terminal, emit, facts, table
from alearn.config import load
from alearn.errors import ConfigError
from alearn.loop.health import Asked, Family, Health, ask_again, health
from alearn.loop.undertaking import opened

SHOWN = 10
"""Lines of each kind that are shown; --json has all."""
WIDTH = 60
"""Letters of an item that are shown."""


def show_health(path: Path, *, review: int | None, as_json: bool) -> None:
    """Say what was found; `review`: and want another opinion of so many of the most suspect labels.

    Raises:
        ConfigError: `review` is less than 1.
    """
    if review is not None and review < 1:
        raise ConfigError(f"--review must be a number of labels, at least 1. Got {review}. Leave it out to only look.")
    with going_on("The same command goes on from here."), Terminal() as terminal:  # noqa: SIM117 - one thing each
        with opened(load(path), terminal, create=False) as loop:
            found = health(loop)
            asked = None if review is None else ask_again(loop, (found.suspects or ())[:review])
            once = loop.config.query.copies == "once"
    if as_json:
        emit(as_values(found, asked))
        return
    facts(_lines(found, once=once))
    _tables(found)
    if asked is not None:
        facts([("asked again", words(asked, found))])


def as_values(found: Health, asked: Asked | None) -> dict[str, Any]:
    """All of it as JSON types."""
    return {
        "items": found.items,
        "families": [_family(one) for one in found.families],
        "outliers": [asdict(one) for one in found.outliers],
        "classes": dict(found.counts),
        "imbalance": found.balance.ratio,
        "few": [list(found.counts)[at] for at in found.balance.few],
        "none": [list(found.counts)[at] for at in found.balance.none],
        "suspects": None if found.suspects is None else [asdict(one) for one in found.suspects],
        "quarantined": [{"place": row.place, "reason": row.reason} for row in found.quarantined],
        "asked": None if asked is None else {name: list(keys) for name, keys in asdict(asked).items()},
    }


def _family(one: Family) -> dict[str, Any]:
    said = {"straddles": one.straddles, "leaks": one.leaks, "disagrees": one.disagrees}
    return {**said, "items": [asdict(member) for member in one.members]}


def _lines(found: Health, *, once: bool) -> Iterator[tuple[str, object]]:
    copies = sum(len(one.members) for one in found.families)
    how = "each is asked about once" if once else "each item is asked about (`query.copies: each`)"
    yield "items", f"{found.items:,}"
    yield "near copies", f"{copies:,} items in {len(found.families):,} families; {how}" if copies else "none"
    yield "leaks", _leaks(found, once=once)
    yield "outliers", f"{len(found.outliers):,} items are far from all others"
    yield "classes", _classes(found)
    if found.suspects is None:
        yield "wrong labels", "not known yet: it takes ten labels a class, on the average"
    else:
        doubted = sum(one.doubted for one in found.suspects)
        yield (
            "wrong labels",
            f"{doubted:,} are probable, of {len(found.suspects):,} that the model would not have given",
        )
    yield "put aside", f"{len(found.quarantined):,} that cannot be used; `alearn status` tells why"


def _leaks(found: Health, *, once: bool) -> str:
    """What the model could know of the hold-out."""
    straddling, leaking = (sum(getattr(one, name) for one in found.families) for name in ("straddles", "leaks"))
    if not straddling:
        return "none: no family is on both sides of the hold-out"
    left = "is not asked about outside it" if once else "may be trained on"
    text = f"{straddling:,} families are on both sides of the hold-out; what is copied there {left}"
    return f"{text}. Labels of {leaking:,} are on both sides already, and flatter the metric" if leaking else text


def _classes(found: Health) -> str:
    names = list(found.counts)
    if found.balance.ratio is None:
        return "no labels yet"
    text = f"the largest has {found.balance.ratio:.3g} times the labels of the smallest"
    for what, places in (("fewer than 10", found.balance.few), ("none", found.balance.none)):
        if places:
            text += f"; {what}: {', '.join(names[at] for at in places[:SHOWN])}"
            text += f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    return text


def _tables(found: Health) -> None:
    if found.families:
        rows = [[_short(member.what) for member in one.members[:3]] + [_said(one)] for one in found.families[:SHOWN]]
        table("Near copies", ["items", "", "", ""], [[*row[:-1], *[""] * (4 - len(row)), row[-1]] for row in rows])
    if found.outliers:
        rows = [[_short(one.what), f"{one.deviations:.1f}"] for one in found.outliers[:SHOWN]]
        table("Outliers", ["item", "deviations"], rows)
    if found.suspects:
        heads = ["item", "label", "probability", "model", "sure", "opinions", ""]
        table("Suspected labels", heads, [_suspect(one) for one in found.suspects[:SHOWN]])


def _suspect(one: Any) -> list[object]:
    sure = [one.given, f"{one.probability:.2f}", one.suggested, f"{one.confidence:.2f}", one.opinions]
    return [_short(one.what), *sure, "asked again" if one.asked else "probable" if one.doubted else ""]


def _short(text: str) -> str:
    plain = " ".join(text.split())
    if len(plain) <= WIDTH:
        return plain
    return f"…{plain[-WIDTH + 1 :]}" if "/" in plain and " " not in plain else f"{plain[: WIDTH - 1]}…"


def _said(one: Family) -> str:
    """What is to be known of a family."""
    more = [f"and {len(one.members) - 3} more"] if len(one.members) > 3 else []
    if one.leaks:
        more.append("labeled on both sides of the hold-out")
    elif one.straddles:
        more.append("on both sides of the hold-out")
    if one.disagrees:
        more.append(f"labels differ: {', '.join(sorted({str(m.label) for m in one.members if m.label is not None}))}")
    return "; ".join(more)


def words(asked: Asked, found: Health) -> str:
    """What was done."""
    if found.suspects is None:
        return "nothing: there are too few labels to suspect any"
    if not (asked.now or asked.before or asked.enough):
        return "nothing: no label is suspected"
    text = f"{len(asked.now)} labels"
    if asked.now:
        text += "; the next `alearn run` shows them to people who have not answered them"
    if asked.before:
        text += f"; {len(asked.before)} others are being asked about already"
    if asked.enough:
        text += f"; {len(asked.enough)} have as many opinions as `consensus.opinions` allows"
    if found.people < 2:
        text += ". Only one person has annotated so far: it takes another"
    return text
