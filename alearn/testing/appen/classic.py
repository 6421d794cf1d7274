"""The stand-in's `v1`: jobs, units, orders, judgments, as Appen's documentation tells them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from alearn.testing.appen.account import Account, Job, Unit, told

PAGE_UNITS, PAGE_JUDGMENTS, PAGE_JOBS = 1000, 100, 10


@dataclass(frozen=True)
class Asked:
    """A request: what its path matched, its query, its body."""

    parts: tuple[str, ...]
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    kind: str = ""

    @property
    def json(self) -> dict[str, Any]:
        """The body as JSON, or as the form that says the same."""
        if "json" in self.kind:
            found = json.loads(self.body or b"{}")
            return found if isinstance(found, dict) else {}
        return nested(parse_qsl(self.body.decode()))

    @property
    def page(self) -> int:
        """The page that is asked for, from 1."""
        return int(self.query.get("page", "1"))


Answer = tuple[int, Any]
"""Status, and JSON or bytes."""

Route = Callable[[Account, Asked], Answer]


def nested(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """{"a": {"b": "c"}} of a[b]=c."""
    made: dict[str, Any] = {}
    for name, value in pairs:
        *way, last = re.findall(r"[^\[\]]+", name)
        here = made
        for part in way:
            here = here.setdefault(part, {})
        here[last] = value
    return made


def no(status: int, words: str) -> Answer:
    """A refusal."""
    return status, {"error": {"message": words}}


def _job(do: Callable[[Account, Asked, Job], Answer]) -> Route:
    """A route below a job."""

    def route(account: Account, asked: Asked) -> Answer:
        job = account.jobs.get(asked.parts[0])
        return no(404, "We couldn't find what you were looking for.") if job is None else do(account, asked, job)

    return route


def shown(account: Account, job: Job) -> dict[str, Any]:
    """A job's JSON."""
    units = account.of(job).values()
    golds = sum(unit.gold is not None for unit in units)
    counts = {"units_count": len(units), "golds_count": golds}
    return {"auto_order": False, **job.settings, "id": int(job.id), "state": job.state, **counts}


def create(account: Account, asked: Asked) -> Answer:
    """POST jobs.json."""
    settings = asked.json.get("job")
    if not isinstance(settings, dict) or not settings.get("title"):
        return no(400, "A job must have a title.")
    job = Job(str(account.number()), dict(settings))
    account.jobs[job.id] = job
    return 200, shown(account, job)


def jobs(account: Account, asked: Asked) -> Answer:
    """GET jobs.json?page=."""
    found = [shown(account, job) for job in reversed(account.jobs.values()) if not job.project]
    return 200, found[(asked.page - 1) * PAGE_JOBS : asked.page * PAGE_JOBS]


def update(account: Account, asked: Asked, job: Job) -> Answer:
    """PUT jobs/{id}.json."""
    job.settings |= asked.json.get("job", {})
    return 200, shown(account, job)


def copy(account: Account, asked: Asked, job: Job) -> Answer:
    """GET jobs/{id}/copy.json, which changes something."""
    made = Job(str(account.number()), dict(job.settings))
    account.jobs[made.id] = made
    return 200, shown(account, made)


def upload(account: Account, asked: Asked, job: Job) -> Answer:
    """PUT jobs/{id}/upload.json: JSON lines."""
    rows = [json.loads(line) for line in asked.body.decode().splitlines() if line.strip()]
    if len(account.of(job)) + len(rows) > account.rows_per_job:
        return no(422, f"You have uploaded the maximum amount of units ({account.rows_per_job}) allowed in a job")
    account.add(job.id, rows)
    return 200, shown(account, job)


def units(account: Account, asked: Asked, job: Job) -> Answer:
    """GET units.json?page=."""
    found = list(account.of(job).values())[(asked.page - 1) * PAGE_UNITS : asked.page * PAGE_UNITS]
    return 200, {unit.id: unit.data for unit in found}


def gold(account: Account, asked: Asked, job: Job) -> Answer:
    """PUT gold.json: units that came with an answer become test questions."""
    for unit in account.of(job).values():
        said = unit.data.get(asked.query.get("with", ""))
        if unit.data.get("_golden") and said and not unit.ordered:
            unit.gold = str(said)
    return 200, shown(account, job)


def order(account: Account, asked: Asked, job: Job) -> Answer:
    """POST orders.json: this spends money."""
    count = int(asked.json.get("debit", {}).get("units_count", 0))
    fresh = [one for one in account.of(job).values() if one.gold is None and not one.ordered and not one.canceled]
    if job.state == "canceled" or not job.settings.get("cml"):
        return no(400, "The job cannot be ordered.")
    if not asked.json.get("channels") or not 0 < count <= len(fresh):
        return no(400, f"Between 1 and {len(fresh)} units can be ordered.")
    account.order(job, fresh[:count])
    job.state = "running"
    return 200, {"id": account.number(), "job_id": int(job.id), "nuggeted_units_count": count}


