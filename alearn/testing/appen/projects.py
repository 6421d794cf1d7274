"""The stand-in's `v3`: projects, datasets, jobs, reports, as Appen's documentation tells them."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from alearn.testing.appen.account import KEY, Account, Job, Unit
from alearn.testing.appen.classic import Answer, Asked, Route

FLOW = "/v3/project-flow/projects"
RESERVED = ("_golden", "quiz_work_mode")


def yes(value: Mapping[str, Any]) -> Answer:
    """An answer in its envelope."""
    return 200, {"message": "success", "code": 200, "data": dict(value), "traceId": "stand-in"}


def no(status: int, words: str) -> Answer:
    """A refusal."""
    about = {"traceId": "stand-in", "timestamp": "2026-01-01T00:00:00Z"}
    return status, {"status": status, "errorMessage": words, **about}


def _job(do: Callable[[Account, Asked, Job], Answer]) -> Route:
    """A route that names a job in its query."""

    def route(account: Account, asked: Asked) -> Answer:
        job = account.jobs.get(asked.query.get("jobId", ""))
        return no(404, "Job not found") if job is None or not job.project else do(account, asked, job)

    return route


def shown(job: Job) -> dict[str, Any]:
    """A job's JSON; its form is not told."""
    running = {"running": job.state == "RUNNING", "draft": job.state == "DRAFT"}
    return {**job.settings, "id": job.id, "projectId": job.project, "state": job.state, "jobCml": None, **running}


def create_project(account: Account, asked: Asked) -> Answer:
    """POST projects?teamId=: names are unique."""
    name = asked.json.get("name")
    if asked.query.get("teamId") != account.team:
        return no(403, "Access denied. You may not have permission to create projects.")
    if not name or name in account.projects.values():
        return no(400, "Project name already exists" if name else "Missing required fields")
    identity = account.uuid()
    account.projects[identity] = name
    return yes({"id": identity, "name": name, "status": "ACTIVE", "teamId": account.team, "version": 0})


def project_status(account: Account, asked: Asked) -> Answer:
    """GET project-status?projectId=."""
    project = asked.query.get("projectId", "")
    if project not in account.projects:
        return no(404, "Project not found: could not extract teamId")
    found = [job for job in account.jobs.values() if job.project == project]
    jobs = [{"jobId": job.id, "title": job.settings["title"], "state": job.state} for job in found]
    return yes({"projectName": account.projects[project], "jobInfoDTO": jobs})


def create_job(account: Account, asked: Asked) -> Answer:
    """POST jobs.json: titles are unique in a project."""
    return _made(account, asked.json, {"rowsPerPage": 5, "judgmentsPerRow": 1})


def copy_job(account: Account, asked: Asked) -> Answer:
    """POST copy-job."""
    source = account.jobs.get(asked.json.get("copiedFrom", ""))
    if source is None or source.project != asked.json.get("projectId"):
        return no(404, "Source job not found")
    return _made(account, asked.json, {**source.settings, "copiedFrom": source.id})


def _made(account: Account, wanted: Mapping[str, Any], settings: Mapping[str, Any]) -> Answer:
    project, title = wanted.get("projectId", ""), wanted.get("title")
    if project not in account.projects or not title:
        return no(400, "Invalid project Id" if title else "Job title is required")
    if any(job.project == project and job.settings["title"] == title for job in account.jobs.values()):
        return no(400, "Job title already exists")
    job = Job(account.uuid(), {**settings, "title": title, "version": 0}, project, "DRAFT")
    account.jobs[job.id] = job
    return yes(shown(job))


def update(account: Account, asked: Asked) -> Answer:
    """PUT update: with an optimistic lock."""
    wanted = asked.json
    job = account.jobs.get(wanted.get("id", ""))
    if job is None:
        return no(404, "Job not found or access denied")
    if wanted.get("teamId") != asked.query.get("teamId") or wanted.get("projectId") != job.project:
        return no(400, "Missing required fields, invalid values, or mismatched teamId")
    if wanted.get("version", job.settings["version"]) != job.settings["version"]:
        return no(409, "The job was changed by somebody else")
    job.settings |= {**wanted, "version": job.settings["version"] + 1}
    return yes(shown(job))


def status(account: Account, asked: Asked, job: Job) -> Answer:
    """GET jobs/status."""
    units = [unit for unit in account.of(job).values() if unit.job == job.id]
    needed = int(job.settings.get("judgmentsPerRow", 1))
    done = sum(len(unit.valid()) >= needed for unit in units)
    judged = sum(len(unit.valid()) for unit in units)
    golds = sum(unit.gold is not None for unit in account.of(job).values())
    counts = {"totalUnits": len(units), "submittedUnits": done, "totalJudgments": needed * len(units)}
    return 200, {"jobId": job.id, **counts, "submittedJudgments": judged, "totalTestQuestions": golds, "status": 200}


def upload(account: Account, asked: Asked) -> Answer:
    """POST upload.json: a CSV; worked off in the background."""
    project = asked.query.get("projectId", "")
    if project not in account.projects:
        return no(400, "Invalid project Id")
    rows = _table(asked.body)
    if not rows:
        return no(400, "Uploaded CSV File is Empty. Please upload a valid non-empty CSV file.")
    if len(account.units[project]) + len(rows) > account.rows_per_job:
        return no(422, f"Unit Limit Reached. You have uploaded the maximum amount of units ({account.rows_per_job})")
    account.add(project, rows)
    return 201, {"statusCode": 201, "fileId": account.uuid(), "teamId": account.team, "projectId": project}


