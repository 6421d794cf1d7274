"""What the stand-in's account holds: projects, jobs, units, judgments; and the contributors who work on them.

Invariant: money is counted where it is spent: an order is a row of `orders`, a judgment of an ordered row is paid for.
"""

from __future__ import annotations

import itertools
import json
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from alearn.core.annotators import Profile, answer

KEY = "alearn_id"
SIGNALS = ("new_judgments", "unit_complete", "job_complete")
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Worker:
    """A robot contributor: right in `accuracy` of their answers. `trust` None: their share of right test questions."""

    name: str
    accuracy: float = 0.95
    trust: float | None = None


@dataclass
class Judgment:
    """What one contributor said of one unit."""

    id: int
    worker: str
    answer: str
    started_at: datetime
    created_at: datetime
    tainted: bool = False


@dataclass
class Unit:
    """A row. `gold`: the accepted answer of a test question. `job` is the one it was sent to."""

    id: str
    data: dict[str, Any]
    job: str = ""
    ordered: bool = False
    gold: str | None = None
    canceled: bool = False
    updated_at: datetime = EPOCH
    judgments: list[Judgment] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The item's key; "" for a row of somebody else's."""
        return str(self.data.get(KEY) or "")

    def valid(self) -> list[Judgment]:
        """The judgments that count."""
        return [one for one in self.judgments if not one.tainted]


@dataclass
class Job:
    """A job of either generation; `project` is "" in `v1`. `settings` is its JSON."""

    id: str
    settings: dict[str, Any]
    project: str = ""
    state: str = "unordered"
    trust: dict[str, float] = field(default_factory=dict)

    def setting(self, classic: str, new: str, default: Any) -> Any:
        """A setting, by its name in the generation of this job."""
        found = self.settings.get(new if self.project else classic)
        return default if found is None else found

    @property
    def field(self) -> str:
        """The name of the question in the form."""
        form = self.settings.get("cml") or (self.settings.get("jobCml") or {}).get("cml") or ""
        return str(form.split('name="')[1].split('"')[0]) if 'name="' in form else "answer"


@dataclass(frozen=True)
class Order:
    """So many rows were ordered for a job."""

    job: str
    rows: int


class Account:
    """The account; safe to use from any thread."""

    def __init__(self, key: str, secret: str, *, payment_cents: int, rows_per_job: int) -> None:
        self.key, self.secret, self.rows_per_job = key, secret, rows_per_job
        self.team = str(uuid.UUID(int=1))
        self.payment_cents = payment_cents
        self.jobs: dict[str, Job] = {}
        self.projects: dict[str, str] = {}
        self.units: dict[str, dict[str, Unit]] = defaultdict(dict)
        self.orders: list[Order] = []
        self.lock = threading.RLock()
        self.hook: Callable[[str, str, bytes], None] = lambda uri, signal, payload: None
        self._outbox: list[tuple[str, str, bytes]] = []
        self._numbers = itertools.count(1001)
        self._seconds = itertools.count(60, 10)

    # --- what the API's calls do --------------------------------------------------------------------------------------

    def number(self) -> int:
        """A new id of `v1`."""
        return next(self._numbers)

    def uuid(self) -> str:
        """A new id of `v3`."""
        return str(uuid.UUID(int=next(self._numbers)))

    def of(self, job: Job) -> dict[str, Unit]:
        """The units of a job, {id: unit}; in `v3` those of its project, sent to it or not."""
        return self.units[job.project or job.id]

    def add(self, holder: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """New units of a job (`v1`) or a project (`v3`)."""
        for row in rows:
            identity = self.uuid() if holder in self.projects else str(self.number())
            self.units[holder][identity] = Unit(identity, dict(row))

    def order(self, job: Job, units: Sequence[Unit]) -> None:
        """Have these units judged."""
        for unit in units:
            unit.ordered, unit.job = True, job.id
        self.orders.append(Order(job.id, len(units)))

    def aggregate(self, job: Job, unit: Unit) -> dict[str, Any]:
        """The best answer; its confidence is the share of the trust of those who gave it."""
        weights: dict[str, float] = defaultdict(float)
        for one in unit.valid():
            weights[one.answer] += job.trust.get(one.worker, 1.0)
        best = max(weights, key=lambda name: weights[name], default="")
        total = sum(weights.values())
        return {"agg": best, "confidence": weights[best] / total if total else 0.0}

    # --- what people do -----------------------------------------------------------------------------------------------

    def job(self, title: str) -> Job:
        """The newest job of this title."""
        return [job for job in self.jobs.values() if job.settings.get("title") == title][-1]

    def unit(self, title: str, key: str) -> Unit:
        """The newest unit with this key in a job."""
        return [unit for unit in self.of(self.job(title)).values() if unit.key == key][-1]

    def keys(self, title: str) -> list[str]:
        """The keys of a job's rows, in the order in which they came; one that is doubled appears twice."""
        return [unit.key for unit in self.of(self.job(title)).values()]

    def judge(self, title: str, key: str, said: str, worker: str = "amy", seconds: float = 5.0) -> Judgment:
        """A contributor judges a row."""
        with self.lock:
            made = self._judge(self.job(title), self.unit(title, key), said, worker, seconds)
        self._deliver()
        return made

    def edit(self, title: str, key: str, identity: int, said: str) -> None:
        """Somebody at Appen corrects a judgment."""
        with self.lock:
            unit = self.unit(title, key)
            for one in unit.judgments:
                if one.id == identity:
                    one.answer = said
            unit.updated_at = self._now()

    def remove_judgment(self, title: str, key: str, identity: int) -> None:
        """A judgment is rejected and gone."""
        with self.lock:
            unit = self.unit(title, key)
            unit.judgments = [one for one in unit.judgments if one.id != identity]
            unit.updated_at = self._now()

    def remove_unit(self, title: str, key: str) -> None:
        """A row is deleted."""
        with self.lock:
            del self.of(self.job(title))[self.unit(title, key).id]

    def remove_worker(self, title: str, worker: str, trust: float) -> None:
        """A contributor is removed: what they said is void and asked again."""
        with self.lock:
            job = self.job(title)
            job.trust[worker] = trust
            for unit in self.of(job).values():
                for one in unit.judgments:
                    if one.worker == worker and not one.tainted:
                        one.tainted, unit.updated_at = True, self._now()

    def ordered(self, title: str) -> list[Unit]:
        """The rows that contributors get, in their order."""
        return [unit for unit in self.of(self.job(title)).values() if unit.ordered and not unit.canceled]

    def work(
        self,
        title: str,
        workers: Sequence[Worker],
        truth: Mapping[str, str],
        classes: Sequence[str],
        limit: int = 10**9,
    ) -> int:
        """Let robots do the test questions, then at most `limit` judgments of what is ordered; returns the count.

        Whoever fails the test questions is removed; a row gets as many trusted judgments as the job says.
        """
        given = 0
        for worker in workers:
            given += self._quiz(title, worker, truth, classes)
        for unit, worker in self._due(title, workers):
            if given >= limit:
                break
            self.judge(title, unit.key, self._say(worker, unit, truth, classes), worker.name)
            given += 1
        self._complete(title)
        return given

    def spent_cents(self, title: str) -> Fraction:
        """What the judgments of ordered rows have cost so far, without fees; void ones are paid, too."""
        job = self.job(title)
        page = Fraction(int(job.setting("payment_cents", "payment_cents", self.payment_cents)))
        given = sum(len(unit.judgments) for unit in self.ordered(title))
        return page * given / int(job.setting("units_per_assignment", "rowsPerPage", 5))

    # --- how it is done -----------------------------------------------------------------------------------------------

    def _now(self) -> datetime:
        return EPOCH + timedelta(seconds=next(self._seconds))

    def _judge(self, job: Job, unit: Unit, said: str, worker: str, seconds: float) -> Judgment:
        now = self._now()
        made = Judgment(self.number(), worker, said, now - timedelta(seconds=seconds), now)
        unit.judgments.append(made)
        unit.updated_at = now
        job.trust.setdefault(worker, 1.0)
        if job.settings.get("send_judgments_webhook"):
            self._tell(job, "new_judgments", {"id": unit.id, "job_id": job.id, "judgments": [told(job, unit, made)]})
        if unit.gold is None and len(unit.valid()) == self._needed(job):
            judgments = [told(job, unit, one) for one in unit.judgments]
            results = {"judgments": judgments, job.field: self.aggregate(job, unit)}
            body = {"id": unit.id, "job_id": job.id, "data": unit.data, "state": "finalized", "results": results}
            self._tell(job, "unit_complete", body)
        return made

    def _tell(self, job: Job, signal: str, payload: Mapping[str, Any]) -> None:
        """A webhook is due, if the job has an address."""
        if job.settings.get("webhook_uri"):
            self._outbox.append((str(job.settings["webhook_uri"]), signal, json.dumps(payload).encode()))

    def _deliver(self) -> None:
        """Send what is due, while others may call."""
        while self._outbox:
            self.hook(*self._outbox.pop(0))

    def _needed(self, job: Job) -> int:
        return int(job.setting("judgments_per_unit", "judgmentsPerRow", 1))

    def _quiz(self, title: str, worker: Worker, truth: Mapping[str, str], classes: Sequence[str]) -> int:
        """The test questions that this robot has not seen; then their trust."""
        job = self.job(title)
        gold = [unit for unit in self.of(job).values() if unit.gold is not None]
        fresh = [unit for unit in gold if worker.name not in {one.worker for one in unit.judgments}]
        for unit in fresh:
            self.judge(title, unit.key, self._say(worker, unit, truth, classes), worker.name)
        right = [one.answer == unit.gold for unit in gold for one in unit.judgments if one.worker == worker.name]
        trust = sum(right) / len(right) if right else 1.0
        job.trust[worker.name] = trust if worker.trust is None else worker.trust
        reject_at = (job.settings.get("options") or {}).get("reject_at") or 0
        if job.trust[worker.name] * 100 < reject_at:
            self.remove_worker(title, worker.name, job.trust[worker.name])
        return len(fresh)

    def _due(self, title: str, workers: Sequence[Worker]) -> Iterator[tuple[Unit, Worker]]:
        """(row, robot) pairs, first rows first, while a row needs a judgment and somebody may give it."""
        job = self.job(title)
        reject_at = (job.settings.get("options") or {}).get("reject_at") or 0
        able = [one for one in workers if job.trust.get(one.name, 1.0) * 100 >= reject_at]
        for unit in self.ordered(title):
            while job.state in {"running", "RUNNING"} and self._wants_more(job, unit):
                said = {one.worker for one in unit.judgments}
                free = [one for one in able if one.name not in said]
                if not free:
                    break
                yield unit, free[len(unit.judgments) % len(free)]

    def _wants_more(self, job: Job, unit: Unit) -> bool:
        count, needed = len(unit.valid()), self._needed(job)
        if count < needed:
            return True
        dynamic = job.settings.get("dynamicJudgements") or {}
        most = dynamic.get("maxDynamicJudgements", 0) if job.project else job.settings.get("max_judgments_per_unit", 0)
        least = dynamic.get("minimumConfidence", 0) if job.project else job.settings.get("min_unit_confidence", 0)
        return bool(count < (most or 0) and self.aggregate(job, unit)["confidence"] < (least or 0))

    def _say(self, worker: Worker, unit: Unit, truth: Mapping[str, str], classes: Sequence[str]) -> str:
        said = answer(Profile(accuracy=worker.accuracy), worker.name, unit.key, truth[unit.key], classes)
        return str(said.value)

    def _complete(self, title: str) -> None:
        job = self.job(title)
        working = job.state in {"running", "RUNNING"}
        if working and not any(self._wants_more(job, unit) for unit in self.ordered(title)):
            job.state = "COMPLETED" if job.project else "finished"
            self._tell(job, "job_complete", {"id": job.id, "state": "finished"})
        self._deliver()


def told(job: Job, unit: Unit, one: Judgment) -> dict[str, Any]:
    """A judgment as `v1` tells it."""
    return {
        "id": one.id,
        "job_id": int(job.id) if job.id.isdecimal() else job.id,
        "unit_id": int(unit.id) if unit.id.isdecimal() else unit.id,
        "worker_id": one.worker,
        "trust": job.trust.get(one.worker, 1.0),
        "tainted": one.tainted,
        "rejected": None,
        "golden": unit.gold is not None,
        "missed": unit.gold is not None and one.answer != unit.gold,
        "started_at": one.started_at.isoformat(),
        "created_at": one.created_at.isoformat(),
        "data": {job.field: one.answer},
    }
