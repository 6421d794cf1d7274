"""What is shown of values that may hold a password.

Invariant: when in doubt, too much is hidden, never too little.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"

# A password may hold anything, spaces and @ included, so that in a value it ends at the last @. Among other words it
# cannot be told so well; there it ends with the word.
_IN_VALUE = re.compile(r"(://[^\s:/@]*:).*@", re.DOTALL)
_IN_TEXT = re.compile(r"(://[^\s:/@]*:)\S*@")
_IN_QUERY = re.compile(
    r"([?&;][\w.-]*(?:password|passwd|pwd|secret|token|signature|api_?key)[\w.-]*=|[?&;](?:sig|pass|key)=)[^&;\s'\"]+",
    re.IGNORECASE,
)
_KEY = re.compile(r"password|passwd|secret|token|api_?key", re.IGNORECASE)


def masked(value: Any) -> Any:
    """The value with the passwords in its URLs, however deep, and under keys such as `password`, as `***`."""
    if isinstance(value, str):
        return _IN_QUERY.sub(rf"\1{HIDDEN}", _IN_VALUE.sub(rf"\1{HIDDEN}@", value))
    if isinstance(value, Mapping):
        return {key: HIDDEN if _secret(key, inner) else masked(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(masked(inner) for inner in value)
    return value


def masked_text(text: str) -> str:
    """A sentence with the passwords in its URLs as `***`."""
    return _IN_QUERY.sub(rf"\1{HIDDEN}", _IN_TEXT.sub(rf"\1{HIDDEN}@", text))


def _secret(key: object, value: object) -> bool:
    return isinstance(value, str) and _KEY.fullmatch(str(key)) is not None
