"""The outcome in plain words.

Invariant: nothing is called better that the seeds cannot show; what too few seeds could never show is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alearn.core.comparison import least_p

SURE = 0.05
"""p-values below are called a difference."""
LEVEL = "95%"
"""The share of the full metric that sentences are about."""


def words(results: Mapping[str, Any]) -> list[str]:
    """A few sentences: what each strategy needs beside the baseline, how sure that is, and what to mind."""
    return [*_lines(results), *_replayed(results), *_cautions(results)]


def _lines(results: Mapping[str, Any]) -> Iterator[str]:
    base = results["baseline"]
    several = len(results["settings"]) > 1
    for setting in results["settings"]:
        where = f"Batch {setting['batch']}, {setting['noise']:.0%} wrong answers: " if several else ""
        for name in results["strategies"]:
            if name != base:
                yield where + _beside(results, setting, name)


def _beside(results: Mapping[str, Any], setting: Mapping[str, Any], name: str) -> str:
    """One strategy beside the baseline."""
    base, level = results["baseline"], f"{LEVEL[:-1]} % of the full-data {results['metric']['title'].lower()}"
    ours, theirs = (setting["strategies"][one]["labels_to"][LEVEL] for one in (name, base))
    sure = _sure(setting, results["seeds"], results["strategies"], name, base)
    if not setting["strategies"][name]["runs"]:
        return f"{name} has no run that came to its end."
    if ours["median"] is None and theirs["median"] is None:
        return f"Neither {name} nor {base} reaches {level} with {results['labels']} labels in most runs{sure}."
    if ours["median"] is None:
        return (
            f"{name} does not reach {level} with {results['labels']} labels, {base} needs {theirs['median']:g}{sure}."
        )
    if theirs["median"] is None:
        return f"{name} needs {ours['median']:g} labels for {level}, {base} more than {results['labels']}{sure}."
    saved = 1 - ours["median"] / theirs["median"]
    change = "the same" if saved == 0 else f"{abs(saved):.0%} {'saved' if saved > 0 else 'more'}"
    return f"{name} needs {ours['median']:g} labels for {level}, {base} {theirs['median']:g}: {change}{sure}."


def _sure(setting: Mapping[str, Any], seeds: int, names: Sequence[str], name: str, base: str) -> str:
    p = setting["p"][names.index(name)][names.index(base)]
    known = p is not None and seeds >= _needed(len(names))
    return f" (areas under the curves: p {equals(p)})" if known else ""


def _needed(strategies: int) -> int:
    """How many seeds it takes to show any difference among so many strategies, with Holm's correction."""
    pairs = strategies * (strategies - 1) // 2
    return next(count for count in range(1, 64) if pairs * least_p(count) < SURE)


def shown(p: float) -> str:
    """A p-value as people write it in a table."""
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def equals(p: float) -> str:
    """A p-value as people write it in a sentence."""
    return f"= {p:.3f}" if p >= 0.001 else "< 0.001"


def spread(found: Mapping[str, Any], budget: int, runs: int) -> str:
    """Median [least–most] labels; what was not reached is more than the budget, and nothing is said of no run."""
    if not runs:
        return "–"
    least, median, most = (
        f">{budget}" if found[name] is None else f"{found[name]:g}" for name in ("least", "median", "most")
    )
    return median if least == most else f"{median} [{least}–{most}]"


def better(compared: Mapping[str, Any], names: Sequence[str], name: str, base: str) -> bool | None:
    """Whether a strategy is better (True), worse (False) than another, or not shown to be either (None)."""
    one, two = names.index(name), names.index(base)
    p, ranks = compared["p"][one][two], compared["ranks"]
    if p is None or p >= SURE or ranks[one] is None:
        return None
    return bool(ranks[one] < ranks[two])


def _replayed(results: Mapping[str, Any]) -> Iterator[str]:
    """For a replay: whether active learning helped, and what such a look cannot say."""
    if not results["replay"]:
        return
    names, base = results["strategies"], results["baseline"]
    verdict = better(results["all"], names, names[0], base) if names[0] != base else None
    yield {
        True: f"Did active learning help here? Yes: {names[0]} learns faster than {base} on these labels.",
        False: f"Did active learning help here? No: {base} learns faster than {names[0]} on these labels.",
        None: "Did active learning help here? These seeds show no difference.",
    }[verdict]
    yield (
        "Only items that were labeled can be replayed. A strategy had chosen most of them, so random picks among them "
        "are not random picks from the whole pool, and the difference there may be larger or smaller."
    )


def _cautions(results: Mapping[str, Any]) -> Iterator[str]:
    count, seeds = len(results["strategies"]), results["seeds"]
    if count > 1 and seeds < (needed := _needed(count)):
        yield (
            f"{seeds} {'seed' if seeds == 1 else 'seeds'} cannot show a difference between {count} strategies at the "
            f"{SURE:.0%} level, however large it is: {needed} can (--seeds {needed})."
        )
    if results["failed"]:
        yield f"{len(results['failed'])} runs failed and are left out: see `failed` in results.json."