def upload_gold(account: Account, asked: Asked) -> Answer:
    """POST upload-test-question: of rows that are there, others are passed over."""
    job = account.jobs.get(asked.query.get("jobId", ""))
    if job is None:
        return no(404, "Job not found")
    there = {unit.key: unit for unit in account.of(job).values() if not unit.ordered}
    for row in _table(asked.body):
        unit = there.get(row[KEY])
        if unit is not None and row["_golden"] == "TRUE":
            unit.gold = next(value for name, value in row.items() if name.endswith("_gold"))
    return 201, {"statusCode": 201, "fileId": account.uuid(), "teamId": account.team}


def _table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def upload_status(account: Account, asked: Asked) -> Answer:
    """GET upload/status."""
    return 200, {"fileId": asked.query.get("fileId"), "status": "UPLOADED", "details": "Dataset Uploaded Successfully"}


def units(account: Account, asked: Asked) -> Answer:
    """POST units: one page; only the ids and states are told."""
    wanted = asked.json
    found = [unit for unit in account.units[asked.query.get("projectId", "")].values() if _passes(unit, wanted)]
    some = found[wanted["startRow"] : wanted["endRow"] + 1]
    cells = [{"jobStatus": [{"value": _status(unit)}], "unitId": [{"value": unit.id}]} for unit in some]
    return yes({"units": cells, "totalElements": len(found), "returnedUnitsCount": len(some)})


def _passes(unit: Unit, wanted: Mapping[str, Any]) -> bool:
    filters = {name: one["values"] for name, one in wanted.get("filterModel", {}).items()}
    golden = filters.get("source._golden", [unit.data.get("_golden")])
    return _status(unit) in filters.get("jobStatus", [_status(unit)]) and unit.data.get("_golden") in golden


def _status(unit: Unit) -> str:
    return "SUBMITTED" if unit.job and unit.valid() else "JUDGABLE" if unit.job else "NEW"


def send(account: Account, asked: Asked, job: Job) -> Answer:
    """POST send-to-job: the job must not run."""
    if job.state == "RUNNING":
        return no(400, "Pause the job before units are sent to it")
    there = account.of(job)
    chosen = [there[identity] for identity in asked.json.get("unitIds", []) if identity in there]
    if any(unit.job for unit in chosen) and asked.query.get("ignoreConflict") != "true":
        return no(400, "Units are in a job already")
    account.order(job, chosen)
    return yes({"sent": len(chosen)})


def launch(account: Account, asked: Asked, job: Job) -> Answer:
    """POST launch."""
    if job.state == "RUNNING" or not job.settings["version"]:
        return no(400, "Job already running" if job.state == "RUNNING" else "Job settings not saved")
    job.state = "RUNNING"
    return yes(shown(job))


def pause(account: Account, asked: Asked, job: Job) -> Answer:
    """POST pause."""
    if job.state != "RUNNING":
        return no(400, "Job already paused")
    job.state = "PAUSED"
    return yes(shown(job))


def download(account: Account, asked: Asked) -> Answer:
    """POST download.csv: a ZIP."""
    kind = asked.query.get("type")
    if kind == "source_report_project_level":
        return 200, _zipped(source(account, asked.query.get("projectId", "")))
    job = account.jobs.get(asked.query.get("jobId", ""))
    if kind != "full" or job is None:
        return no(404, "File not found or inaccessible.")
    return 200, _zipped(full(account, job))


def source(account: Account, project: str) -> list[dict[str, Any]]:
    """The rows as they were uploaded."""
    return [unit.data for unit in account.units[project].values()]


def full(account: Account, job: Job) -> list[dict[str, Any]]:
    """Every judgment beside its row."""
    return [
        {
            "_unit_id": unit.id,
            "_created_at": f"{one.created_at:%m/%d/%Y %H:%M:%S}",
            "_golden": str(unit.gold is not None).lower(),
            "_id": one.id,
            "_missed": "",
            "_started_at": f"{one.started_at:%m/%d/%Y %H:%M:%S}",
            "_tainted": str(one.tainted).lower(),
            "_channel": "stand-in",
            "_trust": f"{job.trust.get(one.worker, 1.0):.4f}",
            "_worker_id": one.worker,
            job.field: one.answer,
            **{name: value for name, value in unit.data.items() if name not in RESERVED},
        }
        for unit in account.of(job).values()
        for one in unit.judgments
    ]


def _zipped(rows: Sequence[Mapping[str, Any]]) -> bytes:
    words, packed = io.StringIO(newline=""), io.BytesIO()
    if rows:
        writer = csv.DictWriter(words, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("report.csv", words.getvalue())
    return packed.getvalue()


ROUTES: tuple[tuple[str, str, Route], ...] = (
    ("POST", FLOW, create_project),
    ("GET", f"{FLOW}/project-status", project_status),
    ("POST", r"/v3/jobs/jobs\.json", create_job),
    ("POST", f"{FLOW}/jobs/copy-job", copy_job),
    ("PUT", "/v3/jobs/update", update),
    ("GET", "/v3/jobs/jobStatusById", _job(lambda account, asked, job: yes(shown(job)))),
    ("GET", f"{FLOW}/jobs/status", _job(status)),
    ("POST", r"/v3/jobs/upload\.json", upload),
    ("POST", f"{FLOW}/upload-test-question", upload_gold),
    ("GET", "/v3/jobs/upload/status", upload_status),
    ("POST", f"{FLOW}/units", units),
    ("POST", f"{FLOW}/send-to-job", _job(send)),
    ("POST", "/v3/jobs/launch", _job(launch)),
    ("POST", "/v3/jobs/pause", _job(pause)),
    ("POST", r"/v3/jobs/download\.csv", download),
)
