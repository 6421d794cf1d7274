"""Bytes from local paths, file URLs and web servers, with one kind of error."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest

from alearn.config import ItemSpec
from alearn.data import Unreadable, read_bytes, read_image, read_items, storage
from alearn.data.storage import beside, is_url, suffix
from alearn.errors import DataError, Unreachable


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A web server of a folder that prints nothing.

    /status/503/a.png is answered with that status, /hiccup/a.png with 503 the first time, /cut/a.png in part.
    """

    seen: ClassVar[set[str]] = set()

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        _, kind, rest = self.path.split("/", 2) if self.path.count("/") > 1 else ("", "", "")
        if kind == "status":
            self.send_error(int(rest.partition("/")[0]))
        elif kind == "hiccup" and self.path not in self.seen:
            self.seen.add(self.path)
            self.send_error(503)
        elif kind == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x" * 10)
        else:
            self.path = f"/{rest}" if kind == "hiccup" else self.path
            super().do_GET()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers are asked again without a pause."""
    monkeypatch.setattr(storage, "PAUSES", (0.0, 0.0))


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The URL under which tmp_path is served."""
    Quiet.seen.clear()
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


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/a.bin", "http://no-such-host.invalid/a.bin"])
def test_a_server_that_does_not_answer_is_unreachable(address: str) -> None:
    """A refused connection and a name that nobody knows say nothing of the item; the message says what to do."""
    with pytest.raises(Unreachable, match=rf"{address} cannot be reached now: .*Run the same command again"):
        read_bytes(address)
    with pytest.raises(Unreachable, match=rf"^The storage .*{address}"):
        read_image(address)


@pytest.mark.parametrize("status", [401, 408, 429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_unreachable(web: str, status: int) -> None:
    """Its answer is about the server or the moment."""
    with pytest.raises(Unreachable, match=f"answered {status}"):
        read_bytes(f"{web}/status/{status}/a.png")


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_a_refused_file_is_a_bad_item(web: str, status: int) -> None:
    """The server is well and says no to this one."""
    with pytest.raises(DataError, match=f"^cannot be fetched: .*{status}") as caught:
        read_bytes(f"{web}/status/{status}/a.png")
    assert not isinstance(caught.value, Unreachable)


def test_an_answer_that_is_cut_short_is_unreachable(web: str) -> None:
    """Half a file is not taken for a damaged one."""
    with pytest.raises(Unreachable):
        read_bytes(f"{web}/cut/a.png")


def test_a_hiccup_is_tried_again(web: str, tmp_path: Path) -> None:
    """One 503 among many answers stops nothing."""
    (tmp_path / "a.bin").write_bytes(b"xyz")
    assert read_bytes(f"{web}/hiccup/a.bin") == b"xyz"


@pytest.mark.parametrize("address", ["http://[::1/a.png", "http:///a.png"])
def test_an_address_that_is_none_is_a_bad_item(address: str) -> None:
    """It will never answer."""
    with pytest.raises(DataError, match="cannot be fetched") as caught:
        read_bytes(address)
    assert not isinstance(caught.value, Unreachable)


def test_a_missing_file_is_bad_and_a_missing_folder_is_unreachable(tmp_path: Path) -> None:
    """A drive that is not mounted takes its folders with it; a link counts by where it leads."""
    (tmp_path / "near").symlink_to(tmp_path / "none.png")
    (tmp_path / "far").symlink_to(tmp_path / "drive/none.png")
    (tmp_path / "round").symlink_to("round")
    for name in ("none.png", "near", "round"):
        with pytest.raises(DataError) as caught:
            read_bytes(str(tmp_path / name))
        assert not isinstance(caught.value, Unreachable)
    for name in ("drive/none.png", "far"):
        with pytest.raises(Unreachable, match=r"no folder .*/drive; is its drive mounted\?"):
            read_bytes(str(tmp_path / name))


BROKEN = Path("/proc/self/mem")  # a regular file whose first byte cannot be read: EIO


@pytest.mark.skipif(not BROKEN.exists(), reason="needs Linux")
@pytest.mark.parametrize("kind", ["image", "text"])
def test_a_drive_that_fails_is_unreachable(tmp_path: Path, kind: str) -> None:
    """For a file, for a folder of files, and for a table that is being read."""
    with pytest.raises(Unreachable, match="Input/output error"):
        read_bytes(str(BROKEN))
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / ("a.png" if kind == "image" else "a.txt")).symlink_to(BROKEN)
    for name in ("t.csv", "t.jsonl"):
        (tmp_path / name).symlink_to(BROKEN)
    for name in ("source", "t.csv", "t.jsonl"):
        with pytest.raises(Unreachable, match="Input/output error"):
            list(read_items(ItemSpec(path=str(tmp_path / name)), kind, tmp_path))  # type: ignore[arg-type]


def test_an_outage_makes_nothing_unreadable(web: str, tmp_path: Path, encoded: Callable[..., bytes]) -> None:
    """Neither a table's images nor the table itself; what is really bad is still told."""
    (tmp_path / "a.png").write_bytes(encoded())
    rows = {"table.csv": "a.png\nstatus/503/b.png", "sound.csv": "a.png\nstatus/410/b.png"}
    for name, lines in rows.items():
        (tmp_path / name).write_text(f"image\n{lines}\n")
    good, bad = read_items(ItemSpec(path=f"{web}/sound.csv"), "image", tmp_path)
    assert isinstance(bad, Unreadable)
    stream = read_items(ItemSpec(path=f"{web}/table.csv"), "image", tmp_path)
    assert next(stream) == good
    with pytest.raises(Unreachable, match="503"):
        list(stream)
    with pytest.raises(Unreachable, match="503"):
        list(read_items(ItemSpec(path=f"{web}/status/503/t.csv"), "image", tmp_path))


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
