"""Names and bytes from a local path or a URL; the only reader of files and of the network in `alearn.data`.

Local paths are read with the standard library, http(s) with httpx, all else with fsspec, whose packages are extras.
Invariant: every failure is a `DataError`; about one file, its text continues a sentence that begins with the name.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from alearn.data.items import Unreadable, printable_name
from alearn.errors import DataError

EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
    "adl": "azure",
}
"""URL scheme -> the extra of alearn that brings its package."""

_CLIENT_FAULTS = (
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("azure.core.exceptions", "AzureError"),
    ("aiohttp", "ClientError"),
)
_CHUNK = 1 << 20


def is_url(place: str) -> bool:
    """Whether a place is somewhere else than in the local file system."""
    return "://" in place and not place.startswith("file://")


def local_path(place: str) -> str:
    """The absolute path of a local place, which may be a file:// URL or begin with `~`."""
    if place.startswith("file://"):
        place = unquote(urlsplit(place).path)
    return os.path.abspath(os.path.expanduser(place))


def suffix(place: str) -> str:
    """The lower-case suffix of a path or URL, with its dot; a query string is no part of it."""
    return os.path.splitext(urlsplit(place).path if is_url(place) else place)[1].lower()


def beside(table: str, name: str) -> str:
    """A path or URL that is written in a table: relative ones are meant from the table's folder."""
    if is_url(name):
        return name
    if is_url(table) and not name.startswith(("file://", "~")):
        return f"{table.partition('?')[0].rpartition('/')[0]}/{name.lstrip('/')}"
    return local_path(name if name.startswith(("file://", "~")) else os.path.join(os.path.dirname(table), name))


def read_bytes(uri: str, *, max_bytes: int | None = None) -> bytes:
    """The content of a file.

    Raises:
        DataError: it is missing, empty, no file, above `max_bytes`, or cannot be read; the text continues "`uri` …".
    """
    if not is_url(uri):
        data = _read_local(local_path(uri), max_bytes)
    elif uri.startswith(("http://", "https://")):
        data = _read_http(uri, max_bytes)
    else:
        data = _read_remote(uri, max_bytes)
    if not data:
        raise DataError("is empty (0 bytes)")
    if max_bytes is not None and len(data) > max_bytes:
        raise DataError(_too_large(max_bytes))
    return data


def _too_large(max_bytes: int) -> str:
    return f"is larger than `items.max_mb` allows, {max_bytes / 1e6:g} MB"


def _read_local(path: str, max_bytes: int | None) -> bytes:
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise DataError("is not a file")
        if max_bytes is not None and found.st_size > max_bytes:
            raise DataError(_too_large(max_bytes))
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise DataError("does not exist") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise DataError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


@cache
def _client() -> Any:
    import httpx

    return httpx.Client(follow_redirects=True, timeout=30, transport=httpx.HTTPTransport(retries=2))


def _fetch(url: str, into: IO[bytes], max_bytes: int | None) -> None:
    import httpx

    try:
        with _client().stream("GET", url) as response:
            if response.is_error:
                raise DataError(f"cannot be fetched: the server answered {response.status_code}")
            for chunk in response.iter_bytes(_CHUNK):
                into.write(chunk)
                if max_bytes is not None and into.tell() > max_bytes:
                    raise DataError(_too_large(max_bytes))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DataError(f"cannot be fetched: {error or type(error).__name__}") from error


def _read_http(url: str, max_bytes: int | None) -> bytes:
    with tempfile.SpooledTemporaryFile(max_size=8 * _CHUNK) as file:
        _fetch(url, file, max_bytes)
        file.seek(0)
        return file.read()


def _faults() -> tuple[type[Exception], ...]:
    """What the storage packages raise. Some are not OSErrors, and can be named only once their package is there."""
    found = (getattr(sys.modules.get(module), name, None) for module, name in _CLIENT_FAULTS)
    return (OSError, ValueError, *(kind for kind in found if kind is not None))


def _remote(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path in it."""
    import fsspec

    scheme = url.partition("://")[0]
    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError:
        extra = EXTRAS.get(scheme)
        advice = f"Run pip install 'alearn[{extra}]'." if extra else f"Install fsspec's package for {scheme}."
        raise DataError(f"{url} needs a package that reads {scheme}:// URLs. It is not installed. {advice}") from None
    except ValueError as error:
        raise DataError(
            f"`items.path` may be a URL of a kind that fsspec reads. Got {scheme}://: {error}. Correct it."
        ) from error
    return system, str(path)


def _read_remote(url: str, max_bytes: int | None) -> bytes:
    system, path = _remote(url)
    try:
        with system.open(path, "rb") as file:
            data: bytes = file.read(-1 if max_bytes is None else max_bytes + 1)
            return data
    except FileNotFoundError:
        raise DataError("does not exist") from None
    except _faults() as error:
        raise DataError(f"cannot be read: {error}") from error


def open_binary(place: str) -> IO[bytes]:
    """A whole source file, open for reading from its start, seekable.

    Raises:
        DataError: it is missing or cannot be read.
    """
    try:
        if not is_url(place):
            return open(local_path(place), "rb")
        if place.startswith(("http://", "https://")):
            return _downloaded(place)
        system, path = _remote(place)
        file: IO[bytes] = system.open(path, "rb")
        return file
    except FileNotFoundError:
        raise DataError(f"`items.path` must be an existing file. Got {printable_name(place)}. Correct it.") from None
    except _faults() as error:
        raise DataError(
            f"{printable_name(place)} cannot be read: {error}. Correct the path or its permissions."
        ) from error


def _downloaded(url: str) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        _fetch(url, file, None)
    except DataError as error:
        file.close()
        raise DataError(f"{url} {error}. Correct `items.path` or try again later.") from error
    file.seek(0)
    return file


def is_folder(place: str) -> bool:
    """Whether there is a folder here; for an object store, whether anything is below this prefix."""
    if not is_url(place):
        return os.path.isdir(local_path(place))
    if place.startswith(("http://", "https://")):
        return False
    system, path = _remote(place)
    try:
        return bool(system.isdir(path))
    except _faults() as error:
        raise DataError(f"{place} cannot be looked at: {error}. Correct `items.path` or try again later.") from error


def walk(place: str, *, recursive: bool) -> Iterator[str | Unreadable]:
    """The files below a folder in the order of their names, one folder in memory at a time.

    What begins with a dot is passed over, and links to folders are not followed.
    """
    return _walk_remote(place, recursive) if is_url(place) else _walk_local(local_path(place), recursive)


def _walk_local(folder: str, recursive: bool) -> Iterator[str | Unreadable]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        yield Unreadable(printable_name(folder), f"cannot be listed: {error.strerror}")
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if not entry.is_dir(follow_symlinks=False):
            if not entry.is_dir():
                yield entry.path
        elif recursive:
            yield from _walk_local(entry.path, recursive)


def _walk_remote(folder: str, recursive: bool) -> Iterator[str | Unreadable]:
    system, path = _remote(folder)
    try:
        entries = sorted(system.ls(path, detail=True), key=lambda entry: entry["name"])
    except _faults() as error:
        yield Unreadable(folder, f"cannot be listed: {error}")
        return
    for entry in entries:
        name = entry["name"].rstrip("/")
        # Object stores list an empty object for the folder itself.
        if name.strip("/") == path.strip("/") or Path(name).name.startswith("."):
            continue
        url = str(system.unstrip_protocol(name))
        if entry["type"] != "directory":
            yield url
        elif recursive:
            yield from _walk_remote(url, recursive)
