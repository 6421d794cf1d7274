"""What the loop relies on, probed one by one: `alearn doctor`.

Invariant: nothing is changed, and no probe that fails keeps the others from being made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from alearn.errors import PlatformError
from alearn.platform import Finding
from alearn_connectors.appen.budget import worse
from alearn_connectors.appen.credentials import WEBHOOK_SECRET, webhook_secret
from alearn_connectors.appen.options import Options
from alearn_connectors.appen.service import Place, Service, Standing


def findings(service: Callable[[], Service], place: Place | None, options: Options) -> Iterator[Finding]:
    """All probes. The first failure hides the others: without an answer there is nothing to look at."""
    try:
        account = service()
        account.reach()
        now = None if place is None else account.standing(place)
    except PlatformError as error:
        yield Finding(f"Appen answers at {options.url} and accepts the API key", ok=False, advice=str(error))
        return
    yield Finding(f"Appen answers at {options.url} and accepts the API key", ok=True)
    yield from _webhooks(options)
    if place is not None and now is not None:
        yield from _job(place, now, options)


def _webhooks(options: Options) -> Iterator[Finding]:
    if options.api == "v3":
        return
    what = "Webhooks can be told from forgeries"
    try:
        secret = webhook_secret(options.webhook_secret_file)
    except PlatformError as error:
        yield Finding(what, ok=False, advice=str(error))
        return
    by = WEBHOOK_SECRET if secret else f"the API key, as in older accounts; else set {WEBHOOK_SECRET}"
    yield Finding(f"{what}, by {by}", ok=True)


def _job(place: Place, now: Standing, options: Options) -> Iterator[Finding]:
    where = f"Job {place.job}"
    working = now.state not in {"paused", "canceled"}
    yield Finding(
        f"{where} is {now.state}, with {now.ordered} rows ordered and {now.waiting} waiting",
        ok=working,
        advice="" if working else "Resume it in Appen, or name another in `platform.options.job`.",
    )
    if options.cap_cents is None:
        yield Finding(f"{where} is launched by a person: there is no `platform.options.cap_cents`", ok=True)
        return
    yield Finding(
        f"{where} orders nothing by itself",
        ok=not now.by_itself,
        advice="Turn `auto_order` off in Appen." if now.by_itself else "",
    )
    cents = worse(options.terms, now.terms).cents(now.ordered + now.waiting)
    within = cents <= options.cap_cents
    yield Finding(
        f"{where} costs up to {cents} US cents of the {options.cap_cents} allowed",
        ok=within,
        advice="" if within else "Raise `platform.options.cap_cents`, or let the loop stop here.",
    )
