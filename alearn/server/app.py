"""What the server answers: the platforms' calls, whether it is well, and where the loops stand.

Invariant: a body is read up to a limit, and is believed by nobody; nothing here names a platform.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.concurrency import run_in_threadpool

from alearn.errors import AlearnError
from alearn.platform import Call, Reply
from alearn.server.fleet import Fleet, State
from alearn.server.hosting import Hosted
from alearn.server.page import page
from alearn.server.telemetry import Telemetry

LARGEST = 16 * 2**20
"""Bytes of a call's body; a platform may want less."""
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def application(fleet: Fleet) -> FastAPI:
    """The server for a fleet of controllers, which it starts and stops."""
    hosted = {name: Hosted(one.config, one.send) for name, one in fleet.controllers.items()}
    loops = _Loops(fleet, hosted)
    telemetry = Telemetry(loops.all)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        fleet.start()
        try:
            yield
        finally:
            await run_in_threadpool(fleet.stop)
            for one in hosted.values():
                one.close()

    app = FastAPI(title="alearn", docs_url=None, redoc_url=None, openapi_url=None, lifespan=life)

    @app.get("/health")
    async def health() -> JSONResponse:
        states = {name: one.state for name, one in fleet.controllers.items()}
        well = all(one.kind != "failed" for one in states.values())
        told = {name: {"state": one.kind, "reason": one.reason} for name, one in states.items()}
        return JSONResponse({"status": "ok" if well else "failing", "loops": told}, 200 if well else 503)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(telemetry.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/loops")
    def all_loops() -> Mapping[str, Any]:
        return loops.all()

    @app.get("/", response_class=HTMLResponse)
    def front() -> str:
        return page(loops.all())

    @app.api_route("/loops/{name}/{path:path}", methods=METHODS)
    async def call(name: str, path: str, request: Request) -> Response:
        if name not in hosted:
            raise HTTPException(404)
        began = time.perf_counter()
        reply = await _answered(request, f"/{path}", hosted[name].hear)
        telemetry.called(name, reply.status, time.perf_counter() - began)
        return JSONResponse(reply.content, reply.status)

    return app


async def _answered(request: Request, path: str, hear: Callable[[Call], Reply]) -> Reply:
    """What a loop answers; 413 for a body that is too large, 503 when its store does not answer."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            return Reply(413, {"detail": f"A body may have {LARGEST} bytes."})
    headers = {key.lower(): value for key, value in request.headers.items()}
    try:
        return await run_in_threadpool(hear, Call(request.method, path, headers, bytes(body)))
    except AlearnError as error:
        return Reply(503, {"detail": str(error)})


class _Loops:
    """All loops with the state of their controllers."""

    def __init__(self, fleet: Fleet, hosted: Mapping[str, Hosted]) -> None:
        self._fleet, self._hosted = fleet, hosted

    def all(self) -> dict[str, dict[str, Any]]:
        """By name: a status, the controller's state and why."""
        return {name: self._one(one, self._fleet.controllers[name].state) for name, one in self._hosted.items()}

    def _one(self, loop: Hosted, state: State) -> dict[str, Any]:
        try:
            found = loop.status()
        except AlearnError as error:
            found = {"loop": loop.config.name, "error": str(error)}
        return {**found, "state": state.kind, "state_reason": state.reason}
