"""Label Studio accounts for robots: made through the invite link, entered with a password, as people do.

Invariant: an account is written down before it is made, so that a robot that was killed comes back as the same
annotator.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import httpx

from alearn.errors import Refused, Unavailable
from alearn_connectors.label_studio.client import is_here

Seat = Callable[[], httpx.Client]
"""Opens a client that is logged in as one annotator."""


@dataclass(frozen=True)
class Account:
    """An annotator's e-mail (in a domain that no mail reaches) and password."""

    email: str
    password: str = field(repr=False)


def accounts(file: Path, url: str, count: int) -> list[Account]:
    """The first `count` robot accounts for the server at `url`; `file` (0600) remembers them, and is extended."""
    known: dict[str, list[dict[str, str]]] = {}
    with suppress(FileNotFoundError):
        known = json.loads(file.read_text())
    here = known.setdefault(url, [])
    if len(here) < count:
        here.extend(asdict(_new(number)) for number in range(len(here) + 1, count + 1))
        _keep(file, json.dumps(known, indent=2))
    return [Account(**entry) for entry in here[:count]]


def enter(account: Account, url: str, invite: Callable[[], str]) -> httpx.Client:
    """A client that is logged in; the account is made when it does not exist. `invite` returns the invite link.

    Raises:
        Unavailable: Label Studio does not answer now.
        Refused: it takes neither the password nor a new account.
    """
    client = httpx.Client(base_url=url, timeout=30, trust_env=not is_here(url))
    try:
        entered = _submit(client, "/user/login/", account) or _submit(client, invite(), account)
    except httpx.RequestError as error:
        client.close()
        raise Unavailable(f"Label Studio at {url} does not answer: {error}. Start it, or wait.") from error
    except BaseException:
        client.close()
        raise
    if not entered:
        client.close()
        raise Refused(
            f"Label Studio at {url} must let {account.email} in, or sign up by its invite link. Got: refused. "
            "Allow sign-up with a link, or let one robot work with your token."
        )
    return client


def seats(owner: Seat, file: Path, count: int) -> dict[str, Seat]:
    """What opens the client of each of `count` robots, by name.

    One robot works as the owner; several have accounts of their own, which `file` remembers.
    """
    if count == 1:
        return {"robot-1": owner}
    one_writer = threading.Lock()

    def seat(number: int) -> httpx.Client:
        with closing(owner()) as client:
            url = str(client.base_url).rstrip("/")
            with one_writer:
                account = accounts(file, url, count)[number - 1]
            return enter(account, url, partial(_invite, client))

    return {f"robot-{number}": partial(seat, number) for number in range(1, count + 1)}


def _invite(owner: httpx.Client) -> str:
    answer = owner.get("/api/invite")
    if answer.status_code >= 500:
        raise Unavailable(f"Label Studio answered /api/invite with {answer.status_code}. Wait, or look into its log.")
    if answer.is_error:
        raise Refused(
            f"Label Studio must hand out an invite link for robots. Got: {answer.status_code}. Let one robot work."
        )
    return str(answer.json()["invite_url"])


def _submit(client: httpx.Client, page: str, account: Account) -> bool:
    """Fill a form as a browser does; a redirect says that it was taken, the form again that it was not."""
    client.get(page)
    answer = client.post(
        page,
        data={"email": account.email, "password": account.password},
        headers={"X-CSRFToken": client.cookies.get("csrftoken") or "", "Referer": str(client.base_url.join(page))},
    )
    if answer.status_code >= 500:
        raise Unavailable(f"Label Studio answered {page} with {answer.status_code}. Wait, or look into its log.")
    return answer.is_redirect


def _new(number: int) -> Account:
    return Account(f"robot-{number}.{secrets.token_hex(4)}@alearn.invalid", secrets.token_urlsafe(18))


def _keep(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_suffix(".new")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as output:
        output.write(text)
    aside.replace(file)
