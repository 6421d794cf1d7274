"""What `platform.options` may say to this connector, checked before anything is sent.

Invariant: an `Options` that exists is valid, and no secret is in it.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from alearn.errors import ConfigError
from alearn.platform import Setting
from alearn_connectors.appen.budget import Terms

Api = Literal["v1", "v3"]
Channel = Literal["on_demand", "cf_internal"]


@dataclass(frozen=True)
class Options:
    """`platform.options` of an Appen loop.

    api: `v1` for jobs, `v3` for projects with jobs in them.
    url: where the API answers; https://api.eu.appen.com for accounts in Europe.
    api_key_file: a file that holds the API key, instead of the environment variable APPEN_API_KEY.
    webhook_secret_file: a file that holds the webhooks' token, instead of APPEN_WEBHOOK_SECRET.
    team, project: their ids, for `v3`; without a project, one is created.
    job: the id of a job of your own, whose settings are left as they are; None: one is created.
    template: the id of a job to copy; None: the job is made from what is below.
    title: the job's title, 3 to 100 characters; None: made of the loop's name.
    question: one sentence above each item.
    instructions: shown to contributors before they begin; HTML.
    field: the name of the question in the job's CML.
    skip: whether contributors may say that they cannot tell.
    judgments: how many contributors judge each row.
    max_judgments: with `confidence`, the most that judge a row which stays unsure; None: `judgments`.
    confidence: judgments are collected until the answer has this share of the trust; None: no such rule.
    rows_per_page: rows on a contributor's page.
    payment_cents: what a contributor gets for a page, in US cents.
    fee: what Appen adds to that, as a share.
    cap_cents: what all rows of the loop may cost, in US cents; None: nothing is ever launched, a person does that.
    channel: who works: `on_demand`, Appen's crowd; `cf_internal`, your own people.
    gold: the share of the items with a known answer that become test questions, in [0, 1].
    reject_at: contributors below this share of right test questions, in percent, are removed; None: Appen's default.
    media_root, media_url: pictures under the folder are reached by contributors under the URL.
    timeout_seconds: how long an answer may take.
    poll_seconds: pause between two looks at something that takes its time there.
    settle_seconds: how long a call whose answer was lost may still be at work there.
    """

    api: Api = "v1"
    url: str = "https://api.appen.com"
    api_key_file: str | None = None
    webhook_secret_file: str | None = None
    team: str | None = None
    project: str | None = None
    job: str | None = None
    template: str | None = None
    title: str | None = None
    question: str = "What is it?"
    instructions: str = ""
    field: str = "answer"
    skip: bool = True
    judgments: int = 3
    max_judgments: int | None = None
    confidence: float | None = None
    rows_per_page: int = 5
    payment_cents: int | None = None
    fee: float = 0.2
    cap_cents: int | None = None
    channel: Channel = "on_demand"
    gold: float = 0.0
    reject_at: int | None = None
    media_root: str | None = None
    media_url: str | None = None
    timeout_seconds: float = 60.0
    poll_seconds: float = 2.0
    settle_seconds: float = 60.0

    def title_of(self, loop: str) -> str:
        """The job's title; a long loop name is cut, and told from its like by a hash."""
        if self.title is not None:
            return self.title
        title = f"alearn {loop}"
        return title if len(title) <= 80 else f"{title[:71]}-{hashlib.sha256(loop.encode()).hexdigest()[:8]}"

    @property
    def terms(self) -> Terms:
        """What a row costs by this config."""
        most = max(self.judgments, self.max_judgments or 0)
        return Terms(self.payment_cents, self.rows_per_page, most, self.fee, self.gold > 0)


