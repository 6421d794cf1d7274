"""Files named by the hash of what is in them.

Invariant: a file that has its final name is whole; it was written aside, flushed to the disk and renamed. After a power
cut a file may be missing; what is missing is made again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
from pathlib import Path

from alearn.errors import StoreError


class Blobs:
    """A folder of content-addressed files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        """Where the blob with this SHA-256 is, or would be."""
        return self.folder / digest[:2] / digest

    def __contains__(self, digest: str) -> bool:
        return self.path(digest).is_file()

    def put(self, content: bytes) -> str:
        """Keep the content; returns its SHA-256 in hexadecimal. Doing it twice is doing it once.

        Raises:
            StoreError: the disk is full or the folder cannot be written; nothing half-written is left.
        """
        digest = hashlib.sha256(content).hexdigest()
        if not self.path(digest).exists():
            write_whole(self.path(digest), content)
        return digest

    def get(self, digest: str) -> bytes:
        """The content of a blob.

        Raises:
            StoreError: the blob is missing, or is not what its name says.
        """
        try:
            content = self.path(digest).read_bytes()
        except OSError as error:
            raise StoreError(
                f"Blob {digest[:12]} in {self.folder} cannot be read: {error.strerror}. Run again: it is made anew."
            ) from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise StoreError(
                f"Blob {digest[:12]} must be what its name says. Got a damaged file. "
                f"Delete {self.path(digest)} and run again: it is made anew."
            )
        return content


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole, or not at all, whenever the process or the machine stops.

    Raises:
        StoreError: the disk is full or the folder cannot be written.
    """
    aside: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".aside-")
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(aside, path)
    except OSError as error:
        if aside is not None:
            with contextlib.suppress(OSError):
                os.unlink(aside)
        raise StoreError(
            f"{path} cannot be written: {_cause(error)}. Free space or correct the folder, then run again."
        ) from error


def _cause(error: OSError) -> str:
    return "the disk is full" if error.errno in {errno.ENOSPC, errno.EDQUOT} else str(error.strerror or error)
