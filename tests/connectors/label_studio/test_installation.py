"""Label Studio's own environment: whole or redone, made once, and private.

A stand-in package called label-studio, installed by the real tools from a folder, keeps these tests off the network.
"""

import json
import sqlite3
import threading
import zipfile
from pathlib import Path

import pytest

from alearn.errors import ConfigError, Refused, Unavailable
from alearn_connectors.label_studio.environment import private_environment
from alearn_connectors.label_studio.installation import install, installation
from alearn_connectors.label_studio.private import PrivateServer

STAND_IN = """
import os, sqlite3, sys
def main():
    print("arguments", sys.argv[1:])
    if sys.argv[1] == "version":
        sqlite3.connect(os.path.join(os.environ["LABEL_STUDIO_BASE_DATA_DIR"], "label_studio.sqlite3")).execute(
            "CREATE TABLE migrated (x)").connection.close()
    else:
        sys.exit("the disk is made of cheese")
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and an index that knows only the stand-in, version 0.0.1."""
    links = tmp_path / "links"
    links.mkdir()
    info = "label_studio-0.0.1.dist-info"
    with zipfile.ZipFile(links / "label_studio-0.0.1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("stand_in.py", STAND_IN)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: label-studio\nVersion: 0.0.1\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\nlabel-studio = stand_in:main\n")
        wheel.writestr(f"{info}/RECORD", "")
    for tool in ("UV", "PIP"):
        monkeypatch.setenv(f"{tool}_FIND_LINKS", str(links))
        monkeypatch.setenv(f"{tool}_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    monkeypatch.setenv("ALEARN_LABEL_STUDIO_VERSION", "0.0.1")
    monkeypatch.setenv("ALEARN_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_an_installation_is_made_once(root: Path) -> None:
    """The second call finds it and says nothing; the template is migrated and in WAL mode."""
    told: list[str] = []
    installed = install(told.append)
    assert any("installing Label Studio 0.0.1" in line for line in told)
    database = sqlite3.connect(installed.template)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("migrated",)]
    database.close()
    assert install(pytest.fail) == installed


def test_a_killed_installation_is_redone(root: Path) -> None:
    """Whatever lies in the folder, without the marker it is thrown away."""
    installed = install(print)
    installed.marker.unlink()
    (installed.folder / "half").write_text("written")
    told: list[str] = []
    install(told.append)
    assert told
    assert not (installed.folder / "half").exists()
    assert installed.whole()


def test_an_installation_whose_interpreter_is_gone_is_redone(root: Path) -> None:
    """A virtual environment breaks when the Python it was made from is removed."""
    installed = install(print)
    installed.python.unlink()
    assert not installed.whole()
    assert install(print).whole()


def test_two_at_once_install_once(root: Path) -> None:
    """The second waits for the first, and uses what it made."""
    told: list[str] = []
    threads = [threading.Thread(target=install, args=(told.append,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum("installing" in line and "waiting" not in line for line in told) == 1
    assert installation().whole()


def test_a_failed_installation_says_what_failed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message carries the tool's own last words; nothing is taken for whole."""
    monkeypatch.setenv("ALEARN_LABEL_STUDIO_VERSION", "9.9.9")
    with pytest.raises(Unavailable, match=r"(?s)Label Studio 9\.9\.9 must be installed.*label-studio==9\.9\.9"):
        install(print)
    assert not installation().whole()


def test_a_server_that_ends_while_it_starts_says_why(root: Path) -> None:
    """The log's last lines are in the message, the process is gone, and the next try starts from nothing."""
    server = PrivateServer(root / "home")
    with pytest.raises(Refused, match="the disk is made of cheese"):
        server.up(print)
    assert server.status() is None
    assert not server.home.settled.exists()
    assert "127.0.0.1" in json.dumps(server.home.log.read_text())  # what it was told to listen on


def test_a_folder_that_cannot_be_written_is_a_config_error(root: Path) -> None:
    """It says which folder, and how to name another."""
    (root / "file").write_text("")
    with pytest.raises(ConfigError, match="ALEARN_CACHE"):
        PrivateServer(root / "file" / "home").up(print)


def test_label_studio_does_not_see_our_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take HOST, DEBUG or DJANGO_DB for its own settings, and our secrets are not its business."""
    for name in ("HOST", "DEBUG", "DJANGO_DB", "LABEL_STUDIO_HOST", "ALEARN_API_KEY", "PYTHONPATH"):
        monkeypatch.setenv(name, "ours")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    environment = private_environment(tmp_path)
    assert "ours" not in environment.values()
    assert environment["HTTP_PROXY"] == "http://proxy:3128"
    assert "127.0.0.1" in environment["NO_PROXY"]
