"""What a task that people made shows: a text, or a picture brought here from wherever its URL leads.

A picture that Label Studio serves is fetched with our token, and only from the paths where it serves files; one on the
web without it, as `web` allows. Nothing else is followed. A picture that is not on the web is kept as a file, whole or
absent, named by its key.

Invariant: a key is the hash of what annotators see, as `alearn.core.keys` makes it of every item.
"""

from __future__ import annotations

import binascii
import io
import os
import struct
import zlib
from base64 import b64decode
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, unquote_to_bytes, urlsplit

import httpx

from alearn.core.keys import content_key
from alearn.errors import Unavailable
from alearn.platform import Found
from alearn_connectors.label_studio import convert, web
from alearn_connectors.label_studio.client import Client

LARGEST = 64_000_000
"""Bytes of a picture, and characters of a text."""

LONGEST = 60.0
"""Seconds that one picture may take that Label Studio serves; it may have to fetch it itself."""

SUFFIXES = {
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "PNG": ".png",
    "TIFF": ".tif",
    "WEBP": ".webp",
    "BMP": ".bmp",
    "DIB": ".bmp",
    "GIF": ".gif",
    "PPM": ".ppm",
    "JPEG2000": ".jp2",
    "AVIF": ".avif",
}
"""The formats that a loop reads, by the suffix that their files get."""

SERVED = ("/data/", "/storage-data/")
"""Where Label Studio serves files; a token must not be carried anywhere else by what stands in a task."""

# What Pillow's readers raise on damaged bytes.
_FAULTS = (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError, RuntimeError)
_FAULTS_TOO = (AttributeError, struct.error, zlib.error)


