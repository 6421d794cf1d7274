"""Embeddings of a loop's items: in pieces, by the config, and whatever the storage of the items does."""

from __future__ import annotations

import http.server
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from alearn.cli import main
from alearn.config import Config, load
from alearn.data import storage
from alearn.errors import Unreachable
from alearn.loop import features
from alearn.loop.intake import take_in
from alearn.loop.undertaking import Undertaking, opened


@pytest.fixture(autouse=True)
def in_reach(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Exported networks go to a folder of the test run; servers are asked again without a pause."""
    monkeypatch.setattr(features, "cache_folder", lambda: tmp_path_factory.getbasetemp() / "cache")
    monkeypatch.setattr(storage, "PAUSES", (0.0, 0.0))


class Told:
    """A report that remembers the progress."""

    def __init__(self) -> None:
        self.progressed: dict[str, list[tuple[int, int | None]]] = {}

    def say(self, text: str) -> None:
        pass

    def progress(self, what: str, done: int, total: int | None) -> None:
        self.progressed.setdefault(what, []).append((done, total))


def draw(folder: Path, count: int, side: int = 24) -> None:
    """Images that are dark for even numbers and bright for odd ones."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(side)
    for at in range(count):
        pixels = rng.integers(0, 100, (side, side)) + 150 * (at % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{side}-{at:03}.png")


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., Path]:
    """Write the config of a loop over these items, answered by simulated annotators at once."""

    def make(**items: Any) -> Path:
        raw = {
            "name": "parity",
            "items": items,
            "task": {"data": "image", "classes": ["even", "odd"]},
            "model": {"name": "pixels"},
            "query": {"batch": 10},
            "holdout": {"size": 0},
            "budget": {"labels": 20},
            "platform": {"name": "simulated"},
        }
        path = tmp_path / "parity.yaml"
        path.write_text(yaml.safe_dump(raw))
        return path

    return make


def keys_of(loop: Undertaking) -> list[str]:
    return [one.key for one in loop.store.items.candidates()]


def shards(config: Config) -> list[Path]:
    return list((config.home_ / "embeddings").rglob("*.safetensors"))


def test_items_are_embedded_in_pieces(
    tmp_path: Path, configure: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that memory is bounded; each piece is kept, and the progress is that of the whole."""
    draw(tmp_path / "photos", 20)
    monkeypatch.setattr(features, "PIECE", 8)
    config, told = load(configure(path="photos")), Told()
    with opened(config, told) as loop:
        take_in(loop)
        assert loop.features.ensure(keys_of(loop)) == frozenset()
        assert loop.features.rows(keys_of(loop)).shape == (20, 256)
    assert len(shards(config)) == 3
    assert told.progressed["Embedding with pixels"] == [(8, 20), (16, 20), (20, 20)]


def test_what_cannot_be_embedded_is_put_aside_with_its_reason(
    tmp_path: Path, configure: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every piece, and by `items.max_pixels` as it is in the config now."""
    draw(tmp_path / "photos", 6)
    draw(tmp_path / "photos", 6, side=30)
    monkeypatch.setattr(features, "PIECE", 4)
    with opened(load(configure(path="photos"))) as loop:
        take_in(loop)
    with opened(load(configure(path="photos", max_pixels=24 * 24))) as loop:
        lost = loop.features.ensure(keys_of(loop))
        put_aside = {row.place: row.reason for row in loop.store.items.quarantined()}
        assert len(lost) == 6
        assert lost == put_aside.keys()
        assert all("`items.max_pixels` allows, 576" in reason for reason in put_aside.values())
        assert len(keys_of(loop)) == 6


def test_a_drive_that_is_gone_puts_nothing_aside(tmp_path: Path, configure: Callable[..., Path]) -> None:
    """When it is back, the same call goes on."""
    draw(tmp_path / "photos", 20)
    with opened(load(configure(path="photos"))) as loop:
        take_in(loop)
        (tmp_path / "photos").rename(tmp_path / "elsewhere")
        with pytest.raises(Unreachable, match="mounted"):
            loop.features.ensure(keys_of(loop))
        assert len(keys_of(loop)) == 20
        (tmp_path / "elsewhere").rename(tmp_path / "photos")
        assert loop.features.ensure(keys_of(loop)) == frozenset()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A web server of a folder that prints nothing; every answer is 503 while `down` is there."""

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        if Path(self.directory, "down").exists():
            self.send_error(503)
        else:
            super().do_GET()


@contextmanager
def served(folder: Path, port: int = 0) -> Iterator[int]:
    """A web server of this folder for the length of the block; its port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("outage", ["503", "refused"])
def test_a_loop_outlives_an_outage_of_its_items(
    tmp_path: Path,
    configure: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    outage: str,
) -> None:
    """One sentence and exit code 2 while adding and while running; the same command later does the work."""
    draw(tmp_path / "photos", 40)
    rows = [f"{path.name},{'odd' if at % 2 else 'even'}" for at, path in enumerate(sorted(tmp_path.glob("photos/*")))]
    (tmp_path / "photos/t.csv").write_text("\n".join(["image,truth", *rows]))

    def alearn(command: str, config: Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["alearn", command, str(config)])
        with pytest.raises(SystemExit) as stop:
            main()
        return int(stop.value.code or 0), capsys.readouterr().err

    def outside(command: str, config: Path) -> tuple[int, str]:
        if outage == "refused":
            return alearn(command, config)
        (tmp_path / "photos/down").touch()
        with served(tmp_path / "photos", port):
            found = alearn(command, config)
        (tmp_path / "photos/down").unlink()
        return found

    with served(tmp_path / "photos") as port:
        config = configure(path=f"http://127.0.0.1:{port}/t.csv", truth_column="truth")
    for command in ("add", "run"):
        code, said = outside(command, config)
        assert code == 2
        assert "Traceback" not in said
        *_, last = said.splitlines()
        assert last.startswith(f"alearn: The storage of the items must answer. http://127.0.0.1:{port}/")
        assert "cannot be reached now" in last
        with served(tmp_path / "photos", port):
            assert alearn(command, config)[0] == 0
    with opened(load(config)) as loop:
        assert loop.store.items.quarantined() == []
        assert loop.store.look().labels == 20
