"""Orders, which spend money: under the cap, announced in the journal, and never repeated without a look.

What is to be ordered is what the job says is waiting, not what a call was about to do: a call that had its effect
leaves nothing waiting, whoever died before its answer. Invariant: between an announced order and the next one lies its
answer, or a look after the time that it may still be at work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from alearn.errors import Refused, Unavailable
from alearn_connectors.appen.budget import allow, worse
from alearn_connectors.appen.classic import wait_until
from alearn_connectors.appen.journal import Journal
from alearn_connectors.appen.options import Options
from alearn_connectors.appen.service import Place, Service, Standing


class Launcher:
    """Lets contributors work on what was pushed."""

    def __init__(self, loop: str, options: Options, journal: Journal, clock: Callable[[], float]) -> None:
        self._loop, self._options = loop, options
        self._journal, self._clock = journal, clock

    def afford(self, service: Service, place: Place, fresh: int) -> int:
        """How many rows the job will have, so many more of them; raises Refused when they are not within the cap.

        0 when nothing is launched.
        """
        if self._options.cap_cents is None:
            return 0
        now = self._standing(service, place)
        allow(
            self._loop,
            self._options.cap_cents,
            worse(self._options.terms, now.terms),
            ordered=now.ordered,
            more=now.waiting + fresh,
        )
        return now.ordered + now.waiting + fresh

    def launch(self, service: Service, place: Place, rows: int) -> None:
        """Order what is waiting, once the job shows so many rows, if that is within the cap.

        What a person has paused stays paused: Unavailable until it is resumed, or the rows would wait for ever.
        """
        cap, options = self._options.cap_cents, self._options
        if cap is None:
            return
        self._journal.settle("order", self._clock(), options.settle_seconds)
        wait_until(lambda: self._total(service, place) >= rows, options, f"the job to show {rows} rows")
        now, begun = self._standing(service, place), self._journal.pending("order") is not None
        if not now.waiting and not (begun and now.state in {"draft", "paused"} and now.ordered):
            self._journal.done("order")
            return
        if now.state == "paused" and not begun:
            raise Unavailable(
                f"Appen's job {place.job} of loop {self._loop} must run for {now.waiting} rows to be ordered. Somebody "
                "paused it. Resume it in Appen; they are ordered then."
            )
        terms = worse(options.terms, now.terms)
        cents = allow(self._loop, cap, terms, ordered=now.ordered, more=now.waiting)
        self._journal.begin("order", self._clock(), job=place.job, rows=now.waiting, before=now.ordered, cents=cents)
        service.order(place, now)
        self._journal.done("order")

    def _total(self, service: Service, place: Place) -> int:
        now = self._standing(service, place)
        return now.ordered + now.waiting

    def _standing(self, service: Service, place: Place) -> Standing:
        """How the job stands, when orders may be placed. An order that its counts do not show yet is in them."""
        now = service.standing(place)
        self._open(now, place)
        orders = [one for one in self._journal.orders() if one.get("job") == place.job]
        if not orders or abs(self._clock() - float(orders[-1]["at"])) >= self._options.settle_seconds:
            return now
        unseen = min(max(int(orders[-1]["before"]) + int(orders[-1]["rows"]) - now.ordered, 0), now.waiting)
        return replace(now, ordered=now.ordered + unseen, waiting=now.waiting - unseen)

    def _open(self, now: Standing, place: Place) -> None:
        if now.by_itself:
            raise Refused(
                f"Appen's job {place.job} of loop {self._loop} must not order rows by itself, or "
                "`platform.options.cap_cents` cannot hold. Got `auto_order` on. Turn it off in Appen, or remove the "
                "cap and launch by hand."
            )
        if now.state == "canceled":
            raise Refused(
                f"Appen's job {place.job} of loop {self._loop} must not be canceled while the loop runs. Got canceled. "
                "Stop the loop, or name another job in `platform.options.job`."
            )
