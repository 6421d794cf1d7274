"""The new generation of the API (`v3`): a project with a dataset, a job in it, and reports.

A project must be the loop's own: all units that are in no job yet are sent to the loop's job. Webhooks are not part of
this generation's documentation, so that the loop finds news by looking. What a page costs cannot be set or read here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from alearn.errors import Refused
from alearn_connectors.appen import reports
from alearn_connectors.appen.budget import Terms
from alearn_connectors.appen.classic import CHUNK, wait_until
from alearn_connectors.appen.client import Client, Missing, Params, Rejected
from alearn_connectors.appen.options import Options
from alearn_connectors.appen.service import (
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

FLOW = "/v3/project-flow/projects"
LEASE_SECONDS = 1800
"""How long a contributor may keep a page; the API wants to be told."""

_STATES: Mapping[str, State] = {
    "DRAFT": "draft",
    "RUNNING": "running",
    "PAUSED": "paused",
    "COMPLETED": "finished",
    "CANCELLED": "canceled",
}


class Projects:
    """A Service on `v3`; `settings` are those of a `v1` job, and are translated."""

    def __init__(self, client: Client, options: Options, settings: Mapping[str, Any], design: str) -> None:
        self._client, self._options = client, options
        self._settings, self._design = settings, design
        self._said: dict[str, list[Judgment]] = {}

    @property
    def _team(self) -> Params:
        return {"teamId": self._options.team or ""}

    def reach(self) -> None:
        """A project's status; an account that says that there is no such project has answered, too."""
        with suppress(Missing, Rejected):
            self._data("GET", f"{FLOW}/project-status", params={"projectId": self._options.project or "none"})

    def find(self, known: Place | None) -> Place | None:
        """The job with the loop's title in the project that is known; projects cannot be listed."""
        project = self._living(known)
        if not project:
            return None
        told = self._data("GET", f"{FLOW}/project-status", params={"projectId": project})
        for job in (mapping(one, "A job") for one in listing(told.get("jobInfoDTO") or [], "A project's jobs")):
            if job.get("title") == self._settings["title"] and job.get("state") != "CANCELLED":
                return Place(text(job.get("jobId"), "A job's id"), project)
        return None

    def _living(self, known: Place | None) -> str:
        """The project that is named, or the one that was noted if it is still there; "" when there is none."""
        if self._options.project or known is None or not known.project:
            return self._options.project or ""
        try:
            self._data("GET", f"{FLOW}/project-status", params={"projectId": known.project})
        except Missing:
            return ""
        return known.project

    def create(self, known: Place | None, note: Callable[[Place], None]) -> Place:
        """A project, unless one is known, and a job in it."""
        project = self._living(known) or self._new_project()
        note(Place(project=project))
        place = Place(self._new_job(project), project)
        note(place)
        return place

    def _new_project(self) -> str:
        title = self._settings["title"]
        body = {"name": title, "description": "Rows and judgments of a loop of alearn"}
        try:
            made = self._data("POST", FLOW, body, self._team)
        except Refused as error:
            if "already exists" not in str(error):
                raise
            raise Refused(
                f"`platform.options.project` must name the project of the loop when there is one. Got none, and a "
                f"project called {title!r} exists. Copy its id from Appen, or set another `platform.options.title`."
            ) from error
        return text(made.get("id"), "A new project's id")

    def _new_job(self, project: str) -> str:
        title = self._settings["title"]
        if self._options.template is None:
            body = {"title": title, "projectId": project, "type": "WORK"}
            made = self._data("POST", "/v3/jobs/jobs.json", body)
        else:
            body = {"copiedFrom": self._options.template, "projectId": project, "title": title}
            body |= {"appendTo": "project_data_source"}
            parts = {"types": ["DESIGN", "CROWD_SETTINGS", "PRICE_AND_ROW"]}
            made = self._data("POST", f"{FLOW}/jobs/copy-job", body | parts, self._team)
        return text(made.get("id"), "A new job's id")

    def adopt(self, place: Place) -> Place:
        """Settings are sent when they are others than before, where the job is the loop's own and no template's."""
        job = self._job(place)
        if self._options.job is None and self._options.template is None and place.design != self._design:
            self._data("PUT", "/v3/jobs/update", self._translated(place, job), self._team)
        return replace(place, design=self._design)

    def _translated(self, place: Place, job: Mapping[str, Any]) -> dict[str, Any]:
        wanted = self._settings
        sure = self._options.confidence is not None
        return {
            "id": place.job,
            "projectId": place.project,
            "teamId": self._options.team,
            "title": wanted["title"],
            "type": "WORK",
            **({"version": job["version"]} if isinstance(job.get("version"), int) else {}),
            "assignmentLeaseExpiry": LEASE_SECONDS,
            "judgmentsPerRow": wanted["judgments_per_unit"],
            "rowsPerPage": wanted["units_per_assignment"],
            "jobCml": {"instructions": wanted["instructions"], "cml": wanted["cml"]},
            "dynamicJudgements": {
                "enableDynamicJudgements": sure,
                "mode": "MINIMUM_CONFIDENCE",
                "minimumConfidence": self._options.confidence or 0.0,
                "maxDynamicJudgements": (self._options.max_judgments or self._options.judgments) if sure else 0,
            },
        }

    def keys(self, place: Place) -> frozenset[str]:
        """From the report of the project's source data."""
        kind = {"type": "source_report_project_level", "projectId": place.project, "filename": "source.csv"}
        return reports.keys(self._report(kind))

    def add(self, place: Place, rows: Sequence[Row]) -> None:
        """In tables of a thousand rows, one after the other."""
        for at in range(0, len(rows), CHUNK):
            content = reports.dataset(rows[at : at + CHUNK])
            self._upload("/v3/jobs/upload.json", content, {"projectId": place.project})

    def set_gold(self, place: Place, rows: Sequence[Row]) -> None:
        """What is a test question already is passed over there."""
        content = reports.gold_table(rows, self._options.field)
        self._upload(f"{FLOW}/upload-test-question", content, {"projectId": place.project, "jobId": place.job})

    def _upload(self, path: str, content: bytes, params: dict[str, str | int]) -> None:
        """Upload a table, and wait until it is worked off."""
        name = f"alearn-{hashlib.sha256(content).hexdigest()[:16]}.csv"
        made = mapping(self._client.upload("POST", path, content, "text/csv", params | {"fileName": name}), "An upload")
        file = {"fileId": text(made.get("fileId"), "An upload's id"), **self._team}
        wait_until(lambda: self._uploaded(file), self._options, "an upload to be worked off")

    def _uploaded(self, file: Params) -> bool:
        going_on, told = self._client.pending("/v3/jobs/upload/status", file)
        status = str(mapping(told, "An upload's status").get("status"))
        if "FAIL" in status:
            raise Refused(
                f"Appen must take the rows. Got {status}: {told.get('details')}. Look at the upload in Appen."
            )
        return not going_on

    def standing(self, place: Place) -> Standing:
        """From the job, its progress, and the units that are in no job yet."""
        job = self._job(place)
        told = self._client.get(f"{FLOW}/jobs/status", {**self._team, "jobId": place.job})
        ordered = number(mapping(told, "A job's status").get("totalUnits"), "`totalUnits`")
        waiting = sum(1 for _ in self._new_units(place))
        dynamic = job.get("dynamicJudgements") or {}
        most = [job.get("judgmentsPerRow"), mapping(dynamic, "`dynamicJudgements`").get("maxDynamicJudgements")]
        judgments = max((one for one in most if isinstance(one, int)), default=None)
        rows = job.get("rowsPerPage")
        terms = Terms(None, rows if isinstance(rows, int) and rows > 0 else None, judgments)
        return Standing(_STATES.get(str(job.get("state")), "running"), ordered, waiting, terms)

    def order(self, place: Place, standing: Standing) -> None:
        """Units can be sent to a job that does not run; then it is launched. Repeated after a stop, it goes on."""
        if standing.state == "running":
            self._data("POST", "/v3/jobs/pause", params={"jobId": place.job})
        units = list(self._new_units(place))
        for at in range(0, len(units), CHUNK):
            body = {"projectId": place.project, "unitIds": units[at : at + CHUNK], "percentage": 100}
            body |= {"sendEntireGroup": False, "carryJudgment": False, "overwriteJudgment": False}
            params = {"jobId": place.job, "ignoreConflict": "false"}
            self._client.act("POST", f"{FLOW}/send-to-job", body, params)
        self._data("POST", "/v3/jobs/launch", params={"jobId": place.job})

    def _new_units(self, place: Place) -> Iterator[str]:
        """The ids of the units that are in no job and are no test questions."""
        chosen = {"jobStatus": ["NEW"], "datasetRowType": ["UNIT", ""], f"source.{reports.GOLD_COLUMN}": ["FALSE"]}
        filters = {name: {"filterType": "SET", "values": values} for name, values in chosen.items()}
        start, total = 0, 1
        while start < total:
            body = {"startRow": start, "endRow": start + CHUNK - 1, "filterModel": filters, "sortModel": []}
            told = self._data("POST", f"{FLOW}/units", body, {**self._team, "projectId": place.project})
            units = listing(told.get("units"), "A list of units")
            for unit in units:
                cells = listing(mapping(unit, "A unit").get("unitId"), "A unit's id")
                yield text(mapping(cells[0] if cells else None, "A unit's id").get("value"), "A unit's id")
            if not units:
                return
            start, total = start + len(units), number(told.get("totalElements"), "`totalElements`")

    def look(self, place: Place) -> Mapping[str, str]:
        """From the full report, which holds every judgment."""
        if self._job(place).get("state") == "DRAFT":
            self._said = {}
        else:
            kind = {"type": "full", "jobId": place.job, "filename": "full.csv"}
            self._said = reports.judgments(self._report(kind), self._options.field)
        return {key: reports.fingerprint(said) for key, said in self._said.items()}

    def judgments(self, place: Place, key: str) -> Sequence[Judgment]:
        """From the report of the last look."""
        return self._said.get(key, [])

    def subscribe(self, place: Place, address: str | None) -> bool:
        """Nothing: this generation documents no webhooks."""
        return False

    def _report(self, params: Params) -> list[dict[str, str]]:
        """A report is asked for until it is made."""
        found: list[bytes] = []

        def ready() -> bool:
            content = self._client.fetch("/v3/jobs/download.csv", params)
            found.extend([] if content is None else [content])
            return content is not None

        wait_until(ready, self._options, f"a report ({params['type']})")
        return reports.table(found[-1])

    def _job(self, place: Place) -> Mapping[str, Any]:
        return itself(self._data("GET", "/v3/jobs/jobStatusById", params={"jobId": place.job}), place)

    def _data(self, method: str, path: str, body: Any = None, params: Params | None = None) -> Mapping[str, Any]:
        """What an answer carries in `data`."""
        told = self._client.get(path, params) if method == "GET" else self._client.act(method, path, body, params)
        return mapping(mapping(told, "An answer").get("data"), "`data`")
