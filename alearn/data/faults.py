"""What a failure of item storage means: something is wrong with the item, or the storage is away.

Invariant: an item is given up only for a fault of its own. A fault of the drive, the network, the server or this
process is `Unreachable`: it stops the work, which can go on later.
"""

from __future__ import annotations

import errno
import os
import socket
import sys

from alearn.data.items import printable_name
from alearn.errors import DataError, Unreachable

_AWAY = frozenset(
    getattr(errno, name)
    for name in (
        *("EIO", "ESTALE", "ENOTCONN", "ETIMEDOUT", "EREMOTEIO", "ENODEV", "ENXIO", "EBUSY", "EAGAIN", "ESHUTDOWN"),
        *("ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "EPIPE", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN"),
        *("ENETUNREACH", "ENETRESET", "EMFILE", "ENFILE", "ENOMEM"),
    )
    if hasattr(errno, name)
)
"""What a drive, a network or a process says when it cannot, whichever file it is asked for."""

_LATER = frozenset({401, 407, 408, 425, 429})
"""HTTP answers that speak of the asker or of the moment, not of the item; so does every 5xx."""

_CLIENTS = (
    ("httpx", "HTTPError"),
    ("httpx", "InvalidURL"),
    ("requests.exceptions", "RequestException"),
    ("aiohttp", "ClientError"),
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("gcsfs.retry", "HttpError"),
    ("azure.core.exceptions", "AzureError"),
)
_CLIENTS_OWN = (
    ("httpx", "UnsupportedProtocol"),
    ("httpx", "LocalProtocolError"),
    ("httpx", "TooManyRedirects"),
    ("httpx", "DecodingError"),
    ("httpx", "InvalidURL"),
    ("botocore.exceptions", "ParamValidationError"),
)
"""Of those: a request that can never be made, or an answer that can never be read."""


def faults() -> tuple[type[Exception], ...]:
    """What reading from anywhere raises; ValueError: a name that cannot be one, such as one with a NUL."""
    return (OSError, ValueError, *_loaded(_CLIENTS))


def io_faults() -> tuple[type[Exception], ...]:
    """What reading on in an open file raises."""
    return (OSError, *_loaded(_CLIENTS))


def _loaded(names: tuple[tuple[str, str], ...]) -> tuple[type[Exception], ...]:
    """Some are not OSErrors, and they can be named only once their package has been imported."""
    found = (getattr(sys.modules.get(module), name, None) for module, name in names)
    return tuple(kind for kind in found if kind is not None)


def failure(name: str, error: Exception, text: str) -> DataError:
    """The error to raise for a fault: `text`, or `Unreachable` with a whole message where the storage is away."""
    return unreachable(name, reason(error)) if is_away(error) else DataError(text)


def unreachable(name: str, why: str) -> Unreachable:
    """The error for a path or URL that does not answer now."""
    return Unreachable(
        f"The storage of the items must answer. {printable_name(name)} cannot be reached now: {why}. "
        "Run the same command again when it can; nothing is lost."
    )


def reason(error: Exception) -> str:
    """What an exception says, in one line."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(said.split()) or type(error).__name__


def is_away(error: Exception) -> bool:
    """Whether a fault is the storage's, and may be over later."""
    if isinstance(error, _loaded(_CLIENTS_OWN)):
        return False
    if (status := _status(error)) is not None:
        return later(status)
    if isinstance(error, TimeoutError | ConnectionError | socket.gaierror):
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _AWAY
    # What is left of the clients' own errors: no connection, no credentials.
    return isinstance(error, _loaded(_CLIENTS)) and not isinstance(error, ValueError)


def later(status: int) -> bool:
    """Whether a server that answers this may answer otherwise later."""
    return status >= 500 or status in _LATER


def _status(error: Exception) -> int | None:
    """The HTTP status that a client's error carries."""
    if not isinstance(error, _loaded(_CLIENTS)):
        return None
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore's
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        places = ((error, "status_code"), (error, "status"), (error, "code"), (response, "status_code"))
        found = next((value for at, name in places if isinstance(value := getattr(at, name, None), int)), None)
    return found if isinstance(found, int) else None


def drive_is_gone(path: str) -> bool:
    """Whether not even the folder of a missing file is there, as when a drive is not mounted; links are followed."""
    return not os.path.isdir(os.path.dirname(os.path.realpath(path)))
