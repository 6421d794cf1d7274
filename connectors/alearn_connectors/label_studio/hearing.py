"""What Label Studio asks of `alearn serve`, answered at once: the webhook, and the ML backend below `/ml`.

Pure routing: no network, and nothing that waits. Any thread may call it; several processes may at a time.

Who may ask: the webhook carries the loop's secret in a header, the ML backend's caller its password. Without them the
answer is 401, before the body is looked at. With the webhook's secret, which every user of Label Studio can read in its
list of webhooks, a caller can make the loop look and train, again and again, as *Start Training* lets any of them. With
the backend's password, which Label Studio does not show, one can also ask what is believed of items whose keys one
knows. Neither can change a label, a file or a setting.

Invariant: the body is not believed. It can wake the loop, and name keys; a call that comes twice is one more look.
"""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from alearn.platform import Call, Host, Reply, Suggestion
from alearn_connectors.label_studio import backend, webhook
from alearn_connectors.label_studio.convert import CONTROL, OBJECT, Offer, result_json, task_key
from alearn_connectors.label_studio.notes import Notes
from alearn_connectors.label_studio.options import Options

LARGEST = 1_000_000
LARGEST_PREDICT = 16_000_000
"""Bytes of a body. *Retrieve predictions* sends all chosen tasks, with their texts, in one."""

TRAIN = "START_TRAINING"


@dataclass(frozen=True)
class _Route:
    """How one path is answered. `answer` gets the body as JSON, or None where there is none to read."""

    method: str
    answer: Callable[[Any, Host], Reply]
    largest: int = LARGEST


class Hearing:
    """Answers the calls of one loop. `notes` keep the secrets, and how the project asks."""

    def __init__(self, classes: Collection[str], options: Options, notes: Notes) -> None:
        self._classes = classes
        self._options = options
        self._notes = notes
        self._routes: Mapping[str, _Route] = {"/webhook": _Route("POST", _wake)}
        if options.ml_backend:
            self._routes |= {
                "/ml/health": _Route("GET", lambda _, host: Reply(200, {"status": "UP", "model_class": "alearn"})),
                "/ml/setup": _Route("POST", lambda _, host: Reply(200, {"model_version": _version(host)})),
                "/ml/versions": _Route("GET", lambda _, host: Reply(200, {"versions": [_version(host)]})),
                "/ml/webhook": _Route("POST", _wake),
                "/ml/predict": _Route("POST", self._predict, LARGEST_PREDICT),
            }

    def answer(self, call: Call, host: Host) -> Reply:
        """See `alearn.platform.Listening.hear`."""
        route = self._routes.get(call.path)
        if route is None:
            return _no(404, "There is no such path.")
        if not self._is_known(call):
            return _no(401, "The loop's secret is missing or wrong.")
        if call.method != route.method:
            return _no(405, f"{call.path} is asked by {route.method}.")
        if len(call.body) > route.largest:
            return _no(413, f"A body has at most {route.largest} bytes.")
        if call.method == "GET":
            return route.answer(None, host)
        body = _object(call.body)
        return _no(400, "The body must be a JSON object.") if body is None else route.answer(body, host)

    def _is_known(self, call: Call) -> bool:
        """Whether the caller shows the secret of what it calls; nobody does while there is none."""
        if call.path.startswith("/ml/"):
            password = self._notes.known_secret(backend.SECRET)
            expected = (
                None if password is None else "Basic " + b64encode(f"{backend.USER}:{password}".encode()).decode()
            )
            given = call.headers.get("authorization", "")
        else:
            expected = self._notes.known_secret(webhook.SECRET)
            given = call.headers.get(webhook.SECRET_HEADER.lower(), "")
        return expected is not None and hmac.compare_digest(given.encode(errors="replace"), expected.encode())

    def _predict(self, body: Any, host: Host) -> Reply:
        """One result per task, in order; an empty one where nothing may be suggested, or nothing is known."""
        tasks = body.get("tasks")
        if not isinstance(tasks, list):
            return _no(400, "`tasks` must be a list.")
        keys = [task_key(task) if isinstance(task, dict) else None for task in tasks]
        asked = list(dict.fromkeys(key for key in keys if key is not None))
        believed = host.suggest(asked) if self._options.suggests and asked else {}
        version, offer = _version(host), self._asked()
        return Reply(200, {"results": [self._result(believed.get(key or ""), offer, version) for key in keys]})

    def _result(self, told: Suggestion | None, offer: Offer, version: str) -> dict[str, Any]:
        if told is None or told.label not in self._classes or told.confidence < self._options.least_confidence:
            return {"result": [], "score": 0.0, "model_version": version}
        return {"result": [result_json(told.label, offer)], "score": told.confidence, "model_version": version}

    def _asked(self) -> Offer:
        """The question as it was called when the backend was attached; ours where that is not known."""
        noted = self._notes.read(ASKED)
        names = noted if isinstance(noted, dict) else {}
        control, about = str(names.get("control", CONTROL)), str(names.get("to_name", OBJECT))
        return Offer(control, about, frozenset(), tuple(self._classes))


ASKED = "asked"


def note_asked(notes: Notes, offer: Offer | None) -> None:
    """Note how the project calls its question, for the process that answers."""
    notes.write(ASKED, None if offer is None else {"control": offer.control, "to_name": offer.to_name})


def _wake(body: Any, host: Host) -> Reply:
    """A known action is a reason to look; one that is not known is nothing."""
    action = body.get("action")
    if action == TRAIN:
        host.train()
    if action == TRAIN or (isinstance(action, str) and action in webhook.ACTIONS):
        host.wake()
    return Reply(200, {})


def _version(host: Host) -> str:
    return backend.version_of(host.version())


def _object(body: bytes) -> dict[str, Any] | None:
    """The JSON object that a body holds; None when it holds something else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):  # the latter for a million brackets
        return None
    return value if isinstance(value, dict) else None


def _no(status: int, why: str) -> Reply:
    return Reply(status, {"detail": why})
