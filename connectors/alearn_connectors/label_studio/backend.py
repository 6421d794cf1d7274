"""alearn as the project's ML backend, for those who want its buttons: *Start Training* and *Retrieve predictions*.

The order must not come from it. Label Studio orders by the predictions whose version is the project's `model_version`;
a backend whose title stands there makes the order chance. So the project keeps the version of the queue, our title and
our versions hold a `:`, which no version of a queue does, and opening a task calls nobody.

Label Studio hands the project creator's legacy token to whatever answers at a backend's address. It is not looked at
here; but the address must be one that only alearn can have.

Label Studio also makes a webhook for a backend: for everything that happens, with all of it, and without a password. It
goes at once, because ours says what is needed; *Start Training* does not use it.

Invariant: a project has at most one backend of its loop, found by its mark, and no webhook that came with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from alearn.errors import PlatformError, Refused, Unavailable
from alearn.platform import Finding
from alearn_connectors.label_studio import webhook
from alearn_connectors.label_studio.client import Client, Forbidden, Missing, Rejected
from alearn_connectors.label_studio.project import Project, change, mark, read

USER = "alearn"
SECRET = "ml-backend"  # noqa: S105 - the name of one
"""Label Studio enters with this user name, and with the password that the notes keep under this name."""

Row = Mapping[str, Any]


def url_of(address: str) -> str:
    """Where the ML backend is, below a loop's address."""
    return f"{address}/ml"


def title_of(loop: str) -> str:
    """The backend's name in the project's settings."""
    return f"alearn: {loop}"


def version_of(model: str | None) -> str:
    """What the backend calls a model version, so that its predictions are never taken for those that order."""
    return f"live:{model or 'none'}"


def attach(client: Client, project: Project, loop: str, address: str, password: str) -> None:
    """Make the address the project's ML backend; idempotent. `alearn serve` must be answering there.

    Raises:
        Refused: Label Studio may not call that address.
        Unavailable: nobody answers there now, as Label Studio sees it.
    """
    wanted = _wanted(project.id, loop, address, password)
    kept = False
    for row in _ours(client, project.id, loop):
        if not kept and _same(row, wanted):
            kept = True
        else:
            _delete(client, project.id, row)
    if not kept:
        _create(client, project, loop, wanted)
    webhook.remove_at(client, project.id, {_leftover(wanted)})


def detach(client: Client, project: int, loop: str) -> None:
    """Leave no backend of the loop behind, nor the webhook that came with it."""
    for row in _ours(client, project, loop):
        _delete(client, project, row)


def check(client: Client, project: int, loop: str, address: str, password: str) -> Iterator[Finding]:
    """Whether the backend is there, reached, and alone."""
    wanted = _wanted(project, loop, address, password)
    rows = [row for row in _ours(client, project, loop) if _same(row, wanted)]
    reached = any(row["state"] not in {"DI", "ER"} for row in rows)
    advice = "" if reached else "Start `alearn serve` again: it connects itself."
    if rows and not reached:
        said = rows[0].get("error_message") or "it does not answer, or refuses the password"
        advice = f"Got: {said}. Start `alearn serve`, at an address that Label Studio can reach."
    yield Finding(f"Label Studio reaches its ML backend at {wanted['url']}", ok=reached, advice=advice)
    alone = all(hook["url"] != _leftover(wanted) for hook in webhook.listed(client, project))
    yield Finding(
        "Label Studio's own webhook for the ML backend is gone",
        ok=alone,
        advice="" if alone else f"Delete the webhook of {_leftover(wanted)}, or start `alearn serve` again.",
    )


def _wanted(project: int, loop: str, address: str, password: str) -> dict[str, Any]:
    return {
        "project": project,
        "url": url_of(address),
        "title": title_of(loop),
        "description": f"alearn connects and removes it by this mark: {mark(loop)} {_fingerprint(password)}",
        "is_interactive": False,
        "auth_method": "BASIC_AUTH",
        "basic_auth_user": USER,
        "basic_auth_pass": password,
    }


def _fingerprint(password: str) -> str:
    """Tells whether a backend has today's password, which Label Studio does not show."""
    return hashlib.sha256(password.encode()).hexdigest()[:12]


def _same(row: Row, wanted: Mapping[str, Any]) -> bool:
    return all(row.get(name) == value for name, value in wanted.items() if name != "basic_auth_pass")


def _ours(client: Client, project: int, loop: str) -> Sequence[Row]:
    """Label Studio asks every backend for its health before it lists them."""
    rows = client.get("/api/ml/", {"project": project})
    return [row for row in rows if mark(loop) in (row.get("description") or "")]


def _leftover(row: Row) -> str:
    """The webhook that Label Studio makes for a backend, and forgets when the backend is deleted."""
    return f"{str(row['url']).rstrip('/')}/webhook"


def _create(client: Client, project: Project, loop: str, wanted: Mapping[str, Any]) -> None:
    """Connect. Whatever Label Studio says, it may have kept a row (403 does), so a failure is followed by a removal."""
    try:
        client.post("/api/ml/", dict(wanted))
    except PlatformError as error:
        with suppress(PlatformError):
            detach(client, project.id, loop)
        raise _reason(client, str(wanted["url"]), error) from error
    now = read(client, project.id)
    if now.model_version == wanted["title"]:  # it was empty, and the title makes the order chance
        change(client, now, {"model_version": ""})


def _reason(client: Client, url: str, error: PlatformError) -> PlatformError:
    """What a failure to connect means for the person who runs the loop."""
    if isinstance(error, Forbidden) and webhook.is_blocked(error.detail):
        return Refused(
            f"Label Studio at {client.url} must be allowed to call its ML backend at {url}. Got 403: {error.detail}. "
            "On the same machine or in a trusted network start it with ML_BLOCK_LOCAL_IP=false and "
            "SSRF_PROTECTION_ENABLED=false; or set `platform.options.ml_backend` to false."
        )
    if isinstance(error, Rejected) or webhook.is_unresolved(str(error)):
        said = error.detail if isinstance(error, Rejected) else "it cannot resolve the host's name"
        return Unavailable(
            f"Label Studio at {client.url} must reach its ML backend at {url}. Got: {said}. Start `alearn serve`, at "
            "an address that Label Studio can reach."
        )
    return error


def _delete(client: Client, project: int, row: Row) -> None:
    """The webhook first: only the row tells where it calls."""
    webhook.remove_at(client, project, {_leftover(row)})
    with suppress(Missing):  # somebody was faster
        client.delete(f"/api/ml/{row['id']}")
