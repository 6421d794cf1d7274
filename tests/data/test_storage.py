"""Bytes from local paths, file URLs and web servers, with one kind of error."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from alearn.config import ItemSpec
from alearn.data import read_bytes, read_items
from alearn.data.storage import beside, is_url, suffix
from alearn.errors import DataError


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A web server of a folder that prints nothing."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The URL under which tmp_path is served."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_web_address_is_read(web: str, tmp_path: Path) -> None:
    """Whole files; what is missing, empty or too large is told."""
    (tmp_path / "a.bin").write_bytes(b"x" * 3000)
    (tmp_path / "empty.bin").touch()
    assert read_bytes(f"{web}/a.bin") == b"x" * 3000
    for name, limit, words in (("none.bin", None, "404"), ("empty.bin", None, "empty"), ("a.bin", 100, "max_mb")):
        with pytest.raises(DataError, match=words):
            read_bytes(f"{web}/{name}", max_bytes=limit)


def test_a_server_that_does_not_answer_is_told(web: str) -> None:
    """A connection that is refused is a reason like others."""
    with pytest.raises(DataError, match="cannot be fetched"):
        read_bytes("http://127.0.0.1:9/a.bin")


def test_a_table_on_a_web_server_names_images_beside_it(
    web: str, tmp_path: Path, encoded: Callable[..., bytes]
) -> None:
    """Relative names are URLs beside the table's."""
    (tmp_path / "a.png").write_bytes(encoded())
    (tmp_path / "t.csv").write_text("image\na.png\nnone.png\n")
    good, bad = read_items(ItemSpec(path=f"{web}/t.csv"), "image", tmp_path)
    assert good.uri == f"{web}/a.png"
    assert "404" in bad.reason


def test_a_file_url_and_a_home_folder_are_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """file:///x%20y and ~/x y are the same file."""
    (tmp_path / "x y").write_bytes(b"z")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_bytes(f"file://{tmp_path}/x%20y") == read_bytes("~/x y") == b"z"


@pytest.mark.parametrize(
    ("table", "name", "expected"),
    [
        ("/data/t.csv", "a.png", "/data/a.png"),
        ("/data/t.csv", "../a.png", "/a.png"),
        ("/data/t.csv", "/b/a.png", "/b/a.png"),
        ("/data/t.csv", "s3://b/a.png", "s3://b/a.png"),
        ("s3://b/c/t.csv", "x/a.png", "s3://b/c/x/a.png"),
        ("https://h/t.csv?v=1/2", "a.png", "https://h/a.png"),
    ],
)
def test_names_in_a_table_are_meant_from_where_it_is(table: str, name: str, expected: str) -> None:
    """Local tables name local files, remote tables remote ones."""
    assert beside(table, name) == expected


def test_a_query_is_no_part_of_a_suffix() -> None:
    """Signed URLs end in anything."""
    assert suffix("https://h/t.CSV?sig=a.b/c") == ".csv"
    assert not is_url("file:///a")
