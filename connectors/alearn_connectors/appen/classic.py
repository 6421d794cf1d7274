"""The first generation of the API (`v1`): a job, its units, and orders.

Invariant: one method that changes something is one call that changes something, so that whoever announced it knows
what to look for.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from alearn.errors import Unavailable
from alearn_connectors.appen.budget import Terms
from alearn_connectors.appen.client import Client, Missing
from alearn_connectors.appen.options import Options
from alearn_connectors.appen.service import (
    KEY,
    Judgment,
    Place,
    Row,
    Standing,
    State,
    itself,
    listing,
    mapping,
    number,
    text,
)

CHUNK = 1000
"""Rows in one upload."""

PAGES = 100_000
"""More pages than any job has: a server that repeats itself does not hold a loop for ever."""

_STATES: Mapping[str, State] = {
    "unordered": "draft",
    "ordering": "running",
    "running": "running",
    "paused": "paused",
    "canceled": "canceled",
    "finished": "finished",
}


class Classic:
    """A Service on `v1`; `settings` are those of the job."""

    def __init__(self, client: Client, options: Options, settings: Mapping[str, Any], design: str) -> None:
        self._client, self._options = client, options
        self._settings, self._design = settings, design
        self._units: dict[str, list[str]] = {}
        self._strangers: frozenset[str] = frozenset()

    def reach(self) -> None:
        """The first page of jobs."""
        listing(self._client.get("/v1/jobs.json", {"page": 1}), "The list of jobs")

    def find(self, known: Place | None) -> Place | None:
        """The first job with the loop's title that is not canceled."""
        for page in self._pages("/v1/jobs.json"):
            for job in (mapping(one, "A job") for one in listing(page, "The list of jobs")):
                if job.get("title") == self._settings["title"] and job.get("state") != "canceled":
                    return Place(text(job.get("id"), "A job's id"))
        return None

    def create(self, known: Place | None, note: Callable[[Place], None]) -> Place:
        """A new job, or a copy of the template; a copy without the loop's title yet is left behind when this dies."""
        if self._options.template is None:
            made = self._client.act("POST", "/v1/jobs.json", {"job": self._settings})
        else:
            made = self._client.act("GET", f"/v1/jobs/{self._options.template}/copy.json", params={"gold": "false"})
            path = f"/v1/jobs/{text(mapping(made, 'A copy').get('id'), 'Its id')}.json"
            self._client.act("PUT", path, {"job": {"title": self._settings["title"], "auto_order": False}})
        place = Place(text(mapping(made, "A new job").get("id"), "Its id"), design=self._design)
        note(place)
        return place

    def adopt(self, place: Place) -> Place:
        """Settings that differ are set, where the job is the loop's own; those of a template are the template's."""
        job = self._job(place)
        wanted = dict(self._settings)
        if self._options.template is not None:
            wanted = {"title": wanted["title"], "auto_order": False}
        changed = {name: value for name, value in wanted.items() if not _holds(job.get(name), value)}
        if self._options.job is None and changed and place.design != self._design:
            self._client.act("PUT", f"/v1/jobs/{place.job}.json", {"job": wanted})
        return replace(place, design=self._design)

    def keys(self, place: Place) -> frozenset[str]:
        """From the list of units, a thousand on a page."""
        found: dict[str, list[str]] = defaultdict(list)
        strangers = []
        for page in self._pages(f"/v1/jobs/{place.job}/units.json"):
            for unit, data in mapping(page, "The list of units").items():
                key = data.get(KEY) if isinstance(data, dict) else None
                if isinstance(key, str):
                    found[key].append(str(unit))
                else:
                    strangers.append(str(unit))
        self._units, self._strangers = dict(found), frozenset(strangers)
        return frozenset(found)

    def add(self, place: Place, rows: Sequence[Row]) -> None:
        """In uploads of a thousand; an upload is worked off in the background there, which is waited for."""
        for at in range(0, len(rows), CHUNK):
            lines = "\n".join(json.dumps(self._line(row)) for row in rows[at : at + CHUNK])
            self._client.upload(
                "PUT", f"/v1/jobs/{place.job}/upload.json", lines.encode(), "application/json", {"force": "true"}
            )
        wait_until(
            lambda: self.keys(place) >= {row.key for row in rows}, self._options, f"the {len(rows)} rows to be there"
        )

    def _line(self, row: Row) -> dict[str, Any]:
        if row.answer is None:
            return dict(row.content)
        field = f"{self._options.field}_gold"
        return {**row.content, "_golden": True, field: row.answer, f"{field}_reason": "This answer is known."}

    def set_gold(self, place: Place, rows: Sequence[Row]) -> None:
        """Units that came with an answer become test questions."""
        field = self._options.field
        params = {"check": field, "with": f"{field}_gold", "convert_units": "true"}
        self._client.act("PUT", f"/v1/jobs/{place.job}/gold.json", params=params)

    def standing(self, place: Place) -> Standing:
        """From the job and its ping."""
        job, ping = self._job(place), self._ping(place)
        total, gold, ordered = (
            number(ping.get(name), f"`{name}`") for name in ("all_units", "golden_units", "ordered_units")
        )
        terms = Terms(_count(job, "payment_cents"), _count(job, "units_per_assignment"), _judgments(job))
        state = _STATES.get(str(job.get("state")), "running")
        return Standing(state, ordered, max(total - gold - ordered, 0), terms, by_itself=job.get("auto_order") is True)

    def order(self, place: Place, standing: Standing) -> None:
        """One order for all that is waiting."""
        if not standing.waiting:
            return
        body = {"channels": [self._options.channel], "debit": {"units_count": standing.waiting}}
        self._client.act("POST", f"/v1/jobs/{place.job}/orders.json", body)

    def look(self, place: Place) -> Mapping[str, str]:
        """From the aggregates, a hundred on a page. The count of void judgments is part of every fingerprint."""
        void = self._ping(place).get("tainted_judgments")
        there: dict[str, Mapping[str, Any]] = {}
        for page in self._pages(f"/v1/jobs/{place.job}/judgments.json"):
            there |= {str(unit): mapping(one, "An aggregate") for unit, one in mapping(page, "Judgments").items()}
        if not there.keys() <= self._strangers.union(*self._units.values()):
            self.keys(place)
        marks = {}
        for key, units in self._units.items():
            aggregates = [there[unit] for unit in units if unit in there]
            if aggregates:
                marks[key] = _mark(void, [self._essence(one) for one in aggregates])
        return marks

    def _essence(self, aggregate: Mapping[str, Any]) -> list[Any]:
        """What changes when a judgment comes or goes; the confidence, which moves with everybody's trust, is not in."""
        answer = aggregate.get(self._options.field)
        best = answer.get("agg") if isinstance(answer, dict) else answer
        return [aggregate.get("_ids"), aggregate.get("_state"), aggregate.get("_updated_at"), best]

    def judgments(self, place: Place, key: str) -> Sequence[Judgment]:
        """From each unit of the row."""
        found: list[Judgment] = []
        for unit in self._units.get(key, ()):
            try:
                told = self._client.get(f"/v1/jobs/{place.job}/units/{unit}/judgments.json")
            except Missing:
                continue
            rows = told.values() if isinstance(told, dict) else listing(told or [], "A unit's judgments")
            found += [self._judgment(mapping(one, "A judgment")) for one in rows]
        return found

    def _judgment(self, said: Mapping[str, Any]) -> Judgment:
        answer = mapping(said.get("data"), "A judgment's data").get(self._options.field)
        trust = said.get("trust", said.get("worker_trust"))
        return Judgment(
            text(said.get("id"), "A judgment's id"),
            text(said.get("worker_id"), "A judgment's contributor"),
            answer if answer is None or isinstance(answer, str) else json.dumps(answer),
            float(trust) if isinstance(trust, int | float) else None,
            bool(said.get("tainted") or said.get("rejected")),
            str(said.get("started_at") or ""),
            str(said.get("created_at") or ""),
        )

    def subscribe(self, place: Place, address: str | None) -> bool:
        """The job has one address; another one takes its place."""
        wanted = {"webhook_uri": address or "", "send_judgments_webhook": address is not None}
        job = self._job(place)
        if (job.get("webhook_uri") or "", bool(job.get("send_judgments_webhook"))) != tuple(wanted.values()):
            self._client.act("PUT", f"/v1/jobs/{place.job}.json", {"job": wanted})
        return address is not None

    def _job(self, place: Place) -> Mapping[str, Any]:
        return itself(mapping(self._client.get(f"/v1/jobs/{place.job}.json"), "A job"), place)

    def _ping(self, place: Place) -> Mapping[str, Any]:
        return mapping(self._client.get(f"/v1/jobs/{place.job}/ping.json"), "A job's ping")

    def _pages(self, path: str) -> Iterator[Any]:
        """Pages until one is empty, or the same as the one before."""
        before: Any = None
        for at in range(1, PAGES):
            page = self._client.get(path, {"page": at})
            if not page or page == before:
                return
            yield page
            before = page


def wait_until(there: Callable[[], bool], options: Options, what: str) -> None:
    """Look again as long as an answer may take; then raise Unavailable."""
    end = time.monotonic() + options.timeout_seconds
    while not there():
        if time.monotonic() + options.poll_seconds > end:
            raise Unavailable(
                f"Appen must come to an end within {options.timeout_seconds:g} s. It was waited for {what}, in vain. "
                "It is looked at again; raise `platform.options.timeout_seconds` when this stays."
            )
        time.sleep(options.poll_seconds)


def _holds(there: Any, wanted: Any) -> bool:
    """Whether a setting is as wanted; of a setting with parts, the wanted parts."""
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(_holds(there.get(name), value) for name, value in wanted.items())
    return bool(there == wanted)


def _count(job: Mapping[str, Any], name: str) -> int | None:
    found = job.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else None


def _judgments(job: Mapping[str, Any]) -> int | None:
    """The most judgments that a unit may get."""
    found = [_count(job, "judgments_per_unit")]
    if job.get("variable_judgments_mode") not in {None, "", "none"}:
        found.append(_count(job, "max_judgments_per_unit"))
    return max((one for one in found if one is not None), default=None)


def _mark(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
