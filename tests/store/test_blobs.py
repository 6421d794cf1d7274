"""Files named by what is in them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from alearn.errors import StoreError
from alearn.store import Blobs


def test_a_blob_comes_back_as_it_was_put(tmp_path: Path) -> None:
    """The same content is kept once."""
    blobs = Blobs(tmp_path)
    digest = blobs.put(b"weights")
    assert blobs.put(b"weights") == digest
    assert blobs.get(digest) == b"weights"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [blobs.path(digest)]


def test_a_damaged_or_missing_blob_is_noticed(tmp_path: Path) -> None:
    """Content that does not match its name is never used."""
    blobs = Blobs(tmp_path)
    digest = blobs.put(b"weights")
    blobs.path(digest).write_bytes(b"weird")
    with pytest.raises(StoreError, match="damaged"):
        blobs.get(digest)
    blobs.path(digest).unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        blobs.get(digest)


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    """Writing more than fits is one sentence, and no file, whole or part, is left."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(mounted)], check=False).returncode:
        _full_by_limit(mounted)
        return
    try:
        with pytest.raises(StoreError, match="disk is full"):
            Blobs(mounted).put(b"x" * 1_000_000)
        assert [path for path in mounted.rglob("*") if path.is_file()] == []
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


def _full_by_limit(folder: Path) -> None:
    """Where nothing may be mounted: a limit on the size of files fails the write in the same place."""
    code = (
        "import resource, signal, sys, pathlib\n"
        "from alearn.store import Blobs\n"
        "from alearn.errors import StoreError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: Blobs(pathlib.Path(sys.argv[1])).put(b'x' * 1_000_000)\n"
        "except StoreError: sys.exit(0)\n"
        "sys.exit(1)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(folder)], check=False).returncode == 0
    assert [path for path in folder.rglob("*") if path.is_file()] == []
