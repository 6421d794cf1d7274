"""Names and bytes from a local path or a URL; the only reader of files and of the network in `alearn.data`.

Local paths are read with the standard library, http(s) with httpx, all else with fsspec, whose packages are extras.
Invariant: every failure is a `DataError`; about one file, its text continues a sentence that begins with the name. It
is `Unreachable`, with a whole message, where the storage is at fault and not the file (`faults.py`).
"""

from __future__ import annotations

import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from alearn.data.faults import drive_is_gone, failure, faults, io_faults, is_away, later, reason, unreachable
from alearn.data.items import Unreadable, printable_name
from alearn.errors import DataError, Unreachable

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

PAUSES = (0.5, 2.0)
"""Seconds before a web server that does not answer, or not now, is asked again; after the last it is unreachable."""

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
        Unreachable: its drive, server or network does not answer now.
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
        raise _missing(path) from None
    except faults() as error:
        raise failure(path, error, f"cannot be read: {reason(error)}") from error


def _missing(path: str) -> DataError:
    if drive_is_gone(path):
        folder = os.path.dirname(os.path.realpath(path))
        return unreachable(path, f"there is no folder {printable_name(folder)}; is its drive mounted?")
    return DataError("does not exist")


@cache
def _client() -> Any:
    import httpx

    return httpx.Client(follow_redirects=True, timeout=30, transport=httpx.HTTPTransport())


def _fetch(url: str, into: IO[bytes], max_bytes: int | None) -> None:
    """Download; what may be a hiccup is tried again."""
    for pause in PAUSES:
        try:
            return _fetch_once(url, into, max_bytes)
        except Unreachable:
            time.sleep(pause)
            into.seek(0)
            into.truncate()
    return _fetch_once(url, into, max_bytes)


def _fetch_once(url: str, into: IO[bytes], max_bytes: int | None) -> None:
    try:
        with _client().stream("GET", url) as response:
            if response.is_error:
                raise _refusal(url, response.status_code)
            for chunk in response.iter_bytes(_CHUNK):
                into.write(chunk)
                if max_bytes is not None and into.tell() > max_bytes:
                    raise DataError(_too_large(max_bytes))
    except faults() as error:
        raise failure(url, error, f"cannot be fetched: {reason(error)}") from error


def _refusal(url: str, status: int) -> DataError:
    said = f"the server answered {status}"
    return unreachable(url, said) if later(status) else DataError(f"cannot be fetched: {said}")


def _read_http(url: str, max_bytes: int | None) -> bytes:
    with tempfile.SpooledTemporaryFile(max_size=8 * _CHUNK) as file:
        _fetch(url, file, max_bytes)
        file.seek(0)
        return file.read()


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
    except faults() as error:
        raise failure(url, error, f"cannot be read: {reason(error)}") from error


def open_binary(place: str) -> IO[bytes]:
    """A whole source file, open for reading from its start, seekable.

    Raises:
        DataError: it is missing or cannot be read.
        Unreachable: its drive, server or network does not answer now.
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
    except faults() as error:
        what = f"{printable_name(place)} cannot be read: {reason(error)}. Correct the path or its permissions."
        raise failure(place, error, what) from error


@contextmanager
def reading(place: str) -> Iterator[None]:
    """Turn what goes wrong while an open source file is read on into a `DataError` about it."""
    try:
        yield
    except io_faults() as error:
        raise failure(place, error, f"{printable_name(place)} cannot be read: {reason(error)}. Mend it.") from error


def _downloaded(url: str) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        _fetch(url, file, None)
    except Unreachable:
        file.close()
        raise
    except DataError as error:
        file.close()
        raise DataError(f"{url} {error}. Correct `items.path`.") from error
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
    except faults() as error:
        raise failure(place, error, f"{place} cannot be looked at: {reason(error)}. Correct `items.path`.") from error


def walk(place: str, *, recursive: bool) -> Iterator[str | Unreadable]:
    """The files below a folder in the order of their names, one folder in memory at a time.

    What begins with a dot is passed over, and links to folders are not followed.

    Raises:
        Unreachable: a folder's drive, server or network does not answer now.
    """
    return _walk_remote(place, recursive) if is_url(place) else _walk_local(local_path(place), recursive)


def _walk_local(folder: str, recursive: bool) -> Iterator[str | Unreadable]:
    try:
        with os.scandir(folder) as found:
            entries = sorted((one.name, one.path, one.is_dir(follow_symlinks=False)) for one in found)
    except OSError as error:
        if is_away(error) or drive_is_gone(folder):
            raise unreachable(folder, reason(error)) from error
        yield Unreadable(printable_name(folder), f"cannot be listed: {reason(error)}")
        return
    for name, path, is_dir in entries:
        if name.startswith("."):
            continue
        if not is_dir:
            if not os.path.isdir(path):
                yield path
        elif recursive:
            yield from _walk_local(path, recursive)


def _walk_remote(folder: str, recursive: bool) -> Iterator[str | Unreadable]:
    system, path = _remote(folder)
    try:
        entries = sorted(system.ls(path, detail=True), key=lambda entry: entry["name"])
    except faults() as error:
        if is_away(error):
            raise unreachable(folder, reason(error)) from error
        yield Unreadable(folder, f"cannot be listed: {reason(error)}")
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
