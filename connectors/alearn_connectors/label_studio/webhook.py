"""The webhook by which Label Studio wakes the loop.

Label Studio calls it inside the annotator's own request, waits a second at most, and never tries again. So it says only
what happened, in one word and without a payload; and only of what people do. Of imports and of settings it says
nothing: those are mostly alearn's own, and it would wake itself in circles. What is lost, the next look finds.

Invariant: a project has at most one webhook of its loop, found by its mark; those of others are never touched.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from alearn.errors import PlatformError, Refused, Unavailable
from alearn.platform import Finding
from alearn_connectors.label_studio.client import Client, Forbidden, Missing, Rejected

ACTIONS = frozenset(
    {"ANNOTATION_CREATED", "ANNOTATIONS_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED", "TASKS_DELETED"}
)
"""What wakes the loop. A skip is an ANNOTATION_CREATED."""

SECRET = "webhook"  # noqa: S105 - the name of one
"""Under which name the notes keep the secret."""

SECRET_HEADER = "X-Alearn-Secret"  # noqa: S105 - the name of a header
LOOP_HEADER = "X-Alearn-Loop"
"""The mark: whose webhook it is."""

Hook = Mapping[str, Any]


def url_of(address: str) -> str:
    """Where Label Studio calls, below a loop's address."""
    return f"{address}/webhook"


def register(client: Client, project: int, loop: str, address: str, secret: str) -> None:
    """Let the project call the address; idempotent. A webhook of ours that says anything else goes.

    Raises:
        Refused: Label Studio may not, or cannot, call that address.
    """
    wanted = _wanted(project, loop, address, secret)
    kept = False
    for hook in _ours(client, project, loop):
        if not kept and _same(hook, wanted):
            kept = True
        else:
            _delete(client, hook)
    if not kept:
        _create(client, wanted)


def remove(client: Client, project: int, loop: str) -> None:
    """Leave no webhook of the loop behind."""
    for hook in _ours(client, project, loop):
        _delete(client, hook)


def remove_at(client: Client, project: int, urls: Collection[str]) -> None:
    """Remove the webhooks of these addresses."""
    for hook in listed(client, project):
        if hook["url"] in urls:
            _delete(client, hook)


def listed(client: Client, project: int) -> list[Hook]:
    """All webhooks of a project, whoever made them."""
    return list(client.get("/api/webhooks/", {"project": project}))


def check(client: Client, project: int, loop: str, address: str, secret: str) -> Iterator[Finding]:
    """Whether Label Studio may call the address, tried with a webhook that is asleep; and whether it does."""
    url = url_of(address)
    wanted = _wanted(project, loop, address, secret)
    what = f"Label Studio may call {url}"
    try:
        _delete(client, _create(client, {**wanted, "is_active": False}))
    except PlatformError as error:
        yield Finding(what, ok=False, advice=str(error))
        return
    yield Finding(what, ok=True)
    well = any(_same(hook, wanted) for hook in listed(client, project))
    yield Finding(
        f"Label Studio calls {url} when somebody answers",
        ok=well,
        advice=""
        if well
        else "Its webhook was removed or changed, so answers are found by looking from time to time. "
        "Start `alearn serve` again: it registers the webhook.",
    )


def _wanted(project: int, loop: str, address: str, secret: str) -> dict[str, Any]:
    return {
        "project": project,
        "url": url_of(address),
        "headers": {SECRET_HEADER: secret, LOOP_HEADER: loop},
        "actions": sorted(ACTIONS),
        "send_for_all_actions": False,  # else the actions are not looked at
        "send_payload": False,
        "is_active": True,
    }


def _same(hook: Hook, wanted: Mapping[str, Any]) -> bool:
    said = {name: hook.get(name) for name in wanted} | {"actions": sorted(hook.get("actions") or ())}
    return said == wanted


def _ours(client: Client, project: int, loop: str) -> list[Hook]:
    return [hook for hook in listed(client, project) if _is_ours(hook, loop)]


def _is_ours(hook: Hook, loop: str) -> bool:
    """By its mark; or by where it calls, which tells one that Label Studio made itself or that has lost its mark."""
    if (hook.get("headers") or {}).get(LOOP_HEADER) == loop:
        return True
    return urlsplit(hook["url"]).path.endswith((f"/loops/{loop}/webhook", f"/loops/{loop}/ml/webhook"))


def _create(client: Client, wanted: Mapping[str, Any]) -> Hook:
    try:
        made: Hook = client.post("/api/webhooks/", dict(wanted))
    except Forbidden as error:
        if not is_blocked(error.detail):
            raise
        raise Refused(_blocked(client, wanted["url"], error.detail)) from error
    except Rejected as error:
        raise Refused(_unfit(client, wanted["url"], error.detail)) from error
    except Unavailable as error:
        if is_unresolved(str(error)):  # it is answered with 500
            raise Refused(_unfit(client, wanted["url"], "it cannot resolve the host's name")) from error
        raise
    return made


def _delete(client: Client, hook: Hook) -> None:
    with suppress(Missing):  # somebody was faster
        client.delete(f"/api/webhooks/{hook['id']}/")


def is_blocked(detail: str) -> bool:
    """Whether a 403 is about the address that is to be called, and not about who asks."""
    return "reserved" in detail or "URL" in detail


def is_unresolved(said: str) -> bool:
    """Whether a host's name could not be resolved."""
    return "resolve hostname" in said


def _blocked(client: Client, url: str, detail: str) -> str:
    return (
        f"Label Studio at {client.url} must be allowed to call {url}. Got 403: {detail}. On the same machine or in a "
        "trusted network start it with SSRF_PROTECTION_ENABLED=false; else give `alearn serve` an address that is not "
        "reserved. Or set `platform.options.webhook` to false: answers are then found by looking from time to time."
    )


def _unfit(client: Client, url: str, detail: str) -> str:
    return (
        f"Label Studio at {client.url} must be able to call {url}. Got: {detail}. Give `alearn serve` an address whose "
        "host is an IP, localhost, or a name with a dot and without `_` that resolves where Label Studio runs."
    )
