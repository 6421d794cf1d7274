"""The report in a few sentences, and the figures at its top.

Invariant: nothing is called saved that the hold-out cannot show; every sentence follows from numbers of the report.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from alearn.core.stopping import amount

Numbers = Mapping[str, Any]


def in_short(numbers: Numbers) -> Iterator[str]:
    """What there is to say, the most important first."""
    decision, spent = numbers["status"]["decision"], numbers["spent"]
    if decision is not None:
        yield sentence(decision["reason"])
    elif not numbers["rounds"]:
        items = numbers["status"]["items"]
        yield f"No model has been trained yet. {spent['labels']:,} of {items:,} items have a label."
    yield from _spent(spent)
    if "unknown" not in numbers["saved"]:
        yield saving(numbers["saved"])
    if (found := numbers["suspects"].get("doubted")) is not None:
        some = f"{found:,} of {numbers['suspects']['labels']:,} labels that the model learned from"
        yield (
            f"{some} look wrong to models that did not see them."
            if found
            else (f"None of {some.partition(' of ')[2]} looks wrong to models that did not see it.")
        )
    if numbers["automatic"]["labels"]:
        yield f"{numbers['automatic']['labels']:,} items have a label that no person gave."
    if numbers["quarantined"]:
        yield f"{len(numbers['quarantined']):,} items or files were put aside, because they cannot be used."


def sentence(words: str) -> str:
    """With a capital letter and a full stop."""
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")


def _spent(spent: Numbers) -> Iterator[str]:
    if not spent["labels"]:
        return
    hours = "" if spent["hours"] is None else f", in {hours_of(spent['hours'])} of annotators' work"
    money = "" if spent["money"] is None else f", for {priced(spent['money'], spent)}"
    yield (
        f"{spent['labels']:,} labels were spent{hours}{money}: {spent['training']:,} to learn from, "
        f"{spent['holdout']:,} to measure with."
    )


def hours_of(hours: float) -> str:
    """A time in the unit that suits it."""
    return f"{hours * 60:.0f} minutes" if hours < 1 else f"{hours:.1f} hours"


def priced(money: float, spent: Numbers) -> str:
    """Money in the loop's currency."""
    return amount(money, spent["currency"])


def limit(name: str, value: float, spent: Numbers) -> str:
    """A limit of the budget."""
    return priced(value, spent) if name == "money" else f"{value:,} {name}"


def saving(found: Numbers) -> str:
    """What asking for labels saved against random ones, and how sure that is."""
    labels, saved = found["labels"], found["saved"]
    level = f"{within(found['title'])} {found['level']:.3f}"
    both = f"To reach {level} a head takes {labels['chosen']} of the loop's labels, or {labels['random']} random ones"
    between = f"95 % interval {saved['low']} to {saved['high']}"
    if saved["low"] > 0:
        return f"{both}: {saved['value']} labels saved, {found['share']:.0%} ({between})."
    if saved["high"] < 0:
        return f"{both}: random ones would have taken {-saved['value']} fewer ({between})."
    return f"{both}. The hold-out cannot show a difference ({saved['value']} saved, {between})."


def beyond(found: Numbers) -> str | None:
    """How many random labels it would have taken to where all labels came."""
    ahead = found["beyond"]
    if ahead is None:
        return None
    labels, level = ahead["labels"], f"{within(found['title'])} {ahead['level']:.3f}"
    begin = f"With all {ahead['spent']} labels that the loop learned from, a head reaches {level}."
    if labels["low"] is None:
        return f"{begin} As the random curve goes on, no {ahead['most']:,} random labels would (80 % sure)."
    most = "or more" if labels["high"] is None else f"to {labels['high']:,}"
    middle = "" if labels["median"] is None else f"about {labels['median']:,} random ones, "
    return (
        f"{begin} As the random curve goes on, that would take {middle}{labels['low']:,} {most} (80 % interval, "
        "beyond what was measured)."
    )


def within(title: str) -> str:
    """A metric's title within a sentence; one that is an abbreviation stays as it is."""
    return title[0].lower() + title[1:] if title[1:2].islower() else title


def at_least(bound: float) -> str:
    """A lower bound, never rounded up past a target that it has not reached."""
    return f"{math.floor(bound * 1000) / 1000:.3f}"


def tiles(numbers: Numbers) -> Iterator[tuple[str, str, str]]:
    """The figures at the top: name, figure, and what goes with it."""
    curve, spent, saved = numbers["curve"], numbers["spent"], numbers["saved"]
    if curve["points"]:
        last = curve["points"][-1]
        bound = "" if last["low"] is None else f"at least {at_least(last['low'])}, on {last['holdout_labels']} labels"
        yield curve["title"], f"{last['value']:.3f}", bound
    if curve["target"] is not None:
        decision = numbers["status"]["decision"]
        hit = decision is not None and decision["kind"] == "target"
        yield "target", f"{curve['target']:g}", "reached" if hit else "not reached"
    most = spent["budget"]["labels"]
    yield (
        "labels",
        f"{spent['labels']:,}",
        f"of a budget of {most:,}" if most else f"of {numbers['status']['items']:,} items",
    )
    if spent["hours"] is not None:
        yield "annotators' work", hours_of(spent["hours"]), f"{spent['seconds_each']:.1f} s an answer"
    if spent["money"] is not None:
        most = spent["budget"]["money"]
        each = "" if spent["money_each"] is None else f"{priced(spent['money_each'], spent)} a label"
        yield "cost", priced(spent["money"], spent), each if most is None else f"of a budget of {priced(most, spent)}"
    if "unknown" not in saved:
        sure = saved["saved"]["low"] > 0 or saved["saved"]["high"] < 0
        yield (
            "saved against random",
            f"{saved['share']:.0%}" if sure else "undecided",
            f"{saved['saved']['value']} of {saved['labels']['random']} labels" if sure else "by this hold-out",
        )
