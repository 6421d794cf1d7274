"""The parts of the page about the work: what was spent and saved, by whom, and what the loop did on its own.

Invariant: every text is escaped; a part of which nothing is known says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from alearn.pages.document import listed, note, table
from alearn.reporting.charts import beside_random
from alearn.reporting.words import beyond, limit, priced, saving, sentence

Numbers = Mapping[str, Any]

ASKED_FOR = {
    "query": "labels chosen by a strategy",
    "random": "labels drawn at random, to guard the strategy",
    "holdout": "hold-out labels, to measure with",
    "test": "labels of test questions to annotators",
    "found": "labels that were there before",
}


def spent(found: Numbers) -> Iterator[str]:
    """Labels, annotations, hours and money."""
    rows = [[escape(ASKED_FOR.get(name, name)), f"{count:,}"] for name, count in found["asked_for"].items()]
    rows += [["labels in all", f"<b>{found['labels']:,}</b>"], ["answers given", f"{found['annotations']:,}"]]
    rows += [["skipped", f"{found['skips']:,}"], ["open", f"{found['open']:,}"]]
    if found["hours"] is not None:
        each = f"{found['seconds_each']:.1f}"
        rows += [["annotators' hours", f"{found['hours']:.2f}"], [f"seconds each, of {found['timed']:,} timed", each]]
    if found["money"] is not None:
        rows += [["cost", escape(priced(found["money"], found))]]
        rows += [] if found["money_each"] is None else [["cost of a label", escape(priced(found["money_each"], found))]]
    limits = [limit(name, value, found) for name, value in found["budget"].items() if value is not None]
    rows.append(["budget", escape(", ".join(limits)) or "no limit"])
    yield f'<div class="narrow">{table([], rows)}</div>'


def against_random(found: Numbers, simulated: Numbers | None) -> Iterator[str]:
    """Chosen labels beside random ones, from the hold-out and, where there is one, from an experiment."""
    if "unknown" in found:
        yield note(f"Not known from this loop's own labels. {sentence(found['unknown'])}")
    else:
        yield f"<p>{escape(saving(found))}</p>"
        yield f"<figure>{beside_random(found)}<figcaption>{_how(found)}</figcaption></figure>"
        if (more := beyond(found)) is not None:
            yield f"<p>{escape(more)}</p>"
    if simulated is not None:
        yield f"<p>What <code>{escape(simulated['how'])}</code> found on {simulated['items']:,} items:</p>"
        yield listed(simulated["words"])


def _how(found: Numbers) -> str:
    drawn, gap = found["drawn"], found["gap"]
    of = "hold-out that even odds would have drawn as well" if drawn["uneven"] else "hold-out"
    more = f" and the {drawn['guard']} that the guard drew" if drawn["guard"] else ""
    return escape(
        f"Random labels are the {drawn['holdout']} of the {of}{more}: each fifth of those of the hold-out is answered "
        "by heads that learned from the rest. The loop's labels come in the order in which they were asked for. Both "
        "kinds of heads stand on the same network and answer the same items. Bands are 95 % intervals over these "
        f"items, not over other loops. With {gap['labels']} labels the loop's are ahead by {gap['value']:+.3f} "
        f"({gap['low']:+.3f} to {gap['high']:+.3f}). The hold-out's own labels are not counted on either side, because "
        "measuring takes them anyway."
    )


def team(found: Numbers) -> Iterator[str]:
    """Who annotates."""
    if not found["annotators"]:
        yield note("Nobody has answered yet.")
        return
    heads = ["annotator", "answers", "skips", "median s", "hours", "accuracy", "tests", "compared", "weight"]
    yield table(heads, (_person(one) for one in found["annotators"]), text=(5,))
    if found["alpha"] is None:
        yield note("How far they agree is not known: nobody has answered what another has.")
    else:
        yield note(f"Krippendorff's alpha is {found['alpha']:.3f}: 1 is full agreement, 0 is agreement by chance.")


def _person(one: Numbers) -> list[str]:
    seconds = "" if one["seconds"] is None else f"{one['seconds']:.1f}"
    row = [escape(one["name"]), f"{one['answers']:,}", f"{one['skips']:,}", seconds, f"{one['hours']:.2f}"]
    if "mean" not in one or not one["asked"] + one["compared"]:
        return [*row, "not known", "0", "0", ""]
    flag = " <b>flagged</b>" if one["flagged"] else ""
    accuracy = f"{one['mean']:.2f} <small>{one['low']:.2f} to {one['high']:.2f}</small>{flag}"
    return [*row, accuracy, str(one["asked"]), str(one["compared"]), f"{one['weight']:.2f}"]


def done(events: Sequence[Numbers], automatic: Numbers, aside: Sequence[Numbers]) -> Iterator[str]:
    """What the loop did on its own, and what it put aside."""
    if events:
        rows = ([str(one["round"] or ""), escape(one["what"]), escape(one["words"])] for one in events)
        yield f'<div class="long">{table(["round", "what", "why"], rows, text=(1, 2))}</div>'
    else:
        yield note("Nothing yet.")
    if automatic["certificates"] and not automatic["labels"]:
        yield note("Labels that no person gave were withdrawn or replaced: there are none now.")
    if aside:
        yield f"<h3>Put aside</h3>{table(['what', 'why'], (_aside(one) for one in aside[:MOST_ASIDE]), text=(0, 1))}"
        if len(aside) > MOST_ASIDE:
            yield note(f"And {len(aside) - MOST_ASIDE:,} more; --json has them all.")


MOST_ASIDE = 20


def _aside(one: Numbers) -> list[str]:
    return [escape(one["place"]), escape(one["reason"])]
