"""How pictures reach the browser: laid under a media root, or served from here."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import httpx
import pytest
from PIL import Image

from alearn.errors import Refused
from alearn.platform import Task
from alearn_connectors.label_studio.client import Client
from alearn_connectors.label_studio.media import LocalFiles, Text, Unshowable
from alearn_connectors.label_studio.serving import Served

KEY = "ab" * 16
NOBODY = Client("http://127.0.0.1:1", "x")


@pytest.fixture
def png(tmp_path: Path) -> Path:
    path = tmp_path / "source" / "a picture.PNG"
    path.parent.mkdir()
    Image.new("RGB", (4, 3), "red").save(path)
    return path


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Served("127.0.0.1", port, None, tmp_path / "pictures.jsonl")
    server.attach(NOBODY, 1)
    yield server
    server.close()


class TestText:
    def test_stands_in_the_task(self) -> None:
        """Nothing has to be served."""
        assert Text().shown(Task(KEY, text="hello")) == "hello"

    def test_what_cannot_be_kept_is_refused(self) -> None:
        """With a reason."""
        with pytest.raises(Unshowable, match="NUL"):
            Text().shown(Task(KEY, text="a\x00"))


class TestLocalFiles:
    def test_a_picture_is_linked_under_its_key(self, tmp_path: Path, png: Path) -> None:
        """No bytes are copied on one disk, and the file's own name is told to nobody."""
        media = LocalFiles(tmp_path / "root", PurePosixPath("/there"), "my loop")
        url = media.shown(Task(KEY, uri=str(png)))
        assert url == f"/data/local-files/?d=alearn/my_loop/ab/{KEY}.png"
        assert (media.folder / "ab" / f"{KEY}.png").samefile(png)

    def test_laying_it_twice_is_laying_it_once(self, tmp_path: Path, png: Path) -> None:
        """A push that was killed is done again, and nothing lies around."""
        media = LocalFiles(tmp_path / "root", PurePosixPath("/there"), "loop")
        assert media.shown(Task(KEY, uri=str(png))) == media.shown(Task(KEY, uri=str(png)))
        assert [path.name for path in media.folder.rglob("*") if path.is_file()] == [f"{KEY}.png"]

    def test_where_links_do_not_work_it_is_copied(
        self, tmp_path: Path, png: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another disk, or a file system without links."""

        def no_links(*_: object) -> None:
            raise OSError("cross-device link")

        monkeypatch.setattr(os, "link", no_links)
        media = LocalFiles(tmp_path / "root", PurePosixPath("/there"), "loop")
        media.shown(Task(KEY, uri=str(png)))
        assert (media.folder / "ab" / f"{KEY}.png").read_bytes() == png.read_bytes()

    def test_what_browsers_cannot_show_becomes_a_png(self, tmp_path: Path) -> None:
        """TIFF is common in science and shown by no browser."""
        Image.new("CMYK", (4, 3)).save(tmp_path / "scan.tif")
        media = LocalFiles(tmp_path / "root", PurePosixPath("/there"), "loop")
        assert media.shown(Task(KEY, uri=str(tmp_path / "scan.tif"))).endswith(f"{KEY}.png")
        with Image.open(media.folder / "ab" / f"{KEY}.png") as image:
            assert (image.format, image.size) == ("PNG", (4, 3))

    def test_pictures_on_the_web_stay_there(self, tmp_path: Path) -> None:
        """Browsers fetch them themselves."""
        media = LocalFiles(tmp_path / "root", PurePosixPath("/there"), "loop")
        assert media.shown(Task(KEY, uri="https://host/a.png?x=1")) == "https://host/a.png?x=1"

    @pytest.mark.parametrize("name", ["missing.png", "missing.tif"])
    def test_a_file_that_is_gone_is_a_reason(self, tmp_path: Path, name: str) -> None:
        """One lost file never stops a push."""
        media = LocalFiles(tmp_path / "root", PurePosixPath("/there"), "loop")
        with pytest.raises(Unshowable, match="cannot be laid"):
            media.shown(Task(KEY, uri=str(tmp_path / name)))

    def test_a_damaged_picture_is_a_reason(self, tmp_path: Path) -> None:
        """It has to be decoded only when it has to be converted."""
        (tmp_path / "bad.tif").write_bytes(b"II*\x00broken")
        media = LocalFiles(tmp_path / "root", PurePosixPath("/there"), "loop")
        with pytest.raises(Unshowable, match="cannot be read"):
            media.shown(Task(KEY, uri=str(tmp_path / "bad.tif")))


class TestServed:
    def test_serves_what_it_was_told(self, served: Served, png: Path) -> None:
        """With the header that canvas tools need."""
        answer = httpx.get(served.shown(Task(KEY, uri=str(png))), trust_env=False)
        assert answer.content == png.read_bytes()
        assert answer.headers["Content-Type"] == "image/png"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"

    def test_serves_nothing_else(self, served: Served, png: Path) -> None:
        """No folder, no path, no key that it was not told."""
        base = served.shown(Task(KEY, uri=str(png))).rsplit("/", 1)[0]
        for path in ("", "/", "/" + "cd" * 16 + ".png", "/../../etc/passwd", f"/x/{KEY}.png", "/%2e%2e/etc/passwd"):
            assert httpx.get(base + path, trust_env=False).status_code == 404

    def test_a_file_that_went_away_is_gone(self, served: Served, png: Path) -> None:
        """The server goes on."""
        url = served.shown(Task(KEY, uri=str(png)))
        png.unlink()
        assert httpx.get(url, trust_env=False).status_code == 410

    def test_a_new_process_serves_what_the_old_one_did(self, tmp_path: Path, served: Served, png: Path) -> None:
        """Tasks outlive processes; a line that a crash cut short is left out."""
        url = served.shown(Task(KEY, uri=str(png)))
        served.close()
        with (tmp_path / "pictures.jsonl").open("a") as file:
            file.write('["cut')
        again = Served("127.0.0.1", int(url.split(":")[2].split("/")[0]), None, tmp_path / "pictures.jsonl")
        again.attach(NOBODY, 1)
        try:
            assert httpx.get(url, trust_env=False).status_code == 200
        finally:
            again.close()

    def test_a_taken_port_is_refused_with_what_to_do(self, served: Served, tmp_path: Path, png: Path) -> None:
        """Another loop may have it."""
        port = int(served.shown(Task(KEY, uri=str(png))).split(":")[2].split("/")[0])
        with pytest.raises(Refused, match="Choose another port"):
            Served("127.0.0.1", port, None, tmp_path / "other.jsonl").attach(NOBODY, 1)

    def test_browsers_may_know_it_by_another_name(self, tmp_path: Path, png: Path) -> None:
        """Behind a proxy, or from other machines."""
        served = Served("0.0.0.0", 1, "https://pictures.example/loop", tmp_path / "pictures.jsonl")
        assert served.shown(Task(KEY, uri=str(png))) == f"https://pictures.example/loop/{KEY}.png"