def ping(account: Account, asked: Asked, job: Job) -> Answer:
    """GET ping.json; `needed_jugdments` is spelled so there."""
    there = list(account.of(job).values())
    ordered = [unit for unit in there if unit.ordered]
    needed = int(job.setting("judgments_per_unit", "", 1))
    return 200, {
        "all_units": len(there),
        "golden_units": sum(unit.gold is not None for unit in there),
        "ordered_units": len(ordered),
        "all_judgments": sum(len(unit.judgments) for unit in there),
        "needed_jugdments": sum(max(needed - len(unit.valid()), 0) for unit in ordered),
        "tainted_judgments": sum(one.tainted for unit in there for one in unit.judgments),
        "completed_units_estimate": sum(len(unit.valid()) >= needed for unit in ordered),
    }


def units_ping(account: Account, asked: Asked, job: Job) -> Answer:
    """GET units/ping.json."""
    return 200, {"count": len(account.of(job)), "done": True}


def judgments(account: Account, asked: Asked, job: Job) -> Answer:
    """GET judgments.json?page=: the rows that have judgments, aggregated."""
    found = [unit for unit in account.of(job).values() if unit.valid()]
    some = found[(asked.page - 1) * PAGE_JUDGMENTS : asked.page * PAGE_JUDGMENTS]
    return 200, {unit.id: _aggregated(account, job, unit) for unit in some}


def _aggregated(account: Account, job: Job, unit: Unit) -> dict[str, Any]:
    ids = [one.id for one in unit.valid()]
    about = {"_ids": ids, "_state": _state(unit), "_updated_at": unit.updated_at.isoformat()}
    return {**about, job.field: account.aggregate(job, unit)}


def _state(unit: Unit) -> str:
    if unit.gold is not None:
        return "golden"
    return "canceled" if unit.canceled else "judgable" if unit.ordered else "new"


def of_unit(do: Callable[[Account, Asked, Job, Unit], Answer]) -> Route:
    """A route below a unit."""

    def route(account: Account, asked: Asked, job: Job) -> Answer:
        unit = account.of(job).get(asked.parts[1])
        return no(404, "We couldn't find what you were looking for.") if unit is None else do(account, asked, job, unit)

    return _job(route)


def unit_judgments(account: Account, asked: Asked, job: Job, unit: Unit) -> Answer:
    """GET units/{u}/judgments.json."""
    return 200, [told(job, unit, one) for one in unit.judgments]


def cancel_unit(account: Account, asked: Asked, job: Job, unit: Unit) -> Answer:
    """POST units/{u}/cancel.json: only without judgments."""
    if unit.judgments:
        return no(400, "A unit with judgments cannot be canceled.")
    unit.canceled = True
    return 200, {"id": unit.id, "state": "canceled"}


def delete_unit(account: Account, asked: Asked, job: Job, unit: Unit) -> Answer:
    """DELETE units/{u}.json: not while the job runs."""
    if job.state in {"running", "paused"}:
        return no(400, "Units of a running or paused job cannot be deleted.")
    del account.of(job)[unit.id]
    return 200, {}


def control(account: Account, asked: Asked, job: Job) -> Answer:
    """GET pause.json, resume.json, cancel.json: they change something."""
    job.state = {"pause": "paused", "resume": "running", "cancel": "canceled"}[asked.parts[1]]
    return 200, shown(account, job)


JOB = r"/v1/jobs/(\w+)"
ROUTES: tuple[tuple[str, str, Route], ...] = (
    ("POST", r"/v1/jobs\.json", create),
    ("GET", r"/v1/jobs\.json", jobs),
    ("GET", rf"{JOB}\.json", _job(lambda account, asked, job: (200, shown(account, job)))),
    ("PUT", rf"{JOB}\.json", _job(update)),
    ("GET", rf"{JOB}/copy\.json", _job(copy)),
    ("PUT", rf"{JOB}/upload\.json", _job(upload)),
    ("GET", rf"{JOB}/units\.json", _job(units)),
    ("GET", rf"{JOB}/units/ping\.json", _job(units_ping)),
    ("PUT", rf"{JOB}/gold\.json", _job(gold)),
    ("POST", rf"{JOB}/orders\.json", _job(order)),
    ("GET", rf"{JOB}/ping\.json", _job(ping)),
    ("GET", rf"{JOB}/(pause|resume|cancel)\.json", _job(control)),
    ("GET", rf"{JOB}/judgments\.json", _job(judgments)),
    ("GET", rf"{JOB}/units/(\w+)/judgments\.json", of_unit(unit_judgments)),
    ("POST", rf"{JOB}/units/(\w+)/cancel\.json", of_unit(cancel_unit)),
    ("DELETE", rf"{JOB}/units/(\w+)\.json", of_unit(delete_unit)),
)
