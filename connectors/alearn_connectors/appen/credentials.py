"""The two secrets: the API key and the webhooks' token.

Invariant: a secret comes from the environment or from a file, and is shown by nothing: `repr`, `str`, formatting and
messages show asterisks.
"""

from __future__ import annotations

import os
from pathlib import Path

from alearn.errors import Refused

API_KEY, WEBHOOK_SECRET = "APPEN_API_KEY", "APPEN_WEBHOOK_SECRET"


class Secret:
    """A text that is not shown by accident; `reveal` is the only way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce__(self) -> str:
        raise TypeError("a secret is not written anywhere")

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def masked(self, words: str) -> str:
        """The words with asterisks where they hold the secret."""
        return words.replace(self._text, "***") if self._text else words


def api_key(file: str | None) -> Secret:
    """The API key; raises Refused when there is none."""
    found = _secret(API_KEY, "api_key_file", file)
    if not found:
        raise Refused(
            f"The environment variable {API_KEY} must hold an API key of Appen. Got none. Set it, or name a file that "
            "holds the key in `platform.options.api_key_file`."
        )
    text = found.reveal()
    if not (text.isascii() and text.isprintable()):
        raise Refused(
            "Appen's API key must be printable ASCII. Got other characters, not shown here. Copy it anew from your "
            "account's API page."
        )
    return found


def webhook_secret(file: str | None) -> Secret:
    """The webhooks' token; an empty Secret when there is none."""
    return _secret(WEBHOOK_SECRET, "webhook_secret_file", file)


def _secret(variable: str, option: str, file: str | None) -> Secret:
    if file is None:
        return Secret(os.environ.get(variable, "").strip())
    path = Path(file).expanduser()
    try:
        return Secret(path.read_text().strip())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "It is not text."
        raise Refused(
            f"`platform.options.{option}` must name a file that can be read. Got {file}: {reason} Correct it."
        ) from None
