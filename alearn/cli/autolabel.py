"""`alearn autolabel`: what the model may label without a person, under which promise; written only with --apply."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alearn.cli import going_on
from alearn.cli.console import Terminal, emit, facts
from alearn.cli.showing import Showing, shown_lines, shown_values, taken_lines
from alearn.config import load
from alearn.core.estimation import labels_to_pass
from alearn.errors import ConfigError
from alearn.loop import suggesting
from alearn.loop.autolabel import Offer, Terms, give, offer
from alearn.loop.controller import holding
from alearn.loop.undertaking import Undertaking, opened

NOTHING = "Nothing was written. The same command goes on from here."
REST = "The labels are given; the same command puts the rest of them onto the platform."
AGAIN = "The same command takes the rest from the platform."


def label_automatically(
    path: Path,
    *,
    precision: float,
    confidence: float,
    per_class: bool,
    apply: bool,
    showing: Showing,
    as_json: bool,
) -> None:
    """Say what can be labeled under which certificate, and with `apply` label it, and show it where that is wanted.

    Raises:
        ConfigError: a precision or confidence that is none, or the platform cannot show labels.
        ModelError: no model has been measured yet.
        LeaseLost: labels are to be shown, and a controller runs this loop.
    """
    showing.check(apply=apply)
    for name, value in (("precision", precision), ("confidence", confidence)):
        if not 0 < value < 1:
            raise ConfigError(f"--{name} must lie between 0 and 1. Got {value:g}. Write 0.98 for 98 %.")
    config, terms = load(path), Terms(precision, confidence, per_class)
    with Terminal() as terminal, opened(config, terminal, create=False) as loop, _kept_alone(loop, showing):
        with going_on(NOTHING):
            made = offer(loop, terms)
            there, earlier = loop.store.automatic.count(), len(loop.store.automatic.certificates())
            given = give(loop, made) if apply and made.keys else None
        with going_on(REST):
            shown = suggesting.show(loop, limit=showing.limit) if showing.wanted else None
    if as_json:
        emit(as_values(made, given=given, there=there) | shown_values(shown))
        return
    facts([*_lines(made, earlier), _outcome(made, apply=apply, given=given, there=there), *shown_lines(shown)])


@contextmanager
def _kept_alone(loop: Undertaking, showing: Showing) -> Iterator[None]:
    """Where labels are shown, nobody else pushes meanwhile, and what people have done is known."""
    if not showing.wanted:
        yield
        return
    suggesting.require(loop)
    with holding(loop):
        with going_on(NOTHING):
            suggesting.look(loop)
        yield


def withdraw_labels(path: Path, *, apply: bool, showing: Showing, as_json: bool) -> None:
    """Remove all automatic labels, from the platform too where some are shown.

    Raises:
        ConfigError: labels are to be given as well.
        LeaseLost: labels are shown, and a controller runs this loop.
    """
    if apply:
        raise ConfigError("--withdraw removes the labels that --apply gives. Got both. Leave one out.")
    showing.check(apply=apply, withdraw=True)
    with Terminal() as terminal, opened(load(path), terminal, create=False) as loop:
        if showing.wanted:
            suggesting.require(loop)
        if not (showing.wanted or suggesting.shown(loop)):
            gone, taken = loop.store.automatic.withdraw(), None
        else:
            with holding(loop), going_on(AGAIN):
                gone = loop.store.automatic.withdraw()
                suggesting.look(loop)
                taken = suggesting.hide(loop)
    if as_json:
        emit({"withdrawn": gone} | ({} if taken is None else {"removed": taken.removed, "kept": taken.kept}))
        return
    facts([("withdrawn", f"{gone:,} automatic labels; people's are untouched"), *taken_lines(taken)])


def as_values(made: Offer, *, given: int | None, there: int) -> dict[str, Any]:
    """The offer as JSON types; `given` labels were written, None: nothing was, and `there` stay as they are."""
    return {
        "certified": bool(made.keys),
        "version": made.version,
        "round": made.round,
        **made.facts(),
        "left": made.found.pool - made.found.labeled,
        "needed": made.certificate.needed,
        "more": None if made.more is None else {"labels": made.more.labels, "share": made.more.share},
        "reason": reason(made),
        "applied": given,
        "automatic": there if given is None else given,
    }


def reason(made: Offer) -> str:
    """What the certificate says, or why there is none."""
    terms, found = made.terms, made.found
    each = " of each class" if terms.per_class else ""
    promise = f"at least {100 * terms.precision:.6g} %{each} right, with {100 * terms.confidence:.6g} % confidence"
    if made.keys:
        return f"{found.labeled:,} of {found.pool:,} items ({found.share:.1%}) can be labeled automatically: {promise}"
    if not found.pool:
        return "There is nothing to label: people were asked about all items, or they cannot be read"
    if not found.holdout:
        return f"Nothing can be labeled automatically with {promise}: there are no hold-out labels to show it"
    level = 1 - (1 - terms.confidence) / (len(made.classes) if terms.per_class else 1)
    floor = labels_to_pass(1.0, terms.precision, confidence=level)
    least = "no number would do" if floor is None else f"it takes at least {floor:,} labels{each}"
    return (
        f"Nothing can be labeled automatically with {promise}: {found.holdout} hold-out labels with {found.errors} "
        f"errors cannot show it. Without an error {least}"
    )


def _lines(made: Offer, earlier: int) -> Iterator[tuple[str, object]]:
    found = made.found
    yield "model", f"version {made.version[:8]} of round {made.round}"
    yield "hold-out", f"{found.holdout:,} labels count, on {found.errors:,} of which the model is wrong"
    yield from (("", text) for text in _left_out(made))
    yield "result", reason(made)
    if made.keys:
        yield "surer than", _thresholds(made)
        yield "seen", f"{found.wrong} of the {found.taken:,} hold-out labels above that are wrong"
        most = found.labeled * (1 - made.terms.precision)
        yield (
            "expected",
            f"about {found.expected:.0f} wrong labels among the {found.labeled:,}; promised: at most {most:.0f}",
        )
    yield "people keep", f"{found.pool - found.labeled:,} items that are not certain enough"
    yield "more", _more(made)
    if made.keys:
        yield "confidence", _repeated(made, earlier)


def _left_out(made: Offer) -> Iterator[str]:
    """What does not count, and for what nothing is promised."""
    found = made.found
    if found.left_out:
        yield f"{found.left_out:,} others do not count, because items of one group err together"
    if found.uneven:
        yield f"{found.uneven:,} others do not count: even odds would not have drawn them (`holdout.sampling`)"
    if found.found:
        yield f"{found.found:,} others do not count: they were on the platform before anything was drawn"
    if found.asked:
        yield f"people were asked about {found.asked:,} items, whose absence from the pool is allowed for"
    if found.unanswered:
        yield f"{found.unanswered:,} drawn items have no label; of items that nobody can label nothing is promised"
    if found.late:
        yield f"{found.late:,} items came after the hold-out was drawn: people keep them (`holdout.size` lets it grow)"


def _thresholds(made: Offer) -> str:
    limits = dict(zip(made.classes, made.certificate.thresholds, strict=True))
    if not made.terms.per_class:
        return f"{next(iter(limits.values())):.4f}"
    return ", ".join(f"{name} {at:.4f}" if at <= 1 else f"{name} never" for name, at in limits.items())


def _more(made: Offer) -> str:
    """What it would take to label more than this."""
    if made.more is not None:
        return (
            f"about {made.more.labels:,} hold-out labels would certify about {made.more.share:.0%} of the pool, "
            f"were the model as it is ({_room(made, made.more.labels)})"
        )
    if made.terms.per_class and made.keys:
        return "hold-out labels of the classes whose threshold is high, or that have none (`holdout.size`)"
    if made.terms.per_class and made.certificate.needed is not None:
        needed = made.certificate.needed
        return f"about {needed:,} hold-out labels would certify something ({_room(made, needed)})"
    if made.found.pool == made.found.labeled:
        return "nothing is left"
    return "no number of hold-out labels within reach would certify more: a better model would, or less precision"


def _room(made: Offer, labels: int) -> str:
    """How so many hold-out labels come about."""
    most = made.found.holdout + made.found.drawable
    if labels <= most:
        return "`holdout.size`"
    return f"this loop's `holdout.share` leaves {most:,}: a new loop with a larger one could have them"


def _repeated(made: Offer, earlier: int) -> str:
    """What the confidence means for who has looked before."""
    risk = 1 - made.terms.confidence
    before = f"{earlier} were applied before. " if earlier else ""
    return (
        f"{before}It is of this one certificate. Each further look at the same hold-out has a risk of {risk:.2g} of "
        f"its own: for 5 looks that are to hold together ask for --confidence {1 - risk / 5:.4g}"
    )


def _outcome(made: Offer, *, apply: bool, given: int | None, there: int) -> tuple[str, str]:
    stay = f"; the {there:,} automatic labels from before stay" if there else ""
    if given is not None:
        replaced = f" They replace the {there:,} from before." if there else ""
        return "written", f"{given:,} automatic labels, apart from people's.{replaced} `alearn export` writes both"
    if apply or not made.keys:
        return "written", f"nothing{stay}"
    return "written", f"nothing yet{stay}: --apply labels them"
