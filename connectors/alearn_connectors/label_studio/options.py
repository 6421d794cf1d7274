"""What `platform.options` may say to this connector, checked before anything is sent.

Invariant: an `Options` that exists is valid, and no secret is in it: a token is named by the place where it lies.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from alearn.errors import ConfigError
from alearn.platform import Setting

ImageMode = Literal["auto", "local-files", "http"]


@dataclass(frozen=True)
class Options:
    """`platform.options` of a Label Studio loop.

    url: where alearn reaches Label Studio; None: the private server of `alearn label-studio up`.
    public_url: where people reach it, for links; None: the same.
    token_env: environment variable that holds the token (legacy or personal).
    token_file: a file that holds it instead.
    title: the project's title, 3 to 50 characters; None: made of the loop's name.
    question: one sentence above each item.
    instructions: shown to annotators before they begin; HTML.
    suggestions: whether annotators see the model's suggestion; a number in [0, 1]: where its confidence is at least so
        much. The order holds either way. A change shows with the next order of the queue.
    overlap: annotators per item, in [1, 100].
    skip: whether there is a skip button.
    images: how pictures reach the browser. `local-files`: Label Studio serves them from `media_root`, which it sees.
        `http`: alearn serves them while it runs. `auto`: `local-files` where a media root is known.
    media_root: Label Studio's LOCAL_FILES_DOCUMENT_ROOT as this machine sees it; None: the private server's.
    media_root_there: the same folder as Label Studio sees it (a container's mount); None: the same path.
    http_host, http_port: where the picture server of `images: http` listens.
    http_url: how browsers reach that server; None: http://HOST:PORT.
    webhook: whether Label Studio is asked to call `alearn serve` when somebody answers. Without it answers are found by
        looking from time to time.
    ml_backend: whether `alearn serve` also becomes the project's ML backend: a *Start Training* button, and *Retrieve
        predictions* for tasks that are not queued. The order does not depend on it.
    robots_real_time: whether robot annotators take the time that people would.
    """

    url: str | None = None
    public_url: str | None = None
    token_env: str = "LABEL_STUDIO_API_KEY"  # noqa: S105 - the name of one
    token_file: str | None = None
    title: str | None = None
    question: str = ""
    instructions: str = ""
    suggestions: bool | float = True
    overlap: int = 1
    skip: bool = True
    images: ImageMode = "auto"
    media_root: str | None = None
    media_root_there: str | None = None
    http_host: str = "127.0.0.1"
    http_port: int = 8899
    http_url: str | None = None
    webhook: bool = True
    ml_backend: bool = False
    robots_real_time: bool = False

    @property
    def suggests(self) -> bool:
        """Whether annotators see any suggestion."""
        return self.suggestions is not False

    @property
    def least_confidence(self) -> float:
        """The confidence from which on a suggestion is shown, in [0, 1]."""
        return 0.0 if isinstance(self.suggestions, bool) else float(self.suggestions)

    def title_of(self, loop: str) -> str:
        """The project's title; a long loop name is cut, and told from its like by a hash."""
        if self.title is not None:
            return self.title
        title = f"alearn {loop}"
        return title if len(title) <= 50 else f"{title[:41]}-{hashlib.sha256(loop.encode()).hexdigest()[:8]}"


Check = Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_printable(value: Any) -> bool:
    return isinstance(value, str) and " ".join(value.split()).isprintable()


def _is_url(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    parts = urlsplit(value)
    return parts.scheme in {"http", "https"} and bool(parts.netloc) and not parts.query and not parts.fragment


def _is_title(value: Any) -> bool:
    return isinstance(value, str) and 3 <= len(value.strip()) <= 50 and value == value.strip()


def _is_variable(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z_]\w*", value) is not None


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_suggestions(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, int | float) and 0 <= value <= 1)


def _is_whole(low: int, high: int) -> Check:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


_URL = ("an http(s) URL without a query", _is_url)
_TEXT = ("text", _is_text)
_FLAG = ("true or false", _is_flag)
_ALLOWED: Mapping[str, tuple[str, Check]] = {
    "url": _URL,
    "public_url": _URL,
    "token_env": ("the name of an environment variable", _is_variable),
    "token_file": _TEXT,
    "title": ("3 to 50 characters", _is_title),
    "question": ("printable text", _is_printable),
    "instructions": _TEXT,
    "suggestions": ("true, false, or the least confidence in [0, 1]", _is_suggestions),
    "overlap": ("an integer in [1, 100]", _is_whole(1, 100)),
    "skip": _FLAG,
    "images": (f"one of {', '.join(get_args(ImageMode))}", get_args(ImageMode).__contains__),
    "media_root": _TEXT,
    "media_root_there": _TEXT,
    "http_host": _TEXT,
    "http_port": ("an integer in [1, 65535]", _is_whole(1, 65535)),
    "http_url": _URL,
    "webhook": _FLAG,
    "ml_backend": _FLAG,
    "robots_real_time": _FLAG,
}


def read_options(setting: Setting) -> Options:
    """The options of a loop.

    Raises:
        ConfigError: an unknown key, or a value of the wrong kind or out of range.
    """
    known = {field.name: field.default for field in fields(Options)}
    for key, value in setting.options.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            meant = f" Did you mean `{near[0]}`?" if near else f" Known are {', '.join(known)}."
            raise ConfigError(
                f"`platform.options.{key}` of loop {setting.loop} is not an option of label-studio.{meant} Correct it."
            )
        allowed, sound = _ALLOWED[key]
        if not (sound(value) or (value is None and known[key] is None)):
            raise ConfigError(
                f"`platform.options.{key}` of loop {setting.loop} must be {allowed}. Got {value!r}. "
                f"{_remedy(known[key])}"
            )
    given = {
        str(key): value.rstrip("/") if key.endswith("url") and value else value
        for key, value in setting.options.items()
    }
    return _consistent(Options(**given), setting)


def _remedy(default: Any) -> str:
    return "Correct it, or remove the line." if default is None else f"Remove the line for the default, {default!r}."


def _consistent(options: Options, setting: Setting) -> Options:
    """The options, when they agree with each other and with what is labeled."""
    if setting.data == "image" and options.images == "local-files" and options.url and not options.media_root:
        raise ConfigError(
            f"`platform.options.images` of loop {setting.loop} is local-files, which needs "
            "`platform.options.media_root` for a Label Studio of your own. Got none. Set it to Label Studio's "
            "LOCAL_FILES_DOCUMENT_ROOT, or use http."
        )
    if options.media_root_there and not options.media_root:
        raise ConfigError(
            f"`platform.options.media_root_there` of loop {setting.loop} says how Label Studio sees "
            "`platform.options.media_root`. Got no media_root. Add it."
        )
    return options


def as_path(text: str) -> Path:
    """A path as a person writes it: `~` is filled in, and it is made absolute."""
    return Path(text).expanduser().absolute()
