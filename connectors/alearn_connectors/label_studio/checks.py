"""What the loop relies on, probed one by one: `alearn doctor`.

Invariant: nothing that lasts is changed, and no probe that fails keeps the others from being made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from alearn.errors import PlatformError, Refused
from alearn.platform import Finding, Setting
from alearn_connectors.label_studio import backend, place, project, suggesting, webhook
from alearn_connectors.label_studio.client import OLDEST, TESTED, Client
from alearn_connectors.label_studio.environment import FAST_IMPORT
from alearn_connectors.label_studio.notes import Notes
from alearn_connectors.label_studio.options import Options
from alearn_connectors.label_studio.versions import Versions

ADDRESS = "address"
"""Under which name the notes keep where the loop was last said to listen."""


def release(client: Client) -> str:
    """Label Studio's version. Raises Refused when something else answers."""
    answer = client.get("/api/version")
    found = answer.get("release") if isinstance(answer, dict) else None
    if not isinstance(found, str):
        raise Refused(
            f"`platform.options.url` must be where Label Studio answers. Got {client.url}, which tells no version. "
            "Something else listens there; correct the URL."
        )
    return found


def judge_version(client: Client) -> str:
    """The version, when it is one that alearn can work with; else Refused."""
    found = release(client)
    if _numbers(found) < OLDEST:
        raise Refused(
            f"Label Studio at {client.url} must be {'.'.join(map(str, OLDEST))} or newer ({TESTED} is tested). Got "
            f"{found}. Upgrade it, or use the private one: `alearn label-studio up`."
        )
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def findings(setting: Setting, options: Options, notes: Notes) -> Sequence[Finding]:
    """All probes. The first failures hide the others: without an answer there is nothing to look at."""
    try:
        client = place.connect(options)
    except PlatformError as error:
        return [Finding("Label Studio can be reached", ok=False, advice=str(error))]
    try:
        return list(_findings(client, setting, options, notes))
    finally:
        client.close()


def _findings(client: Client, setting: Setting, options: Options, notes: Notes) -> Iterator[Finding]:
    reached = _probe(f"Label Studio answers at {client.url}", lambda: client.get("/health"))
    yield reached
    if not reached.ok:
        return
    yield _probe(f"It is Label Studio {'.'.join(map(str, OLDEST))} or newer", lambda: judge_version(client))
    entered = _probe("It accepts the token", lambda: client.get("/api/current-user/whoami"))
    yield entered
    if not entered.ok:
        return
    found: list[project.Project] = []
    yield _probe(
        "Its projects can be listed",
        lambda: found.extend(filter(None, [project.find(client, setting, options, notes)])),
    )
    yield from _overlap(options)
    yield from _media(client, setting, options, found[0].id if found else None)
    if found:
        yield from _project(client, setting, options, notes, found[0])
        yield from _listening(client, setting, options, notes, found[0])
    yield from _switches(options)


def _probe(what: str, act: Callable[[], object]) -> Finding:
    try:
        act()
    except PlatformError as error:
        return Finding(what, ok=False, advice=str(error))
    return Finding(what, ok=True)


def _overlap(options: Options) -> Iterator[Finding]:
    if options.overlap > 1:
        yield Finding(
            f"{options.overlap} annotators answer each item: all but the first get items in an order of chance", ok=True
        )


def _media(client: Client, setting: Setting, options: Options, number: int | None) -> Iterator[Finding]:
    try:
        yield from place.media(setting, options).check(client, number)
    except PlatformError as error:
        yield Finding("Annotators can see the items", ok=False, advice=str(error))


def _project(
    client: Client, setting: Setting, options: Options, notes: Notes, found: project.Project
) -> Iterator[Finding]:
    where = f"Project {found.title!r} ({found.id})"
    faults = list(project.drift(found, setting))
    yield Finding(f"{where} asks what the loop asks", ok=not faults, advice=" ".join(faults))
    here = notes.of(found.scope)
    version = Versions.read(here).current
    if not version:
        return
    served = {version, suggesting.version(here) or version}
    counts = client.get(f"/api/projects/{found.id}/model-versions/")
    ordered = found.model_version in served and counts.get(version, 0) > 0
    yield Finding(
        f"{where} serves the most useful items first",
        ok=ordered,
        advice=""
        if ordered
        else f"Its model version is {found.model_version!r} with {counts.get(found.model_version, 0)} predictions, not "
        f"{version!r}, so it serves by chance. The next push puts it back.",
    )


def _listening(
    client: Client, setting: Setting, options: Options, notes: Notes, found: project.Project
) -> Iterator[Finding]:
    """The webhook and the ML backend, where it is known at which address they are to call."""
    address = notes.read(ADDRESS)
    if not isinstance(address, str):
        if options.webhook or options.ml_backend:
            yield Finding("No `alearn serve` listens for this loop: answers are found by looking now and then", ok=True)
        return
    try:
        if options.webhook:
            yield from webhook.check(client, found.id, setting.loop, address, notes.known_secret(webhook.SECRET) or "")
        if options.ml_backend:
            yield from backend.check(client, found.id, setting.loop, address, notes.known_secret(backend.SECRET) or "")
    except PlatformError as error:
        yield Finding("Its webhooks and ML backends can be looked at", ok=False, advice=str(error))


def _switches(options: Options) -> Iterator[Finding]:
    """What a server was started with and does not tell; the private one is started rightly.

    Whether `next` gives the task it should is not tried: asking locks that task for everybody else.
    """
    private = place.private_server()
    if options.url is None or (private is not None and private["url"] == options.url):
        return
    yield Finding(
        "Label Studio does not tell whether it was started with TASK_LOCK_TTL=3600 (else tasks that were opened and "
        f"abandoned are gone for a day) and {FAST_IMPORT}=true (else every push of an order counts the whole project)",
        ok=True,
    )