Check = Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_printable(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and " ".join(value.split()).isprintable()


def _is_url(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    return bool(parts.scheme in {"http", "https"} and parts.hostname and port != 0) and not (
        parts.query or parts.fragment or parts.username or parts.password
    )


def _matches(pattern: str) -> Check:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_whole(low: int, high: int) -> Check:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_number(low: float, high: float) -> Check:
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


_URL = ("an http(s) URL without a query, a user or a password", _is_url)
_TEXT = ("text", _is_text)
_FLAG = ("true or false", _is_flag)
_ID = ("an id: letters, digits and hyphens", _matches(r"[A-Za-z0-9-]{1,64}"))
_ALLOWED: Mapping[str, tuple[str, Check]] = {
    "api": (f"one of {', '.join(get_args(Api))}", get_args(Api).__contains__),
    "url": _URL,
    "api_key_file": _TEXT,
    "webhook_secret_file": _TEXT,
    "team": _ID,
    "project": _ID,
    "job": _ID,
    "template": _ID,
    "title": ("3 to 100 printable characters", lambda value: _is_printable(value) and 3 <= len(value) <= 100),
    "question": ("printable text", _is_printable),
    "instructions": _TEXT,
    "field": ("lower-case letters, digits and underscores", _matches(r"[a-z][a-z0-9_]{0,39}")),
    "skip": _FLAG,
    "judgments": ("an integer in [1, 100]", _is_whole(1, 100)),
    "max_judgments": ("an integer in [1, 100]", _is_whole(1, 100)),
    "confidence": ("a number in [0, 1]", _is_number(0, 1)),
    "rows_per_page": ("an integer in [1, 100]", _is_whole(1, 100)),
    "payment_cents": ("an integer in [0, 10000]", _is_whole(0, 10_000)),
    "fee": ("a number in [0, 5]", _is_number(0, 5)),
    "cap_cents": ("a whole number of US cents of at least 0", _is_whole(0, 10**12)),
    "channel": (f"one of {', '.join(get_args(Channel))}", get_args(Channel).__contains__),
    "gold": ("a number in [0, 1]", _is_number(0, 1)),
    "reject_at": ("an integer in [0, 100]", _is_whole(0, 100)),
    "media_root": _TEXT,
    "media_url": _URL,
    "timeout_seconds": ("a number in [0.1, 3600]", _is_number(0.1, 3600)),
    "poll_seconds": ("a number in [0.01, 60]", _is_number(0.01, 60)),
    "settle_seconds": ("a number in [0, 3600]", _is_number(0, 3600)),
}
_IDS = ("team", "project", "job", "template")
"""YAML reads a job's number as one; ids are texts here."""


def read_options(setting: Setting) -> Options:
    """The options of a loop.

    Raises:
        ConfigError: an unknown key, a value of the wrong kind or out of range, or two that contradict each other.
    """
    known = {field.name: field.default for field in fields(Options)}
    given: dict[str, Any] = {}
    for key, value in setting.options.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            meant = f" Did you mean `{near[0]}`?" if near else f" Known are {', '.join(known)}."
            raise ConfigError(
                f"`platform.options.{key}` of loop {setting.loop} is not an option of appen.{meant} Correct it."
            )
        given[key] = _sound(setting.loop, key, value, known[key])
    return _consistent(Options(**given), setting.loop)


def _sound(loop: str, key: str, value: Any, default: Any) -> Any:
    if key in _IDS and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    allowed, sound = _ALLOWED[key]
    if not (sound(value) or (value is None and default is None)):
        remedy = (
            "Correct it, or remove the line." if default is None else f"Remove the line for the default, {default}."
        )
        raise ConfigError(f"`platform.options.{key}` of loop {loop} must be {allowed}. Got {value!r}. {remedy}")
    return value.rstrip("/") if key in {"url", "media_url"} and value else value


def _consistent(options: Options, loop: str) -> Options:
    """The options, when they agree with each other."""
    for wrong, words in (
        (options.api == "v3" and options.team is None, "team` is needed with `api: v3`. Got none. Add your team's id"),
        (
            options.cap_cents is not None and options.payment_cents is None,
            "payment_cents` is needed with `cap_cents`, or nobody knows what a row costs. Got none. Add it",
        ),
        (
            options.job is not None and options.api == "v3" and options.project is None,
            "project` is needed with `job` and `api: v3`. Got none. Add the id of the job's project",
        ),
        (
            options.job is not None and options.template is not None,
            "template` is of no use with `job`, which exists already. Got both. Remove one",
        ),
        (
            (options.max_judgments or options.judgments) < options.judgments,
            f"max_judgments` must be at least `judgments`, {options.judgments}. Got {options.max_judgments}. Raise it",
        ),
        (
            (options.media_root is None) != (options.media_url is None),
            "media_root` and `media_url` belong together. Got one of them. Add the other",
        ),
    ):
        if wrong:
            raise ConfigError(f"For loop {loop}, `platform.options.{words}.")
    return options