class Unadoptable(Exception):  # noqa: N818 - the event is the name
    """What cannot become an item; its text is the reason and what to do. `passing`: it may be otherwise later."""

    def __init__(self, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.passing = passing


class Contents(Protocol):
    """How the field of a task that the loop asks about becomes an item."""

    def begin(self) -> None:
        """A look at many begins."""
        ...

    def found(self, value: object) -> Found:
        """The item that it shows, which is there when this returns. Raises Unadoptable."""
        ...


class Texts:
    """Texts stand in the task itself."""

    def begin(self) -> None:
        """Nothing to forget."""

    def found(self, value: object) -> Found:
        """The text as it is, under the key that the loop's own source would give it."""
        if not isinstance(value, str):
            raise Unadoptable("they hold no text where it is expected. Delete them, or put one there")
        if reason := convert.unusable(value):
            raise Unadoptable(f"{reason}. Delete them, or correct it")
        if len(value) > LARGEST:
            raise Unadoptable(f"the text is longer than {LARGEST:,} characters. Delete them, or cut it")
        return Found(content_key(value.encode()), text=value)


@dataclass
class Pictures:
    """Pictures behind URLs. `bases` are the addresses of Label Studio itself; `folder` keeps what is not on the web."""

    client: Client
    bases: Collection[str]
    folder: Path
    _silent: set[str] = field(default_factory=set)

    def begin(self) -> None:
        """Servers that did not answer are asked once more from now on."""
        self._silent.clear()

    def found(self, value: object) -> Found:
        """The picture, by the hash of its bytes."""
        if not isinstance(value, str) or convert.unusable(value):
            raise Unadoptable("they hold no single URL where it is expected. Delete them, or put one there")
        try:
            scheme, own = urlsplit(value).scheme.lower(), self._own(value)
        except ValueError:
            raise Unadoptable("their URL cannot be read. Delete them, or correct it") from None
        if own is not None:
            return self._keep(self._served(own))
        if scheme == "data":
            return self._keep(_inline(value))
        if scheme not in {"http", "https"}:
            raise Unadoptable(
                f"a URL with {f'the scheme {scheme}:' if scheme else 'no scheme'} is not followed. Delete them, and "
                "add the pictures to the loop's items"
            )
        content = self._on_the_web(value)
        _suffix(content)
        return Found(content_key(content), uri=value)

    def _own(self, value: str) -> str | None:
        """The path, with its query, where Label Studio serves this; None when it is somebody else's."""
        for base in self.bases:
            parts, there = urlsplit(base), urlsplit(value)
            here = not there.scheme and not there.netloc and value.startswith("/")
            if not here and (there.scheme.lower(), there.netloc.lower()) != (parts.scheme, parts.netloc.lower()):
                continue
            path = there.path.removeprefix(parts.path.rstrip("/"))
            if not path.startswith(SERVED) or ".." in unquote(path).split("/"):
                raise Unadoptable("Label Studio serves no files where their URL leads. Delete them, or correct it")
            return f"{path}?{there.query}" if there.query else path
        return None

    def _served(self, path: str) -> bytes:
        """One file that does not come must not keep the loop from all else."""
        try:
            return _judged(*self.client.download(path, LARGEST, LONGEST), "Label Studio")
        except (Unavailable, TimeoutError):
            raise Unadoptable(
                "Label Studio does not bring the picture. They are looked at again later", passing=True
            ) from None

    def _on_the_web(self, url: str) -> bytes:
        host = urlsplit(url).netloc.rpartition("@")[2]
        silence = Unadoptable(f"{host} does not answer. They are looked at again later", passing=True)
        if host in self._silent:
            raise silence
        try:
            return _judged(*web.fetch(url, LARGEST, web.reach(urlsplit(self.client.url).hostname or "")), host)
        except httpx.InvalidURL:
            raise Unadoptable("their URL cannot be read. Delete them, or correct it") from None
        except web.Astray as why:
            raise Unadoptable(
                f"{host} {why}, which is not followed. Delete them, and add the pictures to the loop's items"
            ) from None
        except (httpx.RequestError, TimeoutError):
            self._silent.add(host)
            raise silence from None

    def _keep(self, content: bytes) -> Found:
        """Keep bytes as a file."""
        key, suffix = content_key(content), _suffix(content)
        path = (self.folder / f"{key}{suffix}").absolute()
        try:
            if not path.exists():
                _write(path, content)
        except OSError as error:
            raise Unadoptable(f"{self.folder} cannot be written: {error.strerror}. Mend it", passing=True) from error
        return Found(key, uri=str(path))


def _judged(status: int, content: bytes | None, who: str) -> bytes:
    """The content of a good answer."""
    if content is None:
        raise Unadoptable(f"the picture is larger than {LARGEST:,} bytes. Delete them, or make it smaller")
    if status in {408, 429} or status >= 500:
        raise Unadoptable(f"{who} answers {status} for the picture. They are looked at again later", passing=True)
    if not 200 <= status < 300:
        raise Unadoptable(f"{who} answers {status} for the picture. Delete them, or correct their URL")
    return content


def _inline(url: str) -> bytes:
    """What a data URI holds."""
    head, comma, body = url.partition(",")
    try:
        content = b64decode(unquote(body), validate=False) if head.endswith(";base64") else unquote_to_bytes(body)
    except (binascii.Error, ValueError):
        comma, content = "", b""
    if not comma:
        raise Unadoptable("their data URI cannot be read. Delete them, or correct it")
    return _judged(200, content if len(content) <= LARGEST else None, "It")


def _suffix(content: bytes) -> str:
    """The suffix for a picture's bytes. Damage further in is found by the loop, which puts the item aside."""
    from PIL import Image

    Image.init()
    try:
        with Image.open(io.BytesIO(content), formats=[kind for kind in SUFFIXES if kind in Image.OPEN]) as image:
            return SUFFIXES[str(image.format)]
    except (*_FAULTS, *_FAULTS_TOO, Image.DecompressionBombError) as error:
        raise Unadoptable("what their URL leads to is no picture. Delete them, or correct it") from error


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
